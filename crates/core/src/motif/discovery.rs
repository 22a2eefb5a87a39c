//! Motif discovery from attributions, independent of single filters: short important stretches (seqlets) are clustered
//! into consensus motifs.
//!
//! 1. The hypothetical importance of each base at each position is the gradient of the target, averaged along a path
//!    from an all-zero input to the sequence (Sundararajan and others, 2017), minus its mean over the four bases
//!    (Majdandzic and others, 2023); that of the base present is its importance. At the sequence itself gradients vanish
//!    for confident predictions.
//! 2. A seqlet is a stretch of 9 bp, with 6 bp on either side, whose summed importance is larger in magnitude than that
//!    of any stretch in 19 of 20 shuffled copies of the sequences; the strongest are taken first, and none overlaps the
//!    core of another.
//! 3. In order of strength, a seqlet joins the cluster with the most similar mean, or starts one. Similarity is the
//!    cosine of the importances, shifted by up to 6 bp, on either strand if the network reads both. Similar clusters are
//!    merged, every seqlet is reassigned to the most similar mean, and small clusters are dropped. Seqlets that raise the
//!    target and those that lower it are kept apart.
//! 4. A motif is the base composition of the seqlets in a cluster, over its important columns.
//!
//! TF-MoDISco (Shrikumar and others, 2018) clusters by gapped k-mers and by communities in a graph of nearest
//! neighbours, and refines clusters by density; it finds rarer motifs and separates similar ones that this method
//! merges.

use anyhow::Result;
use rayon::prelude::*;

use crate::attribute::gradients::BACKWARD_SHARE;
use crate::attribute::target::Explainer;
use crate::dataset::sequences;
use crate::evaluate;
use crate::metrics;
use crate::motif::sequence_set::SequenceSet;
use crate::motif::sites::{Bins, Found, Set, Sites, shares_of_bases};
use crate::motif::strata;
use crate::random::{self, Purpose};
use crate::sequence::alphabet::UNKNOWN;
use crate::sequence::shuffle::dinucleotide_shuffle;

/// Length in bp of the core, whose importance is summed, of each flank, and of the whole seqlet.
const CORE: usize = 9;
const FLANK: usize = 6;
const WIDTH: usize = CORE + 2 * FLANK;

/// Share of shuffled sequences that hold no seqlet.
const CONFIDENCE: f64 = 0.95;
/// Largest number of sequences that are shuffled: enough to estimate that share.
const SHUFFLED: usize = 500;

/// Smallest cosine at which a seqlet joins a cluster, and at which two clusters are merged.
const ALIKE: f32 = 0.5;
const SAME: f32 = 0.7;

/// Smallest number of seqlets of a motif, and largest number that are clustered: the strongest.
const LEAST: usize = 20;
const MOST: usize = 20_000;

/// Importance of a motif's outermost columns, as a share of its strongest column, at least.
const EDGE: f32 = 0.2;

/// Number of steps of the path from the all-zero input to the sequence.
const STEPS: usize = 4;

/// Importance of the base at each position of a seqlet, `[WIDTH, 4]`.
type Profile = [[f32; 4]; WIDTH];

/// Sequences of the network's length.
struct Sequences {
    length: usize,
    /// Codes, `[n, length]`.
    codes: Vec<u8>,
    /// Importance of each base present, `[n, length]`.
    importance: Vec<f32>,
}

/// A short stretch of high importance.
struct Seqlet {
    sequence: usize,
    /// Start in the sequence; negative, or too near the end for a whole seqlet, if the core lies near an end.
    start: i64,
    /// Magnitude of the summed importance of the core.
    strength: f32,
    profile: Profile,
}

/// Alignment of a seqlet or a cluster to a cluster.
#[derive(Clone, Copy)]
struct Alignment {
    cosine: f32,
    /// Column of the cluster that the first column is aligned to.
    offset: i64,
    reverse: bool,
}

/// A group of similar seqlets.
#[derive(Default)]
struct Cluster {
    sum: Profile,
    /// Indices of the seqlets, with their alignments.
    members: Vec<(usize, Alignment)>,
}

