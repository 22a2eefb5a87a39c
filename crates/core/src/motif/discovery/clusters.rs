//! Clusters of seqlets by the similarity of their importances. Similarity is the cosine of a seqlet and the mean of a
//! cluster, shifted by up to 6 bp either way, on either strand if the network reads both.

use rayon::prelude::*;

use super::{FLANK, Profile, Seqlet, WIDTH};

/// Columns of a cluster: those of a seqlet that is shifted to either side.
pub const FRAME: usize = WIDTH + 2 * FLANK;

/// Smallest number of seqlets of a motif.
pub const LEAST: usize = 20;

/// Smallest cosine at which a seqlet joins a cluster, and at which two clusters are one.
const ALIKE: f32 = 0.5;
const SAME: f32 = 0.7;

/// Columns in which two clusters have another base, each in most of its seqlets, from which on they are two motifs although
/// their importances are alike, and what share that is. Members of a family of factors differ in fewer.
const OTHER_COLUMNS: usize = 3;
const MOST_OF: f32 = 0.7;

/// Largest number of clusters to begin with; by then a seqlet that is like none is hardly the first of many.
const MOST_STARTS: usize = 300;

/// How often clusters are made anew from their means, at most; a few times are enough for nothing to change.
const MOST_ROUNDS: usize = 20;

/// Summed importances in a cluster's frame, `[FRAME, 4]`.
type Frame = [[f32; 4]; FRAME];

/// How a seqlet lies in a cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    cosine: f32,
    /// Column of the cluster that the first column of the seqlet is aligned to, after it was read on its strand.
    offset: usize,
    /// Whether the reverse complement of the seqlet is aligned.
    pub reverse: bool,
}

impl Alignment {
    /// Position in the sequence of a column of the cluster, for a seqlet that starts at `start`.
    pub fn position(&self, start: i64, column: i64) -> i64 {
        let own = column - self.offset as i64;
        start + if self.reverse { WIDTH as i64 - 1 - own } else { own }
    }
}

/// A group of similar seqlets.
#[derive(Clone)]
pub(super) struct Cluster {
    sum: Frame,
    /// Number of seqlets with each base.
    bases: Frame,
    /// Indices of the seqlets, with their alignments.
    pub members: Vec<(usize, Alignment)>,
}

impl Cluster {
    fn empty() -> Self {
        Self { sum: [[0.0; 4]; FRAME], bases: [[0.0; 4]; FRAME], members: Vec::new() }
    }

    fn add(&mut self, member: usize, profile: &Profile, alignment: Alignment) {
        let profile = if alignment.reverse { reverse_complement(profile) } else { *profile };
        add(&mut self.sum[alignment.offset..], &profile);
        // The base that is there is the one with an importance.
        let bases = profile.map(|column| column.map(|number| f32::from(u8::from(number != 0.0))));
        add(&mut self.bases[alignment.offset..], &bases);
        self.members.push((member, alignment));
    }

    /// The first and the last column with at least `share` of the importance of the strongest.
    pub fn important_columns(&self, share: f32) -> (usize, usize) {
        let importance = self.sum.map(|column| column.iter().sum::<f32>());
        let most = importance.iter().copied().fold(0.0, f32::max);
        let counts = |&column: &usize| importance[column] >= share * most;
        let first = (0..FRAME).find(counts).unwrap_or(0);
        let last = (0..FRAME).rev().find(counts).unwrap_or(FRAME - 1);
        (first, last)
    }

    /// The same with its important columns in the middle of the frame, as a mean: without members.
    fn centred(&self) -> Self {
        let (first, last) = self.important_columns(super::EDGE);
        let shift = (FRAME as i64 - 1 - (first + last) as i64) / 2;
        let mut mean = Self::empty();
        mean.add_shifted(self, shift);
        mean
    }

    /// Adds the importances and bases of another, which is shifted to the right, or to the left where `shift` is negative.
    fn add_shifted(&mut self, other: &Self, shift: i64) {
        add_shifted(&mut self.sum, &other.sum, shift);
        add_shifted(&mut self.bases, &other.bases, shift);
    }

    /// The same on the other strand, without members.
    fn reversed(&self) -> Self {
        Self { sum: reversed(&self.sum), bases: reversed(&self.bases), members: Vec::new() }
    }

