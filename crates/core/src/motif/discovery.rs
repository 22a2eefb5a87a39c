//! Motif discovery from attributions, independent of single filters: short important stretches (seqlets) are clustered
//! into consensus motifs.
//!
//! 1. The hypothetical importance of each base at each position is the gradient of the target, averaged along a path
//!    from an all-zero input to the sequence (Sundararajan and others, 2017), minus its mean over the four bases
//!    (Majdandzic and others, 2023); that of the base present is its importance. At the sequence itself gradients vanish
//!    for confident predictions.
//! 2. A seqlet is a stretch of 9 bp, with 6 bp on either side, whose summed importance is larger in magnitude than that
//!    of any stretch in 19 of 20 shuffled copies of the sequences; the strongest are taken first, and the 9 bp of none
//!    overlap another seqlet, so that a motif as wide as a seqlet makes one.
//! 3. In order of strength, a seqlet joins the cluster with the most similar mean, or starts one (`clusters`). Clusters
//!    with similar means become one, and every seqlet joins the most similar mean again, until nothing changes. Only every
//!    second sequence has a part in this; the seqlets of the others are assigned at the end, and enrichment is tested with
//!    them. Seqlets that raise the target and those that lower it are kept apart.
//! 4. A motif is the base composition of the sites of a cluster, one for seqlets that overlap, over its important columns
//!    and the informative ones next to them. One whose information lies mostly within stronger sites of the other sign is
//!    only what stands beside those, and is dropped.
//!
//! TF-MoDISco (Shrikumar and others, 2018) clusters by gapped k-mers and by communities in a graph of nearest
//! neighbours, and refines clusters by density; it finds rarer motifs and separates similar ones that this method
//! merges.

mod clusters;

use std::collections::BTreeMap;

use anyhow::Result;

use crate::attribute::gradients::BACKWARD_SHARE;
use crate::attribute::target::Explainer;
use crate::dataset::sequences;
use crate::evaluate;
use crate::metrics;
use crate::motif::discovery::clusters::{Alignment, Cluster, FRAME, clusters};
use crate::motif::sequence_set::SequenceSet;
use crate::motif::sites::{Bins, Found, Set, Sites, shares_of_bases};
use crate::motif::strata;
use crate::random::{self, Purpose};
use crate::sequence::alphabet::UNKNOWN;
use crate::sequence::motif::{Motif, relative_bits};
use crate::sequence::shuffle::dinucleotide_shuffle;

/// Length in bp of the core, whose importance is summed, of each flank, and of the whole seqlet.
const CORE: usize = 9;
const FLANK: usize = 6;
const WIDTH: usize = CORE + 2 * FLANK;

/// Share of shuffled sequences that hold no seqlet.
const CONFIDENCE: f64 = 0.95;
/// Largest number of sequences that are shuffled: enough to estimate that share.
const SHUFFLED: usize = 500;

/// Largest number of seqlets that are clustered: the strongest.
const MOST: usize = 20_000;

/// Importance of a motif's outermost columns, as a share of its strongest column, at least.
const EDGE: f32 = 0.2;

/// Information in bits, relative to the composition of the sequences, by which columns beside the important ones belong to a
/// motif: the network may need a part of a word only.
const EDGE_BITS: f64 = 0.5;

/// Smallest number of informative columns of a motif; a base or two alike in all sites are no word.
const LEAST_COLUMNS: usize = 4;

