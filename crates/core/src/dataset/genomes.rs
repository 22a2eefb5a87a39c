//! Examples from one genome or more for each class: windows drawn from the chromosomes of each split.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::dataset::examples::{Examples, ExamplesWriter, Name, Origin};
use crate::dataset::sampling::{Plan, Request, Source, Window};
use crate::dataset::source::DataSource;
use crate::dataset::split::{self, Assignment, ChromosomeChoice, Resolved, Shares, Split};
use crate::dataset::{Classes, LoadRequest};
use crate::genome::interval::{Interval, Place};
use crate::genome::names::list_names;
use crate::genome::simulate::{self, SIMULATED};
use crate::genome::{Chromosome, Genome};
use crate::progress::Progress;
use crate::sequence::alphabet;

/// Genomes of all classes, and which part of them each split may use.
pub struct Genomes {
    /// Class names, by the index that labels hold.
    pub classes: Classes,
    /// Index of the class, and the genome.
    genomes: Vec<(usize, Genome)>,
    /// How the chromosomes of each class are assigned.
    assignments: Vec<Assignment>,
    max_n: usize,
    match_gc: bool,
    seed: u64,
    /// Bytes that sequences may take beside the genomes.
    pub memory: u64,
}

/// Draws new training windows every epoch.
pub struct Resampler {
    genomes: Genomes,
    plan: Plan,
    intervals: Vec<Vec<Interval>>,
}

impl Resampler {
    /// The windows of one draw; draw 0 is the one that `Genomes::windows` gives.
    ///
    /// # Errors
    /// A genome cannot be read.
    pub fn draw(&self, draw: u64) -> Result<Examples> {
        self.genomes.draw(&self.plan, &self.genomes.sources(&self.intervals), draw)
    }
}

impl Genomes {
    /// Opens the genomes named, or simulates the demo's, keeping the chromosomes that `splits` want.
    ///
    /// # Errors
    /// A genome cannot be read, its class is not among `--classes`, or no genome has a chromosome that is named.
    pub fn open(source: DataSource, request: &LoadRequest, splits: &[Split]) -> Result<Self> {
        let LoadRequest { config, ref assignment, seed, mut memory, progress, .. } = *request;
        let (mut genomes, mut names): (Vec<(usize, Genome)>, Vec<String>) = Default::default();
        if let DataSource::Genomes(files) = source {
            names = match config.classes.as_slice() {
                [] => config.genome_classes().into_iter().map(str::to_owned).collect(),
                given => given.to_vec(),
            };
            for named in files {
                let Some(class) = names.iter().position(|name| *name == named.name) else {
                    bail!(
                        "--genome names the class '{}', expected {}; correct the name",
                        named.name,
                        names.join(" or ")
                    );
                };
                let genome = open_genome(&named.path, memory, &assignment.may_need(splits), progress)?;
                memory = memory.saturating_sub(genome.memory());
                genomes.push((class, genome));
            }
        } else {
            for (class, species) in simulate::species().into_iter().enumerate() {
                let chromosomes =
                    species.genome(seed).into_iter().map(|c| (c.name.clone(), c.codes_with_case())).collect();
                let path = format!("{SIMULATED}{}", species.name);
                genomes.push((class, Genome::from_codes(Path::new(&path), chromosomes)));
                names.push(species.name);
            }
            progress.say(
                "no data named: using simulated demo genomes (human and mouse in name only); --genome, --class, --regions or --train gives real data",
            );
        }
        let known: Vec<&str> =
            genomes.iter().flat_map(|(_, genome)| genome.chromosomes.iter().map(|c| c.name.as_str())).collect();
        assignment.check(&known)?;
        let (max_n, match_gc) = (config.max_n, config.match_gc);
        let classes = Classes::named(names);
        let assignments = vec![assignment.clone(); classes.names.len()];
        let mut genomes = Self { classes, genomes, assignments, max_n, match_gc, seed, memory };
        let length = request.length.or(config.length).unwrap_or(super::DEFAULT_LENGTH);
        for class in 0..genomes.classes.names.len() {
            genomes.give_every_split_some(class, length, splits, progress)?;
        }
        for (class, genome) in &genomes.genomes {
            let (name, assignment) = (&genomes.classes.names[*class], &genomes.assignments[*class]);
            report_deal(name, &genome.chromosomes, assignment, splits, progress);
        }
        Ok(genomes)
    }

