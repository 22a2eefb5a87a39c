//! Counts of variants by outcome, with the first of each kind that does not belong to the genome, and whether they are of
//! another assembly.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use crate::attribute::variants::{Scores, Unscored};
use crate::format::thousands;
use crate::formats::quoted;
use crate::formats::vcf::{Content, Line};
use crate::genome::Genome;

/// Names of chromosomes that a message lists.
const MOST_NAMES: usize = 5;

/// REF alleles of another base than the genome, as a share of all, from which on the genome is probably another.
const TOO_MANY_DIFFER: f64 = 0.1;

/// Number of variants by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines below the header that are neither blank nor comments.
    pub records: usize,
    /// Alternative alleles.
    pub alleles: usize,
    /// Alleles scored.
    pub scored: usize,
    /// What has no score, by reason.
    unscored: BTreeMap<Unscored, Unscoreds>,
    /// Lines that do not belong to the genome, or are no variants.
    misfits: usize,
    /// The first chromosomes that the genome lacks.
    absent: Vec<String>,
}

/// What has no score for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unscoreds {
    /// Alleles, or lines that have none.
    alleles: usize,
    lines: usize,
    /// The first, with its line.
    first: String,
}

impl Counts {
    /// Adds a line; `fault` says what is wrong where it does not belong to the genome.
    pub(super) fn add(&mut self, line: &Line, scores: &Scores, fault: Option<String>) {
        let alternatives = match &line.content {
            Content::Comment => return,
            Content::Variant(variant) => variant.alternatives.len(),
            Content::Malformed(_) => 0,
        };
        self.records += 1;
        self.alleles += alternatives;
        let mut reasons = Vec::new();
        for score in scores {
            let Err(why) = score else {
                self.scored += 1;
                continue;
            };
            let why = *why;
            let counted = self.unscored.entry(why).or_default();
            counted.alleles += 1;
            if !reasons.contains(&why) {
                reasons.push(why);
                counted.lines += 1;
                if let Some(fault) = fault.as_ref().filter(|_| why.is_misfit() && counted.lines == 1) {
                    counted.first = format!("line {}: {fault}", line.number);
                }
            }
        }
        self.misfits += usize::from(reasons.iter().any(|why| why.is_misfit()));
        if let (Content::Variant(variant), [Unscored::NoChromosome]) = (&line.content, reasons.as_slice()) {
            let name = &variant.chromosome;
            if self.absent.len() <= MOST_NAMES && !self.absent.contains(name) {
                self.absent.push(name.clone());
            }
        }
    }

    fn alleles_without(&self, why: Unscored) -> usize {
        self.unscored.get(&why).map_or(0, |counted| counted.alleles)
    }

    /// Alleles whose REF differs from the genome.
    pub fn reference_differs(&self) -> usize {
        self.alleles_without(Unscored::ReferenceDiffers)
    }

    /// The numbers left out for each reason, as one part of a sentence; empty if all are scored.
    pub fn left_out(&self) -> String {
        let parts = self.unscored.iter().map(|(why, counted)| {
            let what = match why {
                Unscored::NoChromosome => "lie on chromosomes that the genome lacks",
                Unscored::BeyondTheEnd => "lie beyond the end of their chromosome",
                Unscored::ReferenceDiffers => "have a REF that differs from the genome",
                Unscored::Malformed => "are malformed",
                Unscored::NotSpelledOut => "are not spelled out (such as <DEL>, * or N)",
                Unscored::TooLong => "are too long for the network",
                Unscored::OffTheEnd => "lie too near the end of a chromosome",
                Unscored::TooManyUnknown => "lie among too many unknown bases (--max-n)",
                Unscored::NoAlternative => "have no alternative allele",
                Unscored::SeenInTraining => "lie on chromosomes that every network has learned from",
            };
            format!("{} {what}", thousands(counted.alleles))
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// What to warn of, each a sentence: what does not belong to the genome, with the first of each kind.
    pub fn warnings(&self, file: &Path, genome: &Genome) -> Vec<String> {
        let (file, path) = (file.display(), genome.path.display());
        let mut warnings = Vec::new();
        for (why, counted) in &self.unscored {
            let lines = format!("{} line{}", thousands(counted.lines), if counted.lines == 1 { "" } else { "s" });
            let what = match why {
                Unscored::NoChromosome => format!("on chromosomes that {path} lacks ({})", self.absent_names()),
                Unscored::BeyondTheEnd => format!("beyond the end of their chromosome in {path}"),
                Unscored::Malformed => "malformed".into(),
                _ => continue,
            };
            warnings
                .push(format!("{file}: {lines} {what}, passed through without scores; the first is {}", counted.first));
        }
        let differ = self.reference_differs();
        if differ as f64 > TOO_MANY_DIFFER * self.alleles as f64 {
            let first = &self.unscored[&Unscored::ReferenceDiffers].first;
            warnings.push(format!(
                "{file}: {} of {} alternative alleles have a REF that differs from the genome; is it another assembly? The first is {first}",
                thousands(differ),
                thousands(self.alleles)
            ));
        }
        warnings
    }

    /// Checks that something was scored, and that most variants belong to the genome.
    ///
    /// # Errors
    /// Nothing was scored, or most lines do not fit.
    pub fn check(&self, file: &Path, genome: &Genome) -> Result<()> {
        let file = file.display();
        if 2 * self.misfits > self.records {
            let firsts = self.unscored.iter().filter(|(why, _)| why.is_misfit()).map(|(_, counted)| counted);
            let first = firsts.max_by_key(|counted| counted.lines).map_or("", |counted| &counted.first);
            let malformed = self.unscored.get(&Unscored::Malformed).map_or(0, |counted| counted.lines);
            let hint = if 2 * malformed > self.misfits { "check the file" } else { "is it made for another assembly?" };
            let lengths = genome
                .chromosomes
                .iter()
                .map(|chromosome| format!("{} ({} bp)", quoted(chromosome.name.as_bytes()), chromosome.length));
            bail!(
                "{file}: {} of {} variants do not fit {}, expected most to: the first is {first}; the genome has {}; {}; {hint}",
                thousands(self.misfits),
                thousands(self.records),
                genome.path.display(),
                list_first_names(lengths.take(MOST_NAMES), genome.chromosomes.len()),
                self.left_out(),
            );
        }
        if self.alleles == 0 {
            let records = thousands(self.records);
            bail!("{file}: holds no alternative alleles in {records} records, expected some; check the file");
        }
        if self.scored == 0 {
            bail!(
                "{file}: none of {} alternative alleles can be scored, expected some: {}; give others",
                thousands(self.alleles),
                self.left_out()
            );
        }
        Ok(())
    }

    fn absent_names(&self) -> String {
        let names = self.absent.iter().take(MOST_NAMES).map(|name| quoted(name.as_bytes()));
        let more = if self.absent.len() > MOST_NAMES { ", ..." } else { "" };
        format!("{}{more}", names.collect::<Vec<_>>().join(", "))
    }
}

/// Names, and how many there are if those are not all.
fn list_first_names(names: impl Iterator<Item = String>, all: usize) -> String {
    let names: Vec<String> = names.collect();
    let more = if all > names.len() { format!(", ... ({all} in all)") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