/// Finds motifs in a set of sequences and names them by number of seqlets: `for_1` and so on if they raise the target,
/// `against_1` and so on if they lower it.
///
/// # Errors
/// The sequences cannot be read, or gradients are not finite.
pub fn find(explainer: &Explainer, set: &Set, both_strands: bool, seed: u64) -> Result<(Vec<String>, Found)> {
    let length = explainer.length();
    let (mut codes, mut of_length) = (Vec::new(), Vec::new());
    set.for_each_batch(1, |_, batch| {
        for sequence in batch {
            sequences::fit(sequence, length, &mut of_length);
            codes.extend_from_slice(&of_length);
        }
    })?;
    let n = codes.len() / length;
    let shuffled = (0..n.min(SHUFFLED)).flat_map(|i| {
        let i = i * n / n.min(SHUFFLED);
        let mut random = random::generator(seed, Purpose::Discovery, i as u64, 0);
        dinucleotide_shuffle(&codes[i * length..(i + 1) * length], &mut random)
    });
    let shuffled = Sequences::explained(explainer, shuffled.collect())?;
    let sequences = Sequences::explained(explainer, codes)?;

    let bins = Bins::new(length, length);
    let (mut names, mut sites) = (Vec::new(), Vec::new());
    for (name, sign) in [("for", 1.0), ("against", -1.0)] {
        let threshold = shuffled.strongest(sign);
        let seqlets = sequences.seqlets(sign, threshold);
        let clusters = clusters(&seqlets, both_strands);
        for (i, cluster) in clusters.iter().enumerate() {
            names.push(format!("{name}_{}", i + 1));
            sites.push(sequences.sites(cluster, &seqlets, threshold, bins));
        }
    }
    let mut bases = [0; 4];
    sequences.codes.iter().filter(|&&code| code < UNKNOWN).for_each(|&code| bases[usize::from(code)] += 1);
    let background = shares_of_bases(bases, both_strands);
    let gc: Vec<f32> = sequences.codes.chunks(length).map(strata::gc_share).collect();
    let of_tested = |(i, stratum): (usize, u16)| (!chooses(i)).then_some(stratum);
    let strata = strata::by_gc(&gc).into_iter().enumerate().map(of_tested).collect();
    Ok((names, Found { sites, sequences: n as u64, strata, bins, background }))
}

/// Whether a sequence has a part in choosing the motifs: every second by a hash, as classes may stand by turns. Enrichment is
/// tested with the others.
fn chooses(sequence: usize) -> bool {
    random::hash(&(sequence as u64).to_le_bytes()) & 1 == 0
}

impl Sequences {
    fn explained(explainer: &Explainer, codes: Vec<u8>) -> Result<Self> {
        let length = explainer.length();
        let mut importance = Vec::with_capacity(codes.len());
        let batch = (evaluate::batch_size(length) / BACKWARD_SHARE).max(1) * length;
        for codes in codes.chunks(batch) {
            let input = explainer.input(codes);
            let mut sum = vec![0.0f32; input.len()];
            for step in 0..STEPS {
                let share = ((step as f64 + 0.5) / STEPS as f64) as f32;
                let inputs: Vec<f32> = input.iter().map(|base| base * share).collect();
                sum.iter_mut().zip(explainer.gradients(&inputs)?).for_each(|(sum, gradient)| *sum += gradient);
            }
            for (codes, sum) in codes.chunks(length).zip(sum.chunks(4 * length)) {
                importance.extend(codes.iter().enumerate().map(|(position, &code)| {
                    let gradient = |base: usize| sum[base * length + position] / STEPS as f32;
                    let mean = (0..4).map(gradient).sum::<f32>() / 4.0;
                    if code < UNKNOWN { gradient(usize::from(code)) - mean } else { 0.0 }
                }));
            }
        }
        Ok(Self { length, codes, importance })
    }

