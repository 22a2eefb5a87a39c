//! The shift of reads of a transposase, measured in each file. What the enzyme prefers is a dyad, the same word on either strand, so the
//! bases around first bases of one strand are symmetric about the centre of its site, whatever the genome; no matrix of a known enzyme
//! is needed. The centre of Tn5's site is the fifth base of a read, 4 bases from the first, which is where insertions are counted.

use anyhow::Result;
use rand::RngExt;
use serde::Serialize;

use crate::config::Shift;
use crate::format::thousands;
use crate::genome::Genome;
use crate::inspect::sites::{Dyads, WIDTH, Words};
use crate::random::{self, Generator, Purpose};
use crate::sequence::alphabet;
use crate::sequence::enzyme::EnzymeMatrix;

/// First bases of each strand that are looked at, drawn from all of a file: more change the third digit of a correlation.
pub const SAMPLE: usize = 10_000;

/// Fewer reads of a strand are no evidence: of 200 reads of yeast all were right and clear, of 100 one in twenty was wrong.
const FEWEST: usize = 150;

/// Bounds of what is clear. Of 500 draws of 300 reads of yeast all were right and passed: the lowest correlation was 0.48, 0.21 above the
/// next and 3.9 standard deviations above the mean of all others. Of as many draws of random places two passed, both at a distance that
/// no usual shift gives.
const LEAST_CORRELATION: f64 = 0.42;
const LEAST_ABOVE_NEXT: f64 = 0.15;
const LEAST_DEVIATIONS: f64 = 3.8;

/// Share of reads whose site lies elsewhere from which a strand is a mixture, of few reads and of many. Of one kind of yeast reads it was
/// 0.073 at most of draws of 300, and 0.02 of draws of 1,000; where one read in five is shifted otherwise it is 0.12, and of one in ten
/// 0.05, as single reads say little of their site.
const MIXTURE_OF_FEW: f64 = 0.1;
const MIXTURE_OF_MANY: f64 = 0.05;
const MANY: usize = 1000;

/// Reads of one place count no more than this: one place of very many reads is not the genome.
const MOST_AT_A_PLACE: u32 = 3;

/// Bases from the first base of a read to the centre of the site.
pub const TO_CENTRE: i64 = 4;

/// Bases that plus and minus reads are from the centre, each in its own direction, as reads are found: as aligned; shifted to the
/// centre; by +4 and -5, as 10x and ENCODE write them; by +4 and -3; by +5 and -4; by +4 on both strands; as aligned, minus reads by the
/// end of half-open intervals; and shifted twice.
const USUAL: [(i64, i64, &str); 9] = [
    (4, 4, "as aligned"),
    (0, 0, "shifted by +4,-4 before"),
    (0, -1, "shifted by +4,-5 before, as 10x writes them"),
    (0, 1, "shifted by +4,-3 before"),
    (-1, 0, "shifted by +5,-4 before"),
    (0, 8, "shifted by +4 on both strands before"),
    (4, 5, "as aligned, minus reads by the end of half-open intervals"),
    (-4, -4, "shifted by +4,-4 twice before"),
    (-4, -6, "shifted by +4,-5 twice before"),
];

/// First bases of one file, drawn evenly from all.
#[derive(Debug)]
pub struct Sample {
    /// Of plus and minus reads.
    strands: [Drawn; 2],
    random: Generator,
}

/// Places that were drawn, with their number in the file.
#[derive(Clone, Debug)]
struct Drawn {
    seen: u64,
    places: Vec<(u64, usize, usize)>,
    /// Number of the next read that takes the place of another, and the share of reads that do.
    next: u64,
    share: f64,
}

impl Default for Drawn {
    fn default() -> Self {
        Self { seen: 0, places: Vec::new(), next: 0, share: 1.0 }
    }
}

