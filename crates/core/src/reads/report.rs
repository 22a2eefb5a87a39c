//! What there is to say of reads that were counted: how many of which kind, how many were left out and why, how long fragments are, and
//! what the shift rests on; in lines for people and as JSON.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::config::{Counted, Shift, name_of};
use crate::format::{counted, list_first, percent, thousands};
use crate::reads::file::{Ends, Mate, Seen, Target};
use crate::reads::left_out::{LeftOut, Reason};
use crate::reads::shift::{Evidence, StrandEvidence};
use crate::reads::tracks::Track;

/// The longest fragment that has a count of its own, in bp: five nucleosomes.
pub const LONGEST: usize = 1000;

/// How many fragments have which length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// By length in bp, `[LONGEST + 1]`.
    pub counts: Vec<u64>,
    /// Longer ones.
    pub longer: u64,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { counts: vec![0; LONGEST + 1], longer: 0 }
    }
}

impl Lengths {
    fn add(&mut self, length: usize) {
        match self.counts.get_mut(length) {
            Some(count) => *count += 1,
            None => self.longer += 1,
        }
    }

    fn with(mut self, other: &Self) -> Self {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, other)| *own += other);
        self.longer += other.longer;
        self
    }

    /// How many fragments have a known length.
    pub fn all(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.longer
    }

    /// The length that half of the fragments do not exceed; `None` without fragments, and where it is above the longest counted.
    pub fn median(&self) -> Option<usize> {
        let half = self.all().div_ceil(2);
        let mut sum = 0;
        let reaches = |count: &u64| {
            sum += count;
            sum >= half
        };
        if half == 0 { None } else { self.counts.iter().position(reaches) }
    }

    /// Share of fragments in a range of lengths, in bp.
    fn share(&self, range: std::ops::Range<usize>) -> f64 {
        self.counts[range].iter().sum::<u64>() as f64 / self.all().max(1) as f64
    }
}

/// What was read of one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its format, in words.
    pub format: &'static str,
    /// What it holds.
    pub seen: Seen,
    /// What does not count.
    pub left_out: LeftOut,
    /// Reads and fragments that count, by chromosome.
    pub by_chromosome: Vec<u64>,
    /// Ends that count, of plus and minus reads.
    pub ends: [u64; 2],
    /// Lengths of the fragments that count.
    pub lengths: Lengths,
    /// The shift of its ends.
    pub shift: Shift,
    /// What that rests on, where it was measured.
    pub evidence: Option<Evidence>,
}

impl FileReport {
    /// Nothing read yet.
    pub fn new(path: &Path, chromosomes: usize) -> Self {
        Self {
            path: path.into(),
            format: "",
            seen: Seen::default(),
            left_out: LeftOut::default(),
            by_chromosome: vec![0; chromosomes],
            ends: [0; 2],
            lengths: Lengths::default(),
            shift: Shift::default(),
            evidence: None,
        }
    }

    /// Counts a read or fragment; of mates the first gives the length of the fragment.
    pub fn add(&mut self, chromosome: usize, ends: &Ends, fragment_length: Option<usize>) {
        self.by_chromosome[chromosome] += 1;
        if let Some(length) = fragment_length.filter(|_| !matches!(ends, Ends::Read { mate: Mate::Second, .. })) {
            self.lengths.add(length);
        }
    }

    /// Reads and fragments that count.
    pub fn counted(&self) -> u64 {
        self.by_chromosome.iter().sum()
    }

    /// The shift that was measured.
    ///
    /// # Errors
    /// It is not clear; the error says why.
    pub fn shift_found(&self) -> Result<Shift> {
        let Some(evidence) = &self.evidence else { return Ok(Shift::default()) };
        match (evidence.shift, &evidence.why_not) {
            (Some(shift), _) => Ok(shift),
            (None, why_not) => {
                bail!("{}: {}", self.path.display(), why_not.as_deref().unwrap_or("the shift is not clear"))
            }
        }
    }

    /// What there is to say, a line each.
    pub fn lines(&self) -> Vec<String> {
        let Self { path, format, seen, left_out, .. } = self;
        let path = path.display();
        let kinds = [
            (seen.fragments, "fragment"),
            (seen.single, "single read"),
            (seen.mates[0], "mate 1"),
            (seen.mates[1], "mate 2"),
        ];
        let kinds =
            kinds.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| match noun.strip_prefix("mate ") {
                Some(_) => format!("{} of {noun}", thousands(*count as usize)),
                None => counted(*count, noun),
            });
        let mut line = format!(
            "{path}: {format} of {} ({}), of which {} count",
            counted(seen.records, "record"),
            kinds.collect::<Vec<_>>().join(", "),
            thousands(self.counted() as usize)
        );
        if left_out.all() > 0 {
            line.push_str(&format!("; left out: {}", left_out.describe()));
        }
        let mut lines = vec![line];
        if let Some(evidence) = &self.evidence
            && let Some(found) = &evidence.found
        {
            let strand = |name: &str, strand: &StrandEvidence| {
                let numbers = strand.correlation.zip(strand.next);
                let numbers = numbers.map_or_else(
                    || "none".to_owned(),
                    |(best, next)| {
                        format!("correlation {best:.2}, the next {next:.2}, of {} reads", thousands(strand.sampled))
                    },
                );
                format!("{name} {numbers}")
            };
            lines.push(format!(
                "{path}: reads lie {found}, so they are shifted by {} ({}; {})",
                self.shift,
                strand("plus", &evidence.plus),
                strand("minus", &evidence.minus)
            ));
        }
        lines
    }

    fn json(&self, moved_off: &[u64; 2]) -> Value {
        json!({
            "path": self.path,
            "format": self.format,
            "records": self.seen.records,
            "fragments": self.seen.fragments,
            "single_reads": self.seen.single,
            "mates_1": self.seen.mates[0],
            "mates_2": self.seen.mates[1],
            "counted": self.counted(),
            "left_out": self.left_out.json(),
            "plus_ends": self.ends[0],
            "minus_ends": self.ends[1],
            "moved_off_chromosomes": moved_off.iter().sum::<u64>(),
            "shift": self.shift,
            "shift_evidence": self.evidence,
        })
    }
}

