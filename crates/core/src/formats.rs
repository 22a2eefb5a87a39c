//! File formats, one file each: what a line or a record holds and how it is read or written. What compression a file has is
//! told once, in `compression`.

pub mod bed;
pub mod bedgraph;
pub mod compression;
pub mod fasta;
pub mod fastq;
pub mod meme;
pub mod npz;
pub mod record_names;
pub mod records;
pub mod tensorboard;
pub mod vcf;

/// Bytes from a file as they go into a message: one line, not too long.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const LENGTH: usize = 40;
    let dots = if bytes.len() > LENGTH { "..." } else { "" };
    format!("{}{dots}", bytes[..bytes.len().min(LENGTH)].escape_ascii())
}