/// Motifs that raise the target, and those that lower it.
const SIGNS: [(&str, f32); 2] = [("for", 1.0), ("against", -1.0)];

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

    let mut bases = [0; 4];
    sequences.codes.iter().filter(|&&code| code < UNKNOWN).for_each(|&code| bases[usize::from(code)] += 1);
    let background = shares_of_bases(bases, both_strands);
    let bins = Bins::new(length, length);
    let thresholds = SIGNS.map(|(_, sign)| shuffled.strongest(sign));
    let motifs = sequences.of_both_signs(thresholds, both_strands, &background);
    let (mut names, mut sites) = (Vec::new(), Vec::new());
    for (((name, _), threshold), placed) in SIGNS.into_iter().zip(thresholds).zip(motifs) {
        for (i, placed) in placed.iter().enumerate() {
            names.push(format!("{name}_{}", i + 1));
            sites.push(sequences.sites(placed, threshold, bins));
        }
    }
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
                if taken.iter().all(|(other, _)| start.abs_diff(*other) >= CORE + FLANK) {
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

    /// The motifs of each sign, from seqlets above its threshold. What stands beside a strong site often has some importance of
    /// the other sign, and would be a motif only for that site in it: those are dropped.
    fn of_both_signs(&self, thresholds: [f32; 2], both_strands: bool, background: &[f64; 4]) -> [Vec<Placed>; 2] {
        let [raising, lowering] = [0, 1].map(|i| {
            let seqlets = self.seqlets(SIGNS[i].1, thresholds[i]);
            let clusters = clusters(&seqlets, both_strands, |seqlet| chooses(seqlet.sequence));
            self.motifs(&clusters, &seqlets, background)
        });
        let is_other = |own: &Placed, others: &[Placed]| {
            let bits = self.bits(own, background);
            let within = |place: &&Place| others.iter().any(|other| other.holds_most(&bits, place));
            2 * own.places.values().flatten().filter(within).count() > own.len()
        };
        let kept = |own: &[Placed], others: &[Placed]| own.iter().map(|own| !is_other(own, others)).collect::<Vec<_>>();
        let keep = [kept(&raising, &lowering), kept(&lowering, &raising)];
        let mut motifs = [raising, lowering];
        for (motifs, keep) in motifs.iter_mut().zip(keep) {
            let mut keep = keep.into_iter();
            motifs.retain(|_| keep.next() == Some(true));
        }
        motifs
    }

    /// The motifs of clusters, those with the most sites first. A cluster most of whose sites lie within those of a larger one
    /// is a part of that motif and dropped, as is one without a word.
    fn motifs(&self, clusters: &[Cluster], seqlets: &[Seqlet], background: &[f64; 4]) -> Vec<Placed> {
        let mut all: Vec<Placed> = clusters.iter().map(|cluster| self.placed(cluster, seqlets, background)).collect();
        all.sort_by_key(|placed| std::cmp::Reverse(placed.len()));
        let mut kept: Vec<Placed> = Vec::new();
        for placed in all {
            let is_part = kept.iter().any(|larger| {
                let within = |place: &&Place| 2 * larger.overlap(place, placed.width) >= placed.width;
                2 * placed.places.values().flatten().filter(within).count() > placed.len()
            });
            let informative = self.bits(&placed, background).iter().filter(|&&bits| bits > 0.0).count();
            if !is_part && placed.len() >= clusters::LEAST && informative >= LEAST_COLUMNS {
                kept.push(placed);
            }
        }
        kept
    }

    /// Information of each column of a motif in bits, relative to the composition of the sequences; 0 where it says little.
    fn bits(&self, placed: &Placed, background: &[f64; 4]) -> Vec<f64> {
        let motif = Motif::from_counts(String::new(), &self.site_counts(placed), placed.len() as u64);
        let bits = motif.columns.iter().map(|column| relative_bits(column, background));
        bits.map(|bits| if bits >= EDGE_BITS { bits } else { 0.0 }).collect()
    }

    /// Bases of the sites of a motif, `[width, 4]`.
    fn site_counts(&self, placed: &Placed) -> Vec<[u64; 4]> {
        let mut counts = vec![[0; 4]; placed.width];
        for place in placed.places.values().flatten() {
            for (column, counts) in counts.iter_mut().enumerate() {
                if let Some(code) = self.base(place.sequence, place.position(column, placed.width)) {
                    counts[usize::from(if place.reverse { 3 - code } else { code })] += 1;
                }
            }
        }
        counts
    }

    /// The sites of a cluster: of seqlets that overlap in the columns of the motif, the strongest alone.
    fn placed(&self, cluster: &Cluster, seqlets: &[Seqlet], background: &[f64; 4]) -> Placed {
        let (first, last) = cluster.important_columns(EDGE);
        let counts = self.counts(cluster, seqlets);
        let motif = Motif::from_counts(String::new(), &counts, cluster.members.len() as u64);
        let says = |column: i64| {
            usize::try_from(column)
                .ok()
                .and_then(|column| motif.columns.get(column))
                .is_some_and(|column| relative_bits(column, background) >= EDGE_BITS)
        };
        // Past one column that says nothing, as within many motifs.
        let beside = |from: i64, step: i64| {
            let mut at = from;
            while says(at + step) || (says(at + 2 * step) && says(at + 3 * step)) {
                at += step;
            }
            at
        };
        let (first, last) = (beside(first as i64, -1), beside(last as i64, 1));
        let mut members: Vec<&(usize, Alignment)> = cluster.members.iter().collect();
        members.sort_by_key(|(member, _)| *member); // in falling order of strength
        let mut placed = Placed { width: (last - first + 1) as usize, places: BTreeMap::new() };
        for (member, alignment) in members {
            let Seqlet { sequence, start, strength, .. } = &seqlets[*member];
            let ends = [first, last].map(|column| alignment.position(*start, column));
            let (sequence, start, strength) = (*sequence, ends[0].min(ends[1]), *strength);
            let place = Place { sequence, start, reverse: alignment.reverse, strength };
            if placed.overlap(&place, placed.width) == 0 {
                placed.places.entry(sequence).or_default().push(place);
            }
        }
        placed
    }

    /// Bases of all seqlets of a cluster in its frame, `[FRAME, 4]`.
    fn counts(&self, cluster: &Cluster, seqlets: &[Seqlet]) -> Vec<[u64; 4]> {
        let mut counts = vec![[0; 4]; FRAME];
        for (member, alignment) in &cluster.members {
            let Seqlet { sequence, start, .. } = &seqlets[*member];
            for (column, counts) in (0..).zip(&mut counts) {
                if let Some(code) = self.base(*sequence, alignment.position(*start, column)) {
                    counts[usize::from(if alignment.reverse { 3 - code } else { code })] += 1;
                }
            }
        }
        counts
    }

    fn sites(&self, placed: &Placed, threshold: f32, bins: Bins) -> Sites {
        let mut sites = Sites {
            largest: 0.0,
            threshold,
            n: placed.len() as u64,
            reverse: 0,
            counts: self.site_counts(placed),
            places: vec![0; bins.count()],
            sequences: SequenceSet::default(),
        };
        for place in placed.places.values().flatten() {
            sites.largest = sites.largest.max(place.strength);
            sites.reverse += u64::from(place.reverse);
            sites.sequences.insert(place.sequence);
            let middle = (place.start + placed.width as i64 / 2).clamp(0, self.length as i64 - 1);
            sites.places[bins.of(middle as usize, self.length)] += 1;
        }
        sites
    }
}