/// What was read of all files.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was counted.
    pub counted: Counted,
    /// Of each file.
    pub files: Vec<FileReport>,
    /// Names of the chromosomes.
    chromosomes: Vec<String>,
}

impl Report {
    /// Of all files together.
    pub fn new(target: &Target, counted: Counted, files: Vec<FileReport>) -> Self {
        let chromosomes = target.chromosomes.iter().map(|chromosome| chromosome.name.clone()).collect();
        Self { counted, files, chromosomes }
    }

    /// Reads and fragments that count.
    pub fn counted_reads(&self) -> u64 {
        self.files.iter().map(FileReport::counted).sum()
    }

    /// Lengths of fragments of all files.
    pub fn lengths(&self) -> Lengths {
        self.files.iter().fold(Lengths::default(), |all, file| all.with(&file.lengths))
    }

    /// The files, for a message.
    pub fn names(&self) -> String {
        list_first(&self.files.iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>(), 3)
    }

    /// Why no read counts, in words.
    pub fn why_none(&self) -> String {
        let reasons = self.files.iter().map(|file| file.left_out.describe()).find(|reasons| !reasons.is_empty());
        reasons.map_or_else(|| "check the files".into(), |reasons| format!("of the first file, {reasons}"))
    }

    /// Everything in lines, with the files that were written.
    pub fn text(&self, tracks: &[Track], moved_off: &[[u64; 2]]) -> String {
        let mut text = String::new();
        let all = self.counted_reads();
        let of = |i: usize| self.files.iter().map(|file| file.by_chromosome[i]).sum::<u64>();
        let mut by_chromosome: Vec<(u64, &String)> = self
            .chromosomes
            .iter()
            .enumerate()
            .map(|(i, name)| (of(i), name))
            .filter(|(reads, _)| *reads > 0)
            .collect();
        by_chromosome.sort_by_key(|(reads, _)| std::cmp::Reverse(*reads));
        let most: Vec<String> = by_chromosome
            .iter()
            .map(|(reads, name)| format!("{name} {} %", percent(*reads as f64 / all.max(1) as f64)))
            .collect();
        text.push_str(&format!(
            "{} counted on {}: {}\n",
            thousands(all as usize),
            counted(most.len() as u64, "chromosome"),
            list_first(&most, 6)
        ));
        let lengths = self.lengths();
        if lengths.all() > 0 {
            let median = lengths.median().map_or_else(|| format!("above {LONGEST}"), |median| median.to_string());
            text.push_str(&format!(
                "fragments: median {median} bp, {} % below 100 bp, {} % of one nucleosome (180 to 247 bp), {} % of two (315 to 473 bp)\n",
                percent(lengths.share(0..100)),
                percent(lengths.share(180..248)),
                percent(lengths.share(315..474))
            ));
        }
        let duplicates: u64 = self.files.iter().map(|file| file.left_out.of(Reason::Duplicate)).sum();
        if duplicates > 0 {
            text.push_str(&format!("duplicates left out: {}\n", thousands(duplicates as usize)));
        }
        let off: u64 = moved_off.iter().flatten().sum();
        if off > 0 {
            text.push_str(&format!(
                "left out, as the shift moves them off their chromosome: {}\n",
                thousands(off as usize)
            ));
        }
        for track in tracks {
            let share =
                track.share_in_regions.map_or_else(String::new, |share| format!(", {} % in --regions", percent(share)));
            let what = if self.counted == Counted::Coverage { "bases of reads" } else { "counts" };
            let of = track.reads.map_or_else(String::new, |strand| format!(" of {strand} reads"));
            text.push_str(&format!(
                "{}: {} {what}{of} on {}{share}\n",
                track.path.display(),
                thousands(track.total as usize),
                counted(track.bases, "base")
            ));
        }
        text
    }

    /// Everything by keys.
    pub fn json(&self, tracks: &[Track], moved_off: &[[u64; 2]]) -> Value {
        let by_chromosome: serde_json::Map<String, Value> = self
            .chromosomes
            .iter()
            .enumerate()
            .map(|(i, name)| (name.clone(), json!(self.files.iter().map(|file| file.by_chromosome[i]).sum::<u64>())))
            .collect();
        let lengths = self.lengths();
        json!({
            "what": name_of(&self.counted),
            "counted": self.counted_reads(),
            "by_chromosome": by_chromosome,
            "fragment_lengths": { "counts": lengths.counts, "longer": lengths.longer, "median": lengths.median() },
            "files": self.files.iter().zip(moved_off).map(|(file, off)| file.json(off)).collect::<Vec<_>>(),
            "tracks": tracks,
        })
    }
}
