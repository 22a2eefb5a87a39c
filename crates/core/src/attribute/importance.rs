//! Attributions of the sequences of a file by one or several methods, and the files that hold them. Results are
//! streamed to disk, so that memory does not grow with the number of sequences.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use tempfile::NamedTempFile;

use crate::attribute::contributions::Contributions;
use crate::attribute::gradients::{self, Integrated};
use crate::attribute::mutagenesis;
use crate::attribute::sequences::Sequence;
use crate::attribute::target::Explainer;
use crate::config::AttributionMethod;
use crate::files;
use crate::formats::bedgraph::BedGraph;
use crate::formats::bigwig::Writer as BigWigWriter;
use crate::formats::npz::{Kind, Npz};
use crate::genome::Chromosome;
use crate::run::{RunFolder, cannot_write};
use crate::sequence::alphabet;

/// Attributions of a sequence by one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// How it was computed.
    pub method: AttributionMethod,
    /// Changes of the target by substitution, or attributions, `[4, length]`.
    pub numbers: Vec<f32>,
    /// Importance of each base, `[length]`; positive where the base raises the target.
    pub importance: Vec<f32>,
}

/// The explanation of a sequence by all methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The target: the output that is explained.
    pub score: f64,
    /// One for each method, in the order requested.
    pub tracks: Vec<Track>,
    /// Integrated gradients, if requested.
    pub integrated: Option<Integrated>,
}

impl Explanation {
    /// Explains one sequence by each of the methods; `path` applies to integrated gradients.
    ///
    /// # Errors
    /// As `Explainer::score` and `Explainer::gradients`.
    pub fn of(
        explainer: &Explainer,
        sequence: &Sequence,
        methods: &[AttributionMethod],
        path: &gradients::Path,
    ) -> Result<Self> {
        let codes = &sequence.codes;
        let score = explainer.score(codes)?.into_iter().sum();
        let (mut tracks, mut integrated) = (Vec::new(), None);
        for &method in methods {
            let numbers = match method {
                AttributionMethod::Ism => mutagenesis::changes(explainer, codes, score)?,
                AttributionMethod::Saliency => gradients::saliency_times_input(explainer, codes)?,
                AttributionMethod::Ig => {
                    let found = path.integrate(explainer, codes, sequence.own.clone(), sequence.index as u64)?;
                    integrated.insert(found).attributions.clone()
                }
            };
            let importance = match method {
                AttributionMethod::Ism => mutagenesis::importance(codes, &numbers),
                AttributionMethod::Saliency | AttributionMethod::Ig => gradients::importance(&numbers),
            };
            tracks.push(Track { method, numbers, importance });
        }
        Ok(Self { score, tracks, integrated })
    }
}

/// The window of up to `width` positions within `own` with the largest sum of absolute importance.
pub fn strongest(importance: &[f32], own: Range<usize>, width: usize) -> Range<usize> {
    let width = width.min(own.len());
    let sum = |start: usize| importance[start..start + width].iter().map(|part| part.abs()).sum::<f32>();
    let starts = own.start..=own.end - width;
    // The first of equals.
    let best = starts.rev().max_by(|&a, &b| sum(a).total_cmp(&sum(b))).unwrap_or(own.start);
    best..best + width
}

/// The output files of one method.
struct Files {
    method: AttributionMethod,
    table: BufWriter<NamedTempFile>,
    graph: BedGraph,
}

/// Tables, arrays and tracks of explanations, under temporary names until they are complete.
pub struct Output {
    files: Vec<Files>,
    arrays: Npz,
    /// Of the genome that the sequences are windows of, if they are: bigWig names them all.
    chromosomes: Option<Vec<Chromosome>>,
    /// Contributions for other programs, if requested; they need mutagenesis.
    pub contributions: Option<Contributions>,
}

/// The name of the arrays.
pub const ARRAYS: &str = "importance.npz";