/// What one strand shows.
#[derive(Clone, Debug, Serialize)]
pub struct StrandEvidence {
    /// Reads of the file, and those that were looked at.
    pub reads: u64,
    /// Reads that were looked at.
    pub sampled: usize,
    /// Bases from the first base of a read to the centre of the most symmetric word, in the direction of reads; half a base between two.
    pub centre: Option<f64>,
    /// Correlation of the bases around first bases with their reverse complement about that centre.
    pub correlation: Option<f64>,
    /// The highest correlation about another centre, and that centre.
    pub next: Option<f64>,
    /// See `next`.
    pub next_centre: Option<f64>,
    /// Standard deviations that the best lies above the mean of the others.
    pub deviations: Option<f64>,
    /// Whether this is an answer.
    pub clear: bool,
    /// Bases around first bases, log odds for A, C, G and T, `[61, 4]`; for pictures.
    #[serde(skip)]
    pub probabilities: Vec<[f64; 4]>,
}

/// What a file shows.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// Of plus reads.
    pub plus: StrandEvidence,
    /// Of minus reads.
    pub minus: StrandEvidence,
    /// The shift that moves both to the centre, if it is clear.
    pub shift: Option<Shift>,
    /// What was done to the reads before.
    pub found: Option<String>,
    /// Why there is no answer.
    pub why_not: Option<String>,
}

impl Sample {
    /// Nothing drawn yet; the same file and seed draw the same.
    pub fn new(file: usize) -> Self {
        let random = random::generator(0, Purpose::Search, random::hash(b"first bases"), file as u64);
        Self { strands: [Drawn::default(), Drawn::default()], random }
    }

    /// Adds the first base of a read (algorithm L of Li, 1994, which draws numbers for those reads alone that are kept).
    pub fn push(&mut self, reverse: bool, chromosome: usize, position: usize) {
        let Self { strands, random } = self;
        let drawn = &mut strands[usize::from(reverse)];
        let place = (drawn.seen, chromosome, position);
        drawn.seen += 1;
        if drawn.places.len() < SAMPLE {
            drawn.places.push(place);
        } else if place.0 >= drawn.next {
            drawn.places[random.random_range(0..SAMPLE)] = place;
        } else {
            return;
        }
        if drawn.places.len() == SAMPLE {
            // Numbers above 0, of which there is a logarithm.
            let mut log = || (1.0 - random.random::<f64>()).ln();
            drawn.share *= (log() / SAMPLE as f64).exp();
            drawn.next = drawn.seen.saturating_add((log() / (1.0 - drawn.share).ln()).floor() as u64);
        }
    }

    /// Measures where the site of the enzyme lies from the first bases of either strand.
    ///
    /// # Errors
    /// The genome cannot be read.
    pub fn measure(&self, genome: &Genome) -> Result<Evidence> {
        let [plus, minus] = &self.strands;
        let (plus, minus) = rayon::join(|| plus.look(genome, false), || minus.look(genome, true));
        let (plus, minus) = (plus?, minus?);
        let mut evidence =
            Evidence { plus: plus.evidence(), minus: minus.evidence(), shift: None, found: None, why_not: None };
        match conclude([&plus, &minus], [&evidence.plus, &evidence.minus]) {
            Ok((shift, found)) => (evidence.shift, evidence.found) = (Some(shift), Some(found)),
            Err(why_not) => evidence.why_not = Some(why_not),
        }
        Ok(evidence)
    }
}

/// The words around the first bases of a strand, in its own direction.
struct Strand {
    reads: u64,
    all: Words,
    /// Those of the first and of the second half of the file.
    halves: [Words; 2],
    sampled: [usize; 2],
}

