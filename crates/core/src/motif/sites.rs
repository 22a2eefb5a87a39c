//! Sites of filters: the subsequences at which a filter's activation reaches half of its maximum over a set of
//! sequences (as in Basset: Kelley, Snoek and Rinn, 2016), with their base counts. Two passes in constant memory: the
//! first finds the maxima, the second the sites.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;

use crate::dataset::examples::Examples;
use crate::formats::records::Records;
use crate::motif::filters::Filters;
use crate::motif::sequence_set::SequenceSet;
use crate::motif::strata;
use crate::sequence::alphabet;

/// Largest number of bins along a sequence.
const MOST_BINS: usize = 50;

/// Bases read at a time.
const BATCH_BASES: usize = 1 << 22;

/// Threshold of a site, as a share of the filter's maximum.
const THRESHOLD: f32 = 0.5;

/// The sequences to search.
pub enum Set<'a> {
    /// Some of a run's examples.
    Examples {
        /// All examples of a split.
        examples: &'a Examples,
        /// Indices of those to search, ascending.
        chosen: Vec<usize>,
    },
    /// The first records of a file.
    File {
        /// FASTA or FASTQ, plain, gzip or BGZF.
        path: &'a Path,
        /// Number of records to search at most.
        limit: usize,
    },
}

impl Set<'_> {
    /// Passes all sequences to `each` in batches, as codes without case, with the index of the first.
    ///
    /// # Errors
    /// The file cannot be read or a sequence is shorter than `shortest` bp.
    pub fn for_each_batch(&self, shortest: usize, mut each: impl FnMut(usize, &[Vec<u8>])) -> Result<()> {
        let (mut batch, mut first, mut bases) = (Vec::new(), 0, 0);
        let mut add = |codes: Option<Vec<u8>>| {
            let is_last = codes.is_none();
            bases += codes.as_ref().map_or(0, Vec::len);
            batch.extend(codes);
            if bases >= BATCH_BASES || is_last {
                each(first, &batch);
                first += batch.len();
                batch.clear();
                bases = 0;
            }
        };
        match self {
            Self::Examples { examples, chosen } => {
                if examples.length < shortest {
                    bail!(
                        "the sequences have {} bp, expected {shortest} or more, as the filters reach over; take longer ones",
                        examples.length
                    );
                }
                for &i in chosen {
                    let mut codes = Vec::with_capacity(examples.length);
                    examples.read(i..i + 1, &mut codes)?;
                    add(Some(codes));
                }
            }
            Self::File { path, limit } => {
                let shown = path.display();
                let (mut records, mut read) = (Records::open(path)?, 0);
                while read < *limit
                    && let Some(name) = records.next_record()?
                {
                    let mut codes = Vec::new();
                    records.read_whole(&mut codes).with_context(|| shown.to_string())?;
                    alphabet::without_case(&mut codes);
                    if codes.len() < shortest {
                        bail!(
                            "{shown}: record '{name}' has {} bp, expected {shortest} or more, as the filters reach over; remove it",
                            codes.len()
                        );
                    }
                    add(Some(codes));
                    read += 1;
                }
                if read == 0 {
                    bail!("{shown}: holds no records, expected sequences; check the file");
                }
            }
        }
        add(None);
        Ok(())
    }
}

/// A division of the sequences in two, such as a class and the others.
#[derive(Clone, Debug)]
pub struct Division {
    /// Name of the class or label.
    pub name: String,
    /// Name of the other sequences.
    pub other: String,
    /// Whether each sequence belongs to the class, `[n]`; `None` where nobody knows, which counts for neither.
    pub belongs: Vec<Option<bool>>,
}

/// The sites of one filter.
#[derive(Clone, Debug)]
pub struct Sites {
    /// Largest activation or importance in any sequence; if it is not above 0, there are no sites.
    pub largest: f32,
    /// Activation or importance from which a position counts as a site, inclusive.
    pub threshold: f32,
    /// Number of sites on both strands.
    pub n: u64,
    /// Number of sites on the reverse strand.
    pub reverse: u64,
    /// Bases at the positions of all sites, in the filter's own orientation, `[width, 4]`.
    pub counts: Vec<[u64; 4]>,
    /// Number of sites centred in each bin of the sequence as given.
    pub places: Vec<u64>,
    /// The sequences with a site.
    pub sequences: SequenceSet,
}