    /// Summed importance of each core in a sequence, times `sign`.
    fn cores(&self, sequence: usize, sign: f32) -> impl Iterator<Item = f32> {
        let own = &self.importance[sequence * self.length..(sequence + 1) * self.length];
        own.windows(CORE.min(self.length)).map(move |core| sign * core.iter().sum::<f32>())
    }

    fn len(&self) -> usize {
        self.codes.len() / self.length
    }

    /// Upper bound of the strongest core in most of the sequences.
    fn strongest(&self, sign: f32) -> f32 {
        let strongest = |sequence| f64::from(self.cores(sequence, sign).fold(0.0, f32::max));
        let mut all: Vec<f64> = (0..self.len()).map(strongest).collect();
        all.sort_by(f64::total_cmp);
        metrics::quantile(&all, CONFIDENCE).unwrap_or(0.0) as f32
    }

    /// The seqlets above a threshold, in falling order of strength.
    fn seqlets(&self, sign: f32, threshold: f32) -> Vec<Seqlet> {
        let of = |sequence: usize| {
            let mut cores: Vec<(usize, f32)> = self.cores(sequence, sign).enumerate().collect();
            cores.retain(|(_, strength)| *strength > threshold);
            cores.sort_by(|a, b| b.1.total_cmp(&a.1));
            let mut taken: Vec<(usize, f32)> = Vec::new();
            for (start, strength) in cores {
                if taken.iter().all(|(other, _)| start.abs_diff(*other) >= CORE) {
                    taken.push((start, strength));
                }
            }
            taken.into_iter().map(move |(start, strength)| {
                let start = start as i64 - FLANK as i64;
                Seqlet { sequence, start, strength, profile: self.profile(sequence, start, sign) }
            })
        };
        let mut seqlets: Vec<Seqlet> = (0..self.len()).flat_map(of).collect();
        seqlets.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        seqlets.truncate(MOST);
        seqlets
    }

    fn profile(&self, sequence: usize, start: i64, sign: f32) -> Profile {
        let mut profile = [[0.0; 4]; WIDTH];
        for (column, position) in profile.iter_mut().zip(start..) {
            if let Some(code) = self.base(sequence, position) {
                column[usize::from(code)] = sign * self.importance[sequence * self.length + position as usize];
            }
        }
        profile
    }

    /// The base at a position of a sequence, if there is one and it is known.
    fn base(&self, sequence: usize, position: i64) -> Option<u8> {
        let position = usize::try_from(position).ok().filter(|position| *position < self.length)?;
        Some(self.codes[sequence * self.length + position]).filter(|code| *code < UNKNOWN)
    }

    /// Bases of the seqlets at the important columns of a cluster.
    fn sites(&self, cluster: &Cluster, seqlets: &[Seqlet], threshold: f32, bins: Bins) -> Sites {
        let columns = cluster.columns();
        let mut sites = Sites {
            largest: 0.0,
            threshold,
            n: cluster.members.len() as u64,
            reverse: 0,
            counts: vec![[0; 4]; columns.len()],
            places: vec![0; bins.count()],
            sequences: SequenceSet::default(),
        };
        for (member, Alignment { offset, reverse, .. }) in &cluster.members {
            let Seqlet { sequence, start, strength, .. } = &seqlets[*member];
            sites.largest = sites.largest.max(*strength);
            sites.reverse += u64::from(*reverse);
            sites.sequences.insert(*sequence);
            let position = |column: usize| {
                let own = column as i64 - offset;
                start + if *reverse { WIDTH as i64 - 1 - own } else { own }
            };
            for (counts, column) in sites.counts.iter_mut().zip(columns.clone()) {
                if let Some(code) = self.base(*sequence, position(column)) {
                    counts[usize::from(if *reverse { 3 - code } else { code })] += 1;
                }
            }
            let middle = position((columns.start + columns.end) / 2).clamp(0, self.length as i64 - 1);
            sites.places[bins.of(middle as usize, self.length)] += 1;
        }
        sites
    }
}

