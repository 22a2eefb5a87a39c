//! Scores of FASTA records, streamed in constant memory: long sequences in windows, however long they are.

use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, bail};

use crate::data::fasta::Records;
use crate::evaluate;
use crate::model::Network;

/// How sequences are cut into windows.
#[derive(Clone, Copy, Debug)]
pub struct Windowing {
    /// Distance between window starts, in bp.
    pub stride: usize,
    /// Leave out sequences shorter than a window rather than stop.
    pub skip_short: bool,
}

/// What a prediction came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sequences: usize,
    pub windows: usize,
    pub skipped: usize,
}

/// Windows waiting for the network, and where their scores go.
struct Scorer<'a> {
    network: &'a Network,
    out: &'a mut dyn Write,
    /// `[n, length]`
    codes: Vec<u8>,
    /// Record and start of each.
    places: Vec<(Rc<str>, usize)>,
    scored: usize,
}

impl Scorer<'_> {
    fn push(&mut self, codes: &[u8], record: &Rc<str>, start: usize) -> Result<()> {
        self.codes.extend_from_slice(codes);
        self.places.push((record.clone(), start));
        if self.places.len() == evaluate::batch_size(self.network.length) { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let scores = evaluate::scores(self.network, &self.codes)?;
        for ((record, start), score) in self.places.drain(..).zip(scores) {
            writeln!(self.out, "{record}\t{start}\t{}\t+\t{}", start + self.network.length, score as f32)?;
            self.scored += 1;
        }
        self.codes.clear();
        Ok(())
    }
}

/// Scores every window of every record of `path` and writes `name start end strand score`, tab-separated, with a header.
///
/// # Errors
/// The file is damaged or not FASTA, a sequence is too short, or the output cannot be written.
pub fn predict(network: &Network, path: &Path, windowing: Windowing, out: &mut dyn Write) -> Result<Counts> {
    let length = network.length;
    let mut records = Records::open(path)?;
    let (mut sequences, mut skipped) = (0, 0);
    writeln!(out, "name\tstart\tend\tstrand\tscore")?;
    let mut scorer = Scorer { network, out, codes: Vec::new(), places: Vec::new(), scored: 0 };
    while let Some(name) = records.next_record()? {
        let record: Rc<str> = name.as_str().into();
        // `held` is what is still needed of the sequence, from position `held_from` on; the next window starts at `next`.
        let (mut held, mut held_from, mut next): (Vec<u8>, usize, usize) = (Vec::new(), 0, 0);
        while let Some(piece) = records.next_piece()? {
            held.extend_from_slice(piece);
            while next + length <= held_from + held.len() {
                let offset = next - held_from;
                scorer.push(&held[offset..offset + length], &record, next)?;
                next += windowing.stride;
            }
            let used = (next - held_from).min(held.len());
            held.drain(..used);
            held_from += used;
        }
        sequences += 1;
        if next == 0 {
            if !windowing.skip_short {
                bail!(
                    "{}: record '{name}' has {} bases, expected {length} or more, the network's length; lengthen it or add --skip-short",
                    path.display(),
                    held.len()
                );
            }
            skipped += 1;
        }
    }
    scorer.flush()?;
    let windows = scorer.scored;
    out.flush()?;
    Ok(Counts { sequences, windows, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::data::alphabet;
    use tch::Device;

    /// Rows of the table as (name, start, end, score).
    fn rows(text: &[u8]) -> Vec<(String, usize, usize, f64)> {
        let text = std::str::from_utf8(text).unwrap();
        assert!(text.starts_with("name\tstart\tend\tstrand\tscore\n"));
        text.lines()
            .skip(1)
            .map(|line| {
                let f: Vec<&str> = line.split('\t').collect();
                (f[0].into(), f[1].parse().unwrap(), f[2].parse().unwrap(), f[4].parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn windows_stand_where_the_stride_puts_them_and_score_as_they_do_alone() {
        let network = Network::new(&ModelConfig::default(), 50, Device::Cpu, 1).unwrap();
        let bases: String = (0..333).map(|i| b"ACGTN"[(i * i + i / 7) % 5] as char).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        // Lines of odd lengths, so that windows lie across them.
        let lines: Vec<&str> = (0..333).step_by(37).map(|i| &bases[i..(i + 37).min(333)]).collect();
        std::fs::write(
            &path,
            format!(">long words after\n{}\n>short\nACGT\n>exact\n{}\n", lines.join("\n"), &bases[..50]),
        )
        .unwrap();
        for stride in [1, 7, 50, 120, 1000] {
            let mut out = Vec::new();
            let counts = predict(&network, &path, Windowing { stride, skip_short: true }, &mut out).unwrap();
            let rows = rows(&out);
            let starts: Vec<usize> = rows.iter().filter(|row| row.0 == "long").map(|row| row.1).collect();
            assert_eq!(starts, (0..=333 - 50).step_by(stride).collect::<Vec<_>>());
            assert_eq!(counts, Counts { sequences: 3, windows: starts.len() + 1, skipped: 1 });
            for (_, start, end, score) in rows.iter().filter(|row| row.0 == "long") {
                let mut codes = Vec::new();
                alphabet::encode(&bases.as_bytes()[*start..*end], &mut codes).unwrap();
                let alone = evaluate::scores(&network, &codes).unwrap()[0];
                assert!((alone - score).abs() < 1e-6);
            }
        }
        let error = predict(&network, &path, Windowing { stride: 50, skip_short: false }, &mut Vec::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("'short' has 4 bases"), "{error}");
    }
}