/// Bins of positions in which sites are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bins {
    /// For sequences of one length: bins of equal width, except that the last may be narrower.
    Bases {
        /// Length of the sequences, in bp.
        length: usize,
        /// Width of a bin, in bp.
        each: usize,
    },
    /// For sequences of several lengths: this number of equal fractions of each sequence.
    Shares(usize),
}

impl Bins {
    /// Bins for sequences of `shortest` to `longest` bp.
    pub fn new(shortest: usize, longest: usize) -> Self {
        if shortest == longest {
            Self::Bases { length: longest, each: longest.div_ceil(MOST_BINS).max(1) }
        } else {
            Self::Shares(MOST_BINS)
        }
    }

    /// Number of bins.
    pub fn count(self) -> usize {
        match self {
            Self::Bases { length, each } => length.div_ceil(each).max(1),
            Self::Shares(count) => count,
        }
    }

    /// Start of a bin, in bp or as a share of the sequence.
    pub fn start(self, bin: usize) -> f64 {
        match self {
            Self::Bases { length, each } => (bin * each).min(length) as f64,
            Self::Shares(count) => bin as f64 / count as f64,
        }
    }

    /// The bin of a position in a sequence of `length` bp.
    pub fn of(self, base: usize, length: usize) -> usize {
        let bin = match self {
            Self::Bases { each, .. } => base / each,
            Self::Shares(count) => ((base as f64 + 0.5) / length as f64 * count as f64) as usize,
        };
        bin.min(self.count() - 1)
    }
}

/// Sites found in a set of sequences.
#[derive(Clone, Debug)]
pub struct Found {
    /// Sites of each filter.
    pub sites: Vec<Sites>,
    /// Number of sequences searched.
    pub sequences: u64,
    /// Stratum of GC content of each sequence; `None` where it had a part in choosing the motifs, so that enrichment is not
    /// tested with it.
    pub strata: Vec<Option<u16>>,
    /// Bins of the positions in [`Sites::places`].
    pub bins: Bins,
    /// Base frequencies on the strands that were read.
    pub background: [f64; 4],
}

impl Found {
    /// The result of a search that did not take place.
    pub fn none() -> Self {
        Self { sites: Vec::new(), sequences: 0, strata: Vec::new(), bins: Bins::Shares(1), background: [0.25; 4] }
    }
}

/// Searches a set of sequences, on both strands if `both_strands` is set.
///
/// # Errors
/// The sequences cannot be read or are shorter than a filter.
pub fn find(filters: &Filters, set: &Set, both_strands: bool) -> Result<Found> {
    let (mut largest, mut bases) = (vec![f32::NEG_INFINITY; filters.len()], [0u64; 4]);
    let (mut gc, mut lengths) = (Vec::new(), (usize::MAX, 0));
    set.for_each_batch(filters.reach(), |_, batch| {
        for codes in batch {
            lengths = (lengths.0.min(codes.len()), lengths.1.max(codes.len()));
            gc.push(strata::gc_share(codes));
            codes.iter().filter(|&&code| code < 4).for_each(|&code| bases[usize::from(code)] += 1);
        }
        let parts = in_parts(batch, |_, part| {
            let mut largest = vec![f32::NEG_INFINITY; filters.len()];
            for codes in part {
                for_each_strand(codes, both_strands, |codes, _| {
                    filters.for_each_place(codes, |_, numbers| {
                        largest.iter_mut().zip(numbers).for_each(|(largest, &number)| *largest = largest.max(number));
                    });
                });
            }
            largest
        });
        for part in parts {
            largest.iter_mut().zip(part).for_each(|(largest, other)| *largest = largest.max(other));
        }
    })?;
    let thresholds: Vec<f32> =
        largest.iter().map(|&most| if most > 0.0 { most * THRESHOLD } else { f32::INFINITY }).collect();
    let bins = Bins::new(lengths.0, lengths.1);
    let none = || -> Vec<Sites> {
        let of = |&largest: &f32| Sites {
            largest,
            threshold: largest * THRESHOLD,
            n: 0,
            reverse: 0,
            counts: vec![[0; 4]; filters.width],
            places: vec![0; bins.count()],
            sequences: SequenceSet::default(),
        };
        largest.iter().map(of).collect()
    };
    let mut sites = none();
    set.for_each_batch(filters.reach(), |first, batch| {
        let parts = in_parts(batch, |offset, part| {
            let mut sites = none();
            let fired: Vec<Vec<bool>> =
                part.iter().map(|codes| count(filters, codes, both_strands, &thresholds, bins, &mut sites)).collect();
            (sites, first + offset, fired)
        });
        for (part, first, fired) in parts {
            sites.iter_mut().zip(part).for_each(|(sites, other)| sites.add(&other));
            for (sequence, fired) in (first..).zip(fired) {
                let with = sites.iter_mut().zip(fired).filter(|(_, fired)| *fired);
                with.for_each(|(sites, _)| sites.sequences.insert(sequence));
            }
        }
    })?;
    let strata = strata::by_gc(&gc).into_iter().map(Some).collect();
    Ok(Found { sites, sequences: gc.len() as u64, strata, bins, background: shares_of_bases(bases, both_strands) })
}