impl Output {
    /// Starts the files of the given methods for sequences of `length` bp.
    ///
    /// # Errors
    /// The files cannot be created in `folder`.
    pub fn new(folder: &Path, methods: &[AttributionMethod], length: usize) -> Result<Self> {
        let begin = |&method: &AttributionMethod| {
            let mut table = BufWriter::new(files::temporary_beside(&folder.join(table_name(method)))?);
            let header = match method {
                AttributionMethod::Ism => "name\tposition\tbase\tA\tC\tG\tT\timportance\n",
                AttributionMethod::Saliency | AttributionMethod::Ig => "name\tposition\tbase\timportance\n",
            };
            let started = table.write_all(header.as_bytes()).and_then(|()| BedGraph::new(folder));
            let graph = started.map_err(|error| cannot_write(folder, &error))?;
            Ok(Files { method, table, graph })
        };
        let arrays = [("sequences", Kind::U8, vec![length]), ("scores", Kind::F32, vec![])];
        let of_methods = methods.iter().map(|method| (method.name(), Kind::F32, vec![4, length]));
        let arrays: Vec<_> = arrays.into_iter().chain(of_methods).collect();
        let files = methods.iter().map(begin).collect::<Result<_>>()?;
        Ok(Self { files, arrays: Npz::new(folder, &arrays)?, chromosomes: None, contributions: None })
    }

    /// With tracks as bigWig too, for windows of a genome with these chromosomes.
    pub fn in_genome(self, chromosomes: Option<Vec<Chromosome>>) -> Self {
        Self { chromosomes, ..self }
    }

    /// Appends the explanation of a sequence.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn push(&mut self, sequence: &Sequence, explanation: &Explanation) -> std::io::Result<()> {
        self.arrays.name(&sequence.name);
        self.arrays.push_bytes("sequences", &sequence.codes)?;
        self.arrays.push("scores", &[explanation.score as f32])?;
        let mutagenesis = explanation.tracks.iter().find(|track| track.method == AttributionMethod::Ism);
        if let (Some(contributions), Some(track)) = (&mut self.contributions, mutagenesis) {
            contributions.push(sequence, track)?;
        }
        let own = sequence.own_place();
        for (files, track) in self.files.iter_mut().zip(&explanation.tracks) {
            self.arrays.push(track.method.name(), &track.numbers)?;
            if let Some(place) = &own {
                files.graph.push(place, &track.importance[sequence.own.clone()])?;
            }
            write_rows(&mut files.table, sequence, track)?;
        }
        Ok(())
    }

    /// Renames the files into a folder and returns their names.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn finish(self, out: &RunFolder) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for Files { method, table, mut graph } in self.files {
            let path = out.file(&table_name(method));
            let table = table.into_inner().map_err(|error| cannot_write(&path, error.error()))?;
            files::persist(table, &path)?;
            names.push(table_name(method));
            if !graph.is_empty() {
                let name = format!("{}.bedgraph", method.name());
                let path = out.file(&name);
                files::write_through(&path, |file| {
                    let mut lines = BufWriter::new(file);
                    graph.write(&mut lines)?;
                    lines.flush().map_err(|error| cannot_write(&path, &error))
                })?;
                names.push(name);
            }
            if let (Some(chromosomes), false) = (&self.chromosomes, graph.is_empty()) {
                let name = format!("{}.bw", method.name());
                files::write_through(&out.file(&name), |file| {
                    graph.write_bigwig(BigWigWriter::new(file, chromosomes, &out.path)?)
                })?;
                names.push(name);
            }
        }
        if let Some(contributions) = self.contributions {
            contributions.finish()?;
        }
        files::write_through(&out.file(ARRAYS), |file| self.arrays.finish(file))?;
        names.push(ARRAYS.into());
        Ok(names)
    }
}

fn table_name(method: AttributionMethod) -> String {
    format!("{}.tsv", method.name())
}

fn write_rows(out: &mut dyn Write, sequence: &Sequence, track: &Track) -> std::io::Result<()> {
    let length = sequence.codes.len();
    for at in sequence.own.clone() {
        let base = alphabet::decode(&sequence.codes[at..=at]);
        write!(out, "{}\t{}\t{base}", sequence.name, sequence.position(at))?;
        if track.method == AttributionMethod::Ism {
            (0..4).try_for_each(|base| write!(out, "\t{}", track.numbers[base * length + at]))?;
        }
        writeln!(out, "\t{}", track.importance[at])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_stretch_lies_within_the_sequence() {
        let importance = [0.0, 9.0, 0.0, 1.0, -3.0, 1.0, 0.0];
        assert_eq!(strongest(&importance, 0..7, 2), 0..2);
        assert_eq!(strongest(&importance, 2..7, 3), 3..6);
        assert_eq!(strongest(&importance, 2..4, 3), 2..4);
    }
}