    /// Whether another, which lies in the same way, has other bases in several columns.
    fn has_other_bases(&self, other: &Self) -> bool {
        let most = |column: &[f32; 4]| {
            let all: f32 = column.iter().sum();
            (0..4).find(|&base| all > 0.0 && column[base] >= MOST_OF * all)
        };
        let each = self.bases.iter().zip(&other.bases).map(|(a, b)| most(a).zip(most(b)));
        each.flatten().filter(|(a, b)| a != b).count() >= OTHER_COLUMNS
    }
}

/// Clusters seqlets, which come in falling order of strength, largest cluster first. Only those that `chooses` accepts have a
/// part in what the clusters are; the others join the most similar.
pub(super) fn clusters(seqlets: &[Seqlet], both_strands: bool, chooses: impl Fn(&Seqlet) -> bool) -> Vec<Cluster> {
    let choosing: Vec<usize> = (0..seqlets.len()).filter(|&i| chooses(&seqlets[i])).collect();
    let everyone: Vec<usize> = (0..seqlets.len()).collect();
    let means = |mut clusters: Vec<Cluster>| -> Vec<Cluster> {
        clusters.retain(|cluster| cluster.members.len() >= LEAST / 2);
        merged(clusters, both_strands).iter().map(Cluster::centred).collect()
    };
    let mut clusters = begun(seqlets, &choosing, both_strands);
    for _ in 0..MOST_ROUNDS {
        let before = means(clusters);
        clusters = joined(seqlets, &choosing, &before, both_strands);
        if !is_stable(&clusters, &before) {
            continue;
        }
        let parts: Vec<Vec<Cluster>> =
            clusters.par_iter().map(|cluster| parted(seqlets, cluster, both_strands)).collect();
        if parts.iter().all(|parts| parts.len() == 1) {
            break;
        }
        clusters = parts.into_iter().flatten().collect();
    }
    let mut clusters = joined(seqlets, &everyone, &means(clusters), both_strands);
    clusters.retain(|cluster| cluster.members.len() >= LEAST);
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.members.len()));
    clusters
}

/// Two clusters instead of one whose mean is a blend of two motifs: along the direction in which its seqlets, as they are
/// aligned, differ most. The cluster as it is where the two have similar means.
fn parted(seqlets: &[Seqlet], cluster: &Cluster, both_strands: bool) -> Vec<Cluster> {
    let whole = || vec![cluster.clone()];
    let n = cluster.members.len();
    if n < LEAST {
        return whole();
    }
    let mean = cluster.sum.map(|column| column.map(|number| number / n as f32));
    let differences: Vec<Frame> = cluster
        .members
        .iter()
        .map(|(member, alignment)| {
            let mut difference = mean.map(|column| column.map(|number| -number));
            let profile = &seqlets[*member].profile;
            let profile = if alignment.reverse { reverse_complement(profile) } else { *profile };
            add(&mut difference[alignment.offset..], &profile);
            difference
        })
        .collect();
    // The first principal component by power iteration.
    let mut direction = differences[0];
    for _ in 0..MOST_ROUNDS {
        let mut next = [[0.0; 4]; FRAME];
        for difference in &differences {
            let share = dot(difference, &direction);
            next.iter_mut().flatten().zip(difference.iter().flatten()).for_each(|(next, own)| *next += share * own);
        }
        let length = norm(&next);
        direction = next.map(|column| column.map(|number| number / length));
    }
    let mut sides = [Cluster::empty(), Cluster::empty()];
    for ((member, alignment), difference) in cluster.members.iter().zip(&differences) {
        let side = usize::from(dot(difference, &direction) < 0.0);
        sides[side].add(*member, &seqlets[*member].profile, *alignment);
    }
    let members: Vec<usize> = cluster.members.iter().map(|(member, _)| *member).collect();
    let mut sides = sides.to_vec();
    for _ in 0..MOST_ROUNDS / 2 {
        let means: Vec<Cluster> = sides.iter().map(Cluster::centred).collect();
        sides = joined(seqlets, &members, &means, both_strands);
    }
    if sides.iter().any(|side| side.members.len() < LEAST / 2) || merged(sides.clone(), both_strands).len() == 1 {
        return whole();
    }
    sides
}

/// Whether clusters are what their means were.
fn is_stable(clusters: &[Cluster], means: &[Cluster]) -> bool {
    clusters.iter().zip(means).all(|(cluster, mean)| {
        let whole = norm(&cluster.sum) * norm(&mean.sum);
        dot(&cluster.sum, &mean.sum) / whole > 0.9999
    })
}