    /// Divides the genomes of a class by blocks if the user names no chromosomes and there are too few for every split.
    fn give_every_split_some(
        &mut self,
        class: usize,
        length: usize,
        splits: &[Split],
        progress: &Progress,
    ) -> Result<()> {
        if !self.assignments[class].may_use_blocks() {
            return Ok(());
        }
        let mut of_class: Vec<&mut Genome> =
            self.genomes.iter_mut().filter(|(other, _)| *other == class).map(|(_, genome)| genome).collect();
        let parts: Vec<_> = of_class
            .iter()
            .map(|genome| split::intervals(&genome.chromosomes, &self.assignments[class], length))
            .collect();
        let is_missing = |split: Split| parts.iter().all(|parts| parts[split as usize].is_empty());
        let has_room = of_class.iter().any(|genome| genome.chromosomes.iter().any(|c| c.length >= length));
        if !has_room || !Split::ALL.into_iter().any(is_missing) {
            return Ok(());
        }
        progress.say(&format!(
            "whole chromosomes of {} cannot give every split windows, so they are divided by blocks",
            self.classes.names[class]
        ));
        if splits.len() < Split::ALL.len() {
            // Only what whole chromosomes would have given to these splits was read.
            for genome in &mut of_class {
                **genome = open_genome(&genome.path, self.memory, &|_| true, progress)?;
            }
        }
        self.assignments[class] = Assignment::by_blocks(Shares::default());
        Ok(())
    }

    /// Draws the windows of one split, the same number from each class.
    ///
    /// # Errors
    /// A class has no chromosome or too few eligible windows for the split, or a genome cannot be read.
    pub fn windows(&self, split: Split, length: usize, fragments: usize) -> Result<Examples> {
        let intervals = self.intervals(split, length);
        let (plan, sources) = self.plan(&intervals, split, length, fragments)?;
        self.draw(&plan, &sources, 0)
    }

    /// Keeps the genomes for drawing other training windows every epoch.
    ///
    /// # Errors
    /// As [`Genomes::windows`].
    pub fn resampler(self, length: usize, fragments: usize) -> Result<Resampler> {
        let intervals = self.intervals(Split::Train, length);
        let (plan, _) = self.plan(&intervals, Split::Train, length, fragments)?;
        Ok(Resampler { genomes: self, plan, intervals })
    }

    /// What each genome gives to a split.
    fn intervals(&self, split: Split, length: usize) -> Vec<Vec<Interval>> {
        let of =
            |class: usize, genome: &Genome| split::intervals(&genome.chromosomes, &self.assignments[class], length);
        self.genomes.iter().map(|(class, genome)| std::mem::take(&mut of(*class, genome)[split as usize])).collect()
    }

    fn sources(&self, intervals: &[Vec<Interval>]) -> Vec<Source<'_>> {
        let named = self.classes.names.iter().enumerate();
        let mut sources: Vec<Source> =
            named.map(|(class, class_name)| Source { class, class_name, parts: Vec::new() }).collect();
        for ((class, genome), intervals) in self.genomes.iter().zip(intervals) {
            sources[*class].parts.push((genome, intervals.clone()));
        }
        sources
    }

    fn plan(
        &self,
        intervals: &[Vec<Interval>],
        split: Split,
        length: usize,
        fragments: usize,
    ) -> Result<(Plan, Vec<Source<'_>>)> {
        let sources = self.sources(intervals);
        for source in &sources {
            self.check_not_empty(source, split, length)?;
        }
        let per_class = fragments / sources.len();
        let request = Request { length, max_n: self.max_n, match_gc: self.match_gc, per_class, seed: self.seed };
        Ok((Plan::new(&sources, split, &request)?, sources))
    }

    fn draw(&self, plan: &Plan, sources: &[Source], draw: u64) -> Result<Examples> {
        let length = plan.length();
        if plan.windows() * (sources.len() * length) as u64 > self.memory {
            // One by one into the temporary file.
            let mut examples = ExamplesWriter::new(length, 1, 0);
            for (i, source) in sources.iter().enumerate() {
                let names = Names::of(source);
                plan.draw_each(sources, i, draw, &mut |window| names.push(window, &mut examples))?;
            }
            return examples.finish();
        }
        let mut examples = ExamplesWriter::new(length, 1, u64::MAX);
        for (source, windows) in sources.iter().zip(plan.draw(sources, draw)?) {
            let names = Names::of(source);
            windows.into_iter().try_for_each(|window| names.push(window, &mut examples))?;
        }
        examples.finish()
    }

    /// A class without a single usable chromosome in a split deserves a better reason than "0 windows".
    fn check_not_empty(&self, source: &Source, split: Split, length: usize) -> Result<()> {
        if source.parts.iter().any(|(_, intervals)| !intervals.is_empty()) {
            return Ok(());
        }
        let files: Vec<String> = source.parts.iter().map(|(genome, _)| genome.path.display().to_string()).collect();
        let files = files.join(", ");
        let assignment = &self.assignments[source.class];
        let mut meant: Vec<&Chromosome> = Vec::new();
        for (genome, _) in &source.parts {
            let resolved = Resolved::of_genome(assignment, &genome.chromosomes);
            meant.extend(genome.chromosomes.iter().filter(|c| match resolved.split_of(&c.name) {
                Some(Split::Train) if assignment.divides_by_blocks() => true,
                Some(Split::Train) if split == Split::Valid => assignment.validates_on_blocks(),
                found => found == Some(split),
            }));
        }
        match meant.first() {
            Some(first) => bail!(
                "{files}: chromosome '{}' has {} bp, shorter than a window of {length} bp, and no other is long enough for {}; give longer chromosomes or a smaller --length",
                first.name,
                first.length,
                split.name()
            ),
            None => {
                let names = list_names(
                    source.parts.iter().flat_map(|(genome, _)| genome.chromosomes.iter().map(|c| c.name.as_str())),
                );
                bail!(
                    "{files}: class '{}' has no chromosome for {}, expected at least one among {}; name chromosomes with --train-chroms, --valid-chroms and --test-chroms",
                    source.class_name,
                    split.name(),
                    names
                )
            }
        }
    }
}

