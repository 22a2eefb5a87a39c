//! File formats, one file each: what a line or a record holds and how it is read or written. Compression is detected in
//! one place, `compression`.

pub mod alignment;
pub mod bam;
pub mod bed;
pub mod bedgraph;
pub mod bigwig;
mod block_reader;
pub mod compression;
pub mod delimited;
pub mod fasta;
pub mod fastq;
pub mod fragments;
mod headed_matrices;
pub mod lines;
pub mod members;
pub mod meme;
pub mod motif_files;
mod motif_lines;
mod motif_matrix;
pub mod npz;
pub mod onnx;
pub mod read_ahead;
pub mod record_names;
pub mod records;
pub mod sam;
pub mod tensorboard;
pub mod text;
mod transfac;
pub mod vcf;

/// Bytes of a file for a message: escaped, and cut to a limited length.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const LENGTH: usize = 40;
    let dots = if bytes.len() > LENGTH { "..." } else { "" };
    format!("{}{dots}", bytes[..bytes.len().min(LENGTH)].escape_ascii())
}