/// Base frequencies on the strands that are read, from the counts in the sequences as given.
pub fn shares_of_bases(bases: [u64; 4], both_strands: bool) -> [f64; 4] {
    let [a, c, g, t] = bases;
    let bases = if both_strands { [a + t, c + g, c + g, a + t] } else { bases };
    let all = bases.iter().sum::<u64>().max(1) as f64;
    bases.map(|count| count as f64 / all)
}

impl Sites {
    /// Adds what was counted in other sequences, but not which they were.
    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.reverse += other.reverse;
        let columns = self.counts.iter_mut().zip(&other.counts);
        columns.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
        self.places.iter_mut().zip(&other.places).for_each(|(to, from)| *to += from);
    }
}

/// Adds the sites of one sequence, and returns for each filter whether there are any.
fn count(
    filters: &Filters,
    codes: &[u8],
    both_strands: bool,
    thresholds: &[f32],
    bins: Bins,
    sites: &mut [Sites],
) -> Vec<bool> {
    let mut fired = vec![false; filters.len()];
    for_each_strand(codes, both_strands, |strand, is_reverse| {
        filters.for_each_place(strand, |start, numbers| {
            for (filter, (number, threshold)) in numbers.iter().zip(thresholds).enumerate() {
                if number < threshold {
                    continue;
                }
                fired[filter] = true;
                let sites = &mut sites[filter];
                sites.n += 1;
                sites.reverse += u64::from(is_reverse);
                let window = strand[start..].iter().step_by(filters.dilation);
                for (column, &code) in sites.counts.iter_mut().zip(window) {
                    column[usize::from(code)] += 1;
                }
                let start = if is_reverse { strand.len() - start - filters.reach() } else { start };
                sites.places[bins.of(start + filters.reach() / 2, strand.len())] += 1;
            }
        });
    });
    fired
}

/// Calls `each` with a sequence and, if requested, with its reverse complement.
fn for_each_strand(codes: &[u8], both_strands: bool, mut each: impl FnMut(&[u8], bool)) {
    each(codes, false);
    if both_strands {
        let mut reverse = codes.to_vec();
        alphabet::reverse_complement(&mut reverse);
        each(&reverse, true);
    }
}