impl Drawn {
    fn look(&self, genome: &Genome, reverse: bool) -> Result<Strand> {
        let mut strand =
            Strand { reads: self.seen, all: Words::default(), halves: Default::default(), sampled: [0; 2] };
        let mut places = self.places.clone();
        places.sort_unstable_by_key(|&(number, chromosome, position)| (chromosome, position, number));
        let mut codes = Vec::new();
        for same in places.chunk_by(|a, b| (a.1, a.2) == (b.1, b.2)) {
            let (_, chromosome, position) = same[0];
            let length = genome.chromosomes[chromosome].length;
            let start = position.saturating_sub(WIDTH / 2);
            let end = (position + WIDTH / 2 + 1).min(length);
            codes.clear();
            genome.read_strand(chromosome, start..end, reverse, &mut codes)?;
            alphabet::without_case(&mut codes);
            let at = if reverse { end - 1 - position } else { position - start };
            strand.all.push(&codes, at, f64::from(MOST_AT_A_PLACE.min(same.len() as u32)));
            for half in 0..2 {
                let count = same.iter().filter(|place| usize::from(2 * place.0 >= self.seen) == half).count() as u32;
                strand.sampled[half] += count as usize;
                if count > 0 {
                    strand.halves[half].push(&codes, at, f64::from(MOST_AT_A_PLACE.min(count)));
                }
            }
        }
        Ok(strand)
    }
}

/// Where the most symmetric centre lies, in half bases, and how far it stands out.
struct Peak {
    centre: i32,
    correlation: f64,
    next: f64,
    next_centre: i32,
    deviations: f64,
}

impl Peak {
    fn of(matrix: &EnzymeMatrix) -> Self {
        let mut found: Vec<(f64, i32)> = Words::CENTRES.map(|at| (matrix.symmetry(at), at)).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let others = &found[1..];
        let n = others.len() as f64;
        let mean = others.iter().map(|other| other.0).sum::<f64>() / n;
        let variance = others.iter().map(|other| (other.0 - mean).powi(2)).sum::<f64>() / n;
        let deviations = (found[0].0 - mean) / variance.sqrt().max(1e-9);
        let [(correlation, centre), (next, next_centre)] = [found[0], found[1]];
        Self { centre, correlation, next, next_centre, deviations }
    }

    fn is_clear(&self) -> bool {
        self.correlation >= LEAST_CORRELATION
            && self.correlation - self.next >= LEAST_ABOVE_NEXT
            && self.deviations >= LEAST_DEVIATIONS
    }
}

impl Strand {
    fn n(&self) -> usize {
        self.sampled.iter().sum()
    }

    fn evidence(&self) -> StrandEvidence {
        let peak = (self.n() >= FEWEST).then(|| Peak::of(&self.all.matrix_of_strand()));
        StrandEvidence {
            reads: self.reads,
            sampled: self.n(),
            centre: peak.as_ref().map(|peak| f64::from(peak.centre) / 2.0),
            correlation: peak.as_ref().map(|peak| peak.correlation),
            next: peak.as_ref().map(|peak| peak.next),
            next_centre: peak.as_ref().map(|peak| f64::from(peak.next_centre) / 2.0),
            deviations: peak.as_ref().map(|peak| peak.deviations),
            clear: peak.as_ref().is_some_and(Peak::is_clear),
            probabilities: self.all.probabilities(),
        }
    }

    /// That the halves of the file are of two kinds, if they are.
    fn halves_differ(&self) -> Option<String> {
        if self.sampled.iter().any(|&n| n < 2 * FEWEST) {
            return None;
        }
        let [first, second] = self.halves.each_ref().map(|half| Peak::of(&half.matrix_of_strand()));
        (first.is_clear() && second.is_clear() && first.centre != second.centre).then(|| {
            let [first, second] = [first, second].map(|peak| bases(peak.centre));
            format!(
                "the site lies {first} bases from the first base in the first half of the file and {second} in the second"
            )
        })
    }