/// Clusters by one pass over the seqlets, the strongest first.
fn begun(seqlets: &[Seqlet], choosing: &[usize], both_strands: bool) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for &member in choosing {
        let profile = &seqlets[member].profile;
        match most_alike(profile, &clusters, both_strands) {
            Some((cluster, alignment)) => clusters[cluster].add(member, profile, alignment),
            None if clusters.len() < MOST_STARTS => {
                let mut cluster = Cluster::empty();
                cluster.add(member, profile, Alignment { cosine: 1.0, offset: FLANK, reverse: false });
                clusters.push(cluster);
            }
            None => {}
        }
    }
    clusters
}

/// Adds clusters with similar means to the largest of them, in its orientation. Their members are not kept.
fn merged(mut clusters: Vec<Cluster>, both_strands: bool) -> Vec<Cluster> {
    clusters.sort_by_key(|cluster| std::cmp::Reverse(cluster.members.len()));
    let mut means: Vec<Cluster> = Vec::new();
    for cluster in clusters {
        let strands = [cluster.clone(), cluster.reversed()];
        let mut best: Option<(f32, usize, Cluster)> = None;
        for (i, mean) in means.iter().enumerate() {
            for own in &strands[..1 + usize::from(both_strands)] {
                for shift in -2 * (FLANK as i64)..=2 * FLANK as i64 {
                    let mut shifted = Cluster::empty();
                    shifted.add_shifted(own, shift);
                    let cosine = dot(&shifted.sum, &mean.sum) / (norm(&own.sum) * norm(&mean.sum));
                    if cosine >= SAME && best.as_ref().is_none_or(|(most, ..)| cosine > *most) {
                        best = Some((cosine, i, shifted));
                    }
                }
            }
        }
        match best {
            Some((_, i, shifted)) if !means[i].has_other_bases(&shifted) => means[i].add_shifted(&shifted, 0),
            _ => means.push(cluster),
        }
    }
    means
}

/// Clusters of the seqlets that are similar to one of the means.
fn joined(seqlets: &[Seqlet], choosing: &[usize], means: &[Cluster], both_strands: bool) -> Vec<Cluster> {
    let chosen: Vec<_> = choosing.par_iter().map(|&i| most_alike(&seqlets[i].profile, means, both_strands)).collect();
    let mut clusters: Vec<Cluster> = means.iter().map(|_| Cluster::empty()).collect();
    for (&member, chosen) in choosing.iter().zip(chosen) {
        if let Some((cluster, alignment)) = chosen {
            clusters[cluster].add(member, &seqlets[member].profile, alignment);
        }
    }
    clusters
}

/// The cluster most similar to a profile, with the alignment, if any is similar enough.
fn most_alike(profile: &Profile, clusters: &[Cluster], both_strands: bool) -> Option<(usize, Alignment)> {
    let strands = [(*profile, false), (reverse_complement(profile), true)];
    let strands = &strands[..1 + usize::from(both_strands)];
    let own = norm(profile);
    let mut best: Option<(usize, Alignment)> = None;
    for (i, cluster) in clusters.iter().enumerate() {
        let whole = own * norm(&cluster.sum);
        for (profile, reverse) in strands {
            for offset in 0..=FRAME - WIDTH {
                let cosine = dot(profile, &cluster.sum[offset..]) / whole;
                // The first of equals.
                if cosine >= ALIKE && best.is_none_or(|(_, best)| cosine > best.cosine) {
                    best = Some((i, Alignment { cosine, offset, reverse: *reverse }));
                }
            }
        }
    }
    best
}

fn norm(columns: &[[f32; 4]]) -> f32 {
    columns.iter().flatten().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
}

fn dot(a: &[[f32; 4]], b: &[[f32; 4]]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]).sum()
}

fn add(to: &mut [[f32; 4]], from: &[[f32; 4]]) {
    to.iter_mut().zip(from).for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to += from));
}

/// Adds a frame that is shifted to the right, or to the left where `shift` is negative.
fn add_shifted(to: &mut Frame, from: &Frame, shift: i64) {
    let by = shift.unsigned_abs() as usize;
    if by >= FRAME {
        return;
    }
    if shift >= 0 { add(&mut to[by..], from) } else { add(to, &from[by..]) }
}

fn reverse_complement(profile: &Profile) -> Profile {
    std::array::from_fn(|column| {
        let [a, c, g, t] = profile[WIDTH - 1 - column];
        [t, g, c, a]
    })
}

fn reversed(frame: &Frame) -> Frame {
    std::array::from_fn(|column| {
        let [a, c, g, t] = frame[FRAME - 1 - column];
        [t, g, c, a]
    })
}