/// The sites of a motif, by sequence.
struct Placed {
    width: usize,
    places: BTreeMap<usize, Vec<Place>>,
}

/// One site, on the strand as given.
struct Place {
    sequence: usize,
    start: i64,
    reverse: bool,
    strength: f32,
}

impl Place {
    /// Position in the sequence of a column of a motif of `width` bp.
    fn position(&self, column: usize, width: usize) -> i64 {
        self.start + if self.reverse { width - 1 - column } else { column } as i64
    }
}

impl Placed {
    /// Number of sites.
    fn len(&self) -> usize {
        self.places.values().map(Vec::len).sum()
    }

    /// Positions that a site of a motif of `width` bp shares with one of these, at most.
    fn overlap(&self, place: &Place, width: usize) -> usize {
        let shared = |other: &Place| {
            let end = (place.start + width as i64).min(other.start + self.width as i64);
            usize::try_from(end - place.start.max(other.start)).unwrap_or(0)
        };
        self.places.get(&place.sequence).into_iter().flatten().map(shared).max().unwrap_or(0)
    }

    /// Whether most of the information of a site, `bits` for each column, lies within a stronger one of these.
    fn holds_most(&self, bits: &[f64], place: &Place) -> bool {
        let holds = |other: &Place| {
            let span = other.start..other.start + self.width as i64;
            let within = (0..bits.len()).filter(|&column| span.contains(&place.position(column, bits.len())));
            let within: f64 = within.map(|column| bits[column]).sum();
            other.strength > place.strength && 2.0 * within > bits.iter().sum()
        };
        self.places.get(&place.sequence).into_iter().flatten().any(holds)
    }
}

#[cfg(test)]
mod tests;