impl Cluster {
    fn add(&mut self, member: usize, profile: &Profile, alignment: Alignment) {
        let profile = if alignment.reverse { reverse_complement(profile) } else { *profile };
        for (column, own) in (alignment.offset..).zip(&profile) {
            if let Some(sum) = usize::try_from(column).ok().and_then(|column| self.sum.get_mut(column)) {
                sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
        self.members.push((member, alignment));
    }

    /// Range from the first to the last important column.
    fn columns(&self) -> std::ops::Range<usize> {
        let importance = self.sum.map(|column| column.iter().sum::<f32>());
        let most = importance.iter().copied().fold(0.0, f32::max);
        let counts = |&column: &usize| importance[column] >= EDGE * most;
        let first = (0..WIDTH).find(counts).unwrap_or(0);
        let last = (0..WIDTH).rev().find(counts).unwrap_or(WIDTH - 1);
        first..last + 1
    }
}

/// Clusters seqlets, which come in falling order of strength; returns the largest cluster first.
fn clusters(seqlets: &[Seqlet], both_strands: bool) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (member, seqlet) in seqlets.iter().enumerate().filter(|(_, seqlet)| chooses(seqlet.sequence)) {
        match most_alike(&seqlet.profile, &clusters, both_strands) {
            Some((cluster, alignment)) => clusters[cluster].add(member, &seqlet.profile, alignment),
            None => {
                let mut cluster = Cluster::default();
                cluster.add(member, &seqlet.profile, Alignment { cosine: 1.0, offset: 0, reverse: false });
                clusters.push(cluster);
            }
        }
    }
    // Of similar clusters, the largest represents all.
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.members.len()));
    clusters.retain(|cluster| cluster.members.len() >= LEAST / 2);
    let mut means: Vec<Cluster> = Vec::new();
    for cluster in clusters {
        if most_alike(&cluster.sum, &means, both_strands).is_none_or(|(_, alignment)| alignment.cosine < SAME) {
            means.push(cluster);
        }
    }
    let chosen: Vec<_> = seqlets.par_iter().map(|seqlet| most_alike(&seqlet.profile, &means, both_strands)).collect();
    let mut clusters: Vec<Cluster> = means.iter().map(|_| Cluster::default()).collect();
    for (member, chosen) in chosen.into_iter().enumerate() {
        if let Some((cluster, alignment)) = chosen {
            clusters[cluster].add(member, &seqlets[member].profile, alignment);
        }
    }
    clusters.retain(|cluster| cluster.members.len() >= LEAST);
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.members.len()));
    clusters
}

/// The cluster most similar to a profile, with the alignment, if any is similar enough.
fn most_alike(profile: &Profile, clusters: &[Cluster], both_strands: bool) -> Option<(usize, Alignment)> {
    let strands = [Some(*profile), both_strands.then(|| reverse_complement(profile))];
    let of = |(i, cluster): (usize, &Cluster)| {
        let whole = norm(profile) * norm(&cluster.sum);
        let each =
            strands.iter().zip([false, true]).filter_map(|(profile, reverse)| Some((profile.as_ref()?, reverse)));
        let alignments = each.flat_map(|(profile, reverse)| {
            let offsets = -(FLANK as i64)..=FLANK as i64;
            offsets.map(move |offset| Alignment { cosine: dot(profile, &cluster.sum, offset) / whole, offset, reverse })
        });
        // The first of equals.
        let best = alignments.reduce(|best, other| if other.cosine > best.cosine { other } else { best })?;
        (best.cosine >= ALIKE).then_some((i, best))
    };
    let alike = clusters.iter().enumerate().filter_map(of);
    alike.reduce(|best, other| if other.1.cosine > best.1.cosine { other } else { best })
}

fn norm(profile: &Profile) -> f32 {
    profile.iter().flatten().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
}

/// Cosine of two profiles with the first column of one at column `offset` of the other.
fn dot(profile: &Profile, other: &Profile, offset: i64) -> f32 {
    let skip = |by: i64| usize::try_from(by).unwrap_or(0);
    let pairs = profile[skip(-offset)..].iter().zip(&other[skip(offset)..]);
    pairs.map(|(a, b)| a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]).sum()
}