    /// That the site of some reads lies elsewhere, if it does.
    fn others(&self, centre: i32) -> Option<String> {
        let other = self.all.shares_of_centres(centre).into_iter().filter(|(at, _)| (2 * at - centre).abs() > 2);
        let (at, share) = other.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let least = if self.n() < MANY { MIXTURE_OF_FEW } else { MIXTURE_OF_MANY };
        (share >= least).then(|| {
            let percent = (100.0 * share).round();
            format!(
                "the site lies {} bases from the first base of most, and {at} from those of some ({percent} % or more)",
                bases(centre)
            )
        })
    }
}

/// The shift and what was done before, or why there is no answer.
fn conclude(strands: [&Strand; 2], evidence: [&StrandEvidence; 2]) -> Result<(Shift, String), String> {
    let names = ["plus", "minus"];
    let advice = "name it with --shift PLUS,MINUS, or none";
    let mut centres = [None; 2];
    for (i, (strand, found)) in strands.iter().zip(evidence).enumerate() {
        if found.sampled == 0 {
            continue;
        }
        let Some(((centre, correlation), next)) = found.centre.zip(found.correlation).zip(found.next) else {
            let (name, n) = (names[i], thousands(found.sampled));
            return Err(format!(
                "{n} {name} reads are too few to measure the shift, expected {FEWEST} or more; {advice}"
            ));
        };
        let half_bases = (2.0 * centre) as i32;
        let mixture = |what: String| {
            format!(
                "{} reads seem to be a mixture: {what}; give the files that it was made from one by one, or {advice}",
                names[i]
            )
        };
        if let Some(halves) = strand.halves_differ() {
            return Err(mixture(halves));
        }
        if !found.clear && next >= LEAST_CORRELATION {
            let other = found.next_centre.unwrap_or(centre);
            return Err(mixture(format!(
                "the bases around first bases are symmetric {centre} bases from them and {other} as well (correlation {correlation:.2} and {next:.2})"
            )));
        }
        if !found.clear {
            return Err(format!(
                "the bases around first bases of {} {} reads are symmetric about no place (correlation {correlation:.2}, the next {next:.2}), which happens with enzymes whose site is no dyad, such as DNase, with too few reads, and with another assembly; {advice}",
                thousands(found.sampled),
                names[i]
            ));
        }
        let is_usual = USUAL.iter().any(|usual| 2 * [usual.0, usual.1][i] == i64::from(half_bases));
        if !is_usual {
            let Dyads { centres: (right, left), .. } = strand.all.fit(half_bases).best;
            let kinds = if right == left {
                "its reads seem to be of one kind".to_owned()
            } else {
                format!(
                    "the file is a mixture of reads whose site lies {} and {} bases away",
                    bases(right),
                    bases(left)
                )
            };
            return Err(format!(
                "the site lies {} bases from the first base of {} reads (correlation {correlation:.2}, the next {next:.2}), which no usual shift gives; {kinds}: give the files that it was made from one by one, or {advice}",
                bases(half_bases),
                names[i]
            ));
        }
        if let Some(others) = strand.others(half_bases) {
            return Err(mixture(others));
        }
        centres[i] = Some(i64::from(half_bases / 2));
    }
    let (plus, minus) = match centres {
        [None, None] => return Err(format!("there are no reads to measure the shift by; {advice}")),
        // There are none of the other strand to be moved.
        [plus, minus] => (plus.or(minus).unwrap_or(0), minus.or(plus).unwrap_or(0)),
    };
    let usual = USUAL.iter().find(|usual| {
        [(usual.0, centres[0]), (usual.1, centres[1])]
            .iter()
            .all(|(own, found)| found.is_none_or(|found| found == *own))
    });
    let found = usual.map_or_else(
        || format!("shifted by {:+},{:+} before", TO_CENTRE - plus, minus - TO_CENTRE),
        |usual| usual.2.to_owned(),
    );
    Ok((Shift { plus, minus: -minus }, found))
}

/// Half bases as bases.
fn bases(half_bases: i32) -> String {
    if half_bases % 2 == 0 { (half_bases / 2).to_string() } else { format!("{:.1}", f64::from(half_bases) / 2.0) }
}