/// Maps the parts of a batch in parallel; `of` also gets the index of a part's first sequence.
fn in_parts<T: Send>(batch: &[Vec<u8>], of: impl Fn(usize, &[Vec<u8>]) -> T + Sync) -> Vec<T> {
    let size = batch.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    batch.par_chunks(size).enumerate().map(|(part, sequences)| of(part * size, sequences)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Architecture, ModelConfig, Strands};
    use crate::network::{Parameters, plan::Plan};
    use proptest::prelude::*;

    /// A network with one filter that adds up the letters of a word it finds, less a bias.
    fn filters_for(word: &str, bias: f32) -> Filters {
        let layers = format!(
            "[[layer]]\nkind = \"convolution\"\nfilters = 1\nwidth = {}\n[[layer]]\nkind = \"flatten\"\n",
            word.len()
        );
        #[derive(serde::Deserialize)]
        struct File {
            layer: Vec<crate::config::layers::Layer>,
        }
        let File { layer } = toml::from_str(&layers).unwrap();
        let config = ModelConfig { arch: Architecture::Custom, layer, ..ModelConfig::default() };
        let plan = Plan::new(&config, 40, 1, Strands::Single).unwrap();
        let weights: Vec<f32> = alphabet::ALPHABET
            .bytes()
            .flat_map(|base| word.bytes().map(move |other| f32::from(u8::from(other == base))))
            .collect();
        let name = &plan.steps[0].name;
        let parameters = [(format!("{name}.weight"), weights), (format!("{name}.bias"), vec![bias])];
        Filters::of(&[(&plan, Parameters::from(parameters))], None).unwrap()
    }

    fn file(records: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.fa");
        let text: String = records.iter().enumerate().map(|(i, bases)| format!(">r{i}\n{bases}\n")).collect();
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn sites_are_found_on_both_strands_and_aligned_in_the_filters_own_orientation() {
        let filters = filters_for("GATTACA", -3.0);
        let (_folder, path) =
            file(&["ccccGATTACAcccccccccc", "ccccccccccTGTAATCcccc", "ccccccccccccccccccccc", "ccGATTTCAcNccccccc"]);
        let set = Set::File { path: &path, limit: usize::MAX };
        let found = find(&filters, &set, true).unwrap();
        let sites = &found.sites[0];
        // Seven letters less the bias; from half of it on, five and a half of seven.
        assert_eq!((sites.largest, sites.n, sites.reverse, sites.sequences.len()), (4.0, 3, 1, 3));
        assert_eq!(sites.counts[4], [2, 0, 0, 1], "GATT[A or T]CA");
        assert_eq!(sites.counts[0], [0, 0, 3, 0]);
        assert_eq!([0, 1, 2, 3].map(|sequence| sites.sequences.contains(sequence)), [true, true, false, true]);
        assert_eq!(found.strata, [Some(0); 4]);
        assert_eq!((found.sequences, found.bins), (4, Bins::Shares(MOST_BINS)));
        assert!((found.background.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(found.background[0], found.background[3]);
        // Bases 4 to 10 and 10 to 16 of 21: centres at 7 and 13.
        let at = |centre: usize| found.bins.of(centre, 21);
        assert_eq!((sites.places[at(7)], sites.places[at(13)]), (1, 1));

        let forward = find(&filters, &set, false).unwrap();
        assert_eq!((forward.sites[0].n, forward.sites[0].reverse), (2, 0));
        let first = find(&filters, &Set::File { path: &path, limit: 1 }, false).unwrap();
        assert_eq!((first.sequences, first.sites[0].n), (1, 1));
        assert_eq!((first.bins, first.bins.count()), (Bins::Bases { length: 21, each: 1 }, 21));
        assert_eq!(first.sites[0].places[7], 1);
        assert_eq!((Bins::new(128, 128).count(), Bins::new(128, 128).start(43)), (43, 128.0));
    }

    #[test]
    fn a_filter_that_is_never_above_zero_has_no_sites() {
        let (_folder, path) = file(&["ccccGATTACAcccccccccc"]);
        let found = find(&filters_for("GATTACA", -8.0), &Set::File { path: &path, limit: 9 }, true).unwrap();
        assert_eq!((found.sites[0].largest, found.sites[0].n), (-1.0, 0));
    }

    #[test]
    fn sequences_that_are_too_short_are_named() {
        let (_folder, path) = file(&["ccccGATTACAcccccccccc", "GATTAC"]);
        let filters = filters_for("GATTACA", 0.0);
        let error = find(&filters, &Set::File { path: &path, limit: 9 }, true).unwrap_err().to_string();
        assert!(error.contains("s.fa: record 'r1' has 6 bp, expected 7 or more"), "{error}");
        let examples = Examples::from_codes(&[0; 12], 6, &[0.0, 1.0]);
        let set = Set::Examples { examples: &examples, chosen: vec![0, 1] };
        let error = find(&filters, &set, true).unwrap_err().to_string();
        assert!(error.contains("have 6 bp, expected 7 or more"), "{error}");
    }

    proptest! {
        #[test]
        fn both_strands_of_a_set_have_the_same_sites(codes in prop::collection::vec(0u8..5, 60)) {
            let filters = filters_for("GAT", -1.0);
            let mut other = codes.clone();
            other.chunks_mut(20).for_each(alphabet::reverse_complement);
            let [one, two] = [codes, other].map(|codes| {
                let examples = Examples::from_codes(&codes, 20, &[0.0; 3]);
                find(&filters, &Set::Examples { examples: &examples, chosen: vec![0, 1, 2] }, true).unwrap()
            });
            let [one, two] = [&one.sites[0], &two.sites[0]];
            prop_assert_eq!(&one.counts, &two.counts);
            prop_assert_eq!((one.n, one.n - one.reverse), (two.n, two.reverse));
            prop_assert_eq!(&one.sequences, &two.sequences);
        }
    }
}