fn reverse_complement(profile: &Profile) -> Profile {
    std::array::from_fn(|column| {
        let [a, c, g, t] = profile[WIDTH - 1 - column];
        [t, g, c, a]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::alphabet;
    use crate::sequence::motif::Motif;
    use rand::RngExt;

    /// Sequences of which every second holds a word, on either strand by turns, that alone is important; what else there is
    /// has importances around 0.
    fn planted(word: &str, n: usize, length: usize) -> Sequences {
        let mut random = random::generator(3, Purpose::Discovery, 0, 0);
        let mut codes: Vec<u8> = (0..n * length).map(|_| random.random_range(0..4u8)).collect();
        let mut importance: Vec<f32> = (0..n * length).map(|_| random.random_range(-0.05..0.05)).collect();
        for i in (0..n).step_by(2) {
            let mut own: Vec<u8> = Vec::new();
            alphabet::encode(word.as_bytes(), &mut own).unwrap();
            if i % 4 == 0 {
                alphabet::reverse_complement(&mut own);
            }
            let start = i * length + random.random_range(0..=length - own.len());
            codes[start..start + own.len()].copy_from_slice(&own);
            importance[start..start + own.len()].fill(1.0);
        }
        Sequences { length, codes, importance }
    }

    fn consensus(sites: &Sites) -> String {
        Motif::from_counts("m".into(), &sites.counts, sites.n).consensus()
    }

    #[test]
    fn a_planted_word_is_one_motif_on_whichever_strand_it_lies() {
        let sequences = planted("GATTACAGC", 400, 60);
        let seqlets = sequences.seqlets(1.0, 1.0);
        assert_eq!(seqlets.len(), 200);
        let bins = Bins::new(60, 60);
        for (both_strands, motifs) in [(true, 1), (false, 2)] {
            let found = clusters(&seqlets, both_strands);
            assert_eq!(found.len(), motifs);
            let sites = sequences.sites(&found[0], &seqlets, 1.0, bins);
            let word = consensus(&sites);
            assert!(["GATTACAGC", "GCTGTAATC"].contains(&word.as_str()), "{word}");
            assert_eq!((sites.n, sites.sequences.len()), (200 / motifs as u64, 200 / motifs as u64));
            assert!((0..400).all(|sequence| sequence % 2 == 0 || !sites.sequences.contains(sequence)));
            assert_eq!(sites.places.iter().sum::<u64>(), sites.n);
            if both_strands {
                assert_eq!(sites.reverse, 100);
            }
        }
    }

    #[test]
    fn two_words_are_two_motifs_and_chance_is_none() {
        let [one, other] = ["GATTACAGC", "CCACGTGGA"].map(|word| planted(word, 400, 60));
        let both = Sequences {
            length: 60,
            codes: [one.codes, other.codes].concat(),
            importance: [one.importance, other.importance].concat(),
        };
        let seqlets = both.seqlets(1.0, 1.0);
        let found = clusters(&seqlets, true);
        let words: Vec<String> =
            found.iter().map(|cluster| consensus(&both.sites(cluster, &seqlets, 1.0, Bins::new(60, 60)))).collect();
        assert_eq!(words.len(), 2, "{words:?}");
        for strands in [["GATTACAGC", "GCTGTAATC"], ["CCACGTGGA", "TCCACGTGG"]] {
            assert!(strands.iter().any(|word| words.iter().any(|found| found == word)), "{words:?}");
        }

        let mut random = random::generator(5, Purpose::Discovery, 0, 0);
        let n = 300 * 60;
        let noise = Sequences {
            length: 60,
            codes: (0..n).map(|_| random.random_range(0..4u8)).collect(),
            importance: (0..n).map(|_| random.random_range(-1.0..1.0)).collect(),
        };
        let seqlets = noise.seqlets(1.0, noise.strongest(1.0));
        assert!(seqlets.len() <= 20, "{}", seqlets.len());
        assert!(clusters(&seqlets, true).is_empty());
    }
}