/// What the windows of a source are called.
struct Names {
    class: usize,
    /// The file of each genome and its chromosomes.
    genomes: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

impl Names {
    fn of(source: &Source) -> Self {
        let genomes =
            source.parts.iter().map(|(genome, _)| (genome.source_name(), genome.chromosome_names())).collect();
        Self { class: source.class, genomes }
    }

    fn push(&self, window: Window, examples: &mut ExamplesWriter) -> Result<()> {
        let (source, chromosomes) = &self.genomes[window.genome];
        let range = window.start..window.start + window.codes.len();
        let place = Place { chromosome: chromosomes[window.chromosome].clone(), range, reverse: window.reverse };
        let origin = Origin {
            source: source.clone(),
            name: Name::Place,
            place: Some(place),
            in_genome: !source.starts_with(SIMULATED),
            bases: window.codes.len(),
            masked: alphabet::masked_share(&window.codes),
        };
        examples.push(&window.codes, &[self.class as f32], origin)
    }
}

/// Opens a genome, and reports it if windows have to be read from disk.
///
/// # Errors
/// The file is missing or is not FASTA, or it cannot be read.
pub fn open_genome(path: &Path, memory: u64, wanted: &dyn Fn(&str) -> bool, progress: &Progress) -> Result<Genome> {
    let genome = Genome::open(path, memory, wanted)?;
    if !genome.is_in_memory() {
        progress.say(&format!("{}: larger than --memory allows, so read from disk window by window", path.display()));
    }
    Ok(genome)
}

/// Says which chromosomes each split takes, where the user left that to the program.
pub fn report_deal(
    name: &str,
    chromosomes: &[Chromosome],
    assignment: &Assignment,
    splits: &[Split],
    progress: &Progress,
) {
    if !assignment.is_open() {
        return;
    }
    if let Assignment::Choice(ChromosomeChoice { blocks: Some(shares), .. }) = assignment {
        let percent = |share: f64| (share * 10_000.0).round() / 100.0;
        progress.say(&format!(
            "{name} chromosomes: blocks of all ({}), {} % of them valid and {} % test",
            list_names(chromosomes.iter().map(|c| c.name.as_str())),
            percent(shares.valid),
            percent(shares.test)
        ));
        return;
    }
    let resolved = Resolved::of_genome(assignment, chromosomes);
    let dealt: Vec<Option<Split>> = chromosomes.iter().map(|c| resolved.split_of(&c.name)).collect();
    let of = |split| chromosomes.iter().zip(&dealt).filter(move |(_, found)| **found == Some(split)).map(|(c, _)| c);
    let shares: Vec<String> = splits
        .iter()
        .map(|&split| match split {
            Split::Valid if assignment.validates_on_blocks() => "valid blocks of the training chromosomes".into(),
            _ => format!("{} {}", split.name(), list_names(of(split).map(|c| c.name.as_str()))),
        })
        .collect();
    progress.say(&format!("{name} chromosomes: {}", shares.join("; ")));
    let left_out: Vec<(&str, &str, Split)> = chromosomes
        .iter()
        .filter_map(|c| resolved.left_out_for(&c.name).map(|(other, split)| (c.name.as_str(), other, split)))
        .collect();
    if let Some((_, other, split)) = left_out.first() {
        progress.say(&format!(
            "{name} chromosomes left out: {}, as other haplotypes of those named, such as {other} for {}; a flag that names them uses them",
            list_names(left_out.iter().map(|(name, _, _)| *name)),
            split.name()
        ));
    }
}
