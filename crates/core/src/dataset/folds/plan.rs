//! The folds that settings come to on their data: how many parts, and which chromosomes or how many examples are in each.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::{DEFAULT_FOLDS, DataConfig, FEWEST_FOLDS, FoldCount, NamedPath, SourceKind, SplitBy};
use crate::dataset::folds::file::{self, FoldLists};
use crate::dataset::folds::{Unit, deal, natural_order, split_of_part};
use crate::dataset::source::DataSource;
use crate::dataset::split::Split;
use crate::dataset::{self, LoadRequest, sequences};
use crate::files::streams;
use crate::format::{list_first, thousands};
use crate::formats::bed;
use crate::genome::names::{NameIndex, parent, same_name};
use crate::genome::{Genome, simulate};
use crate::progress::Progress;
use crate::random;

/// Examples of a chromosome or a part; of genomes, bases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub n: u64,
    /// Of each class, or positives of each label; empty where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of_classes: Vec<u64>,
}

impl Counts {
    /// Counts one more, of these classes.
    pub fn add(&mut self, n: u64, of_classes: &[u64]) {
        self.n += n;
        if self.of_classes.len() < of_classes.len() {
            self.of_classes.resize(of_classes.len(), 0);
        }
        self.of_classes.iter_mut().zip(of_classes).for_each(|(sum, count)| *sum += count);
    }
}

/// What examples there are to make folds of.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Chromosomes with examples.
    pub chromosomes: Vec<(String, Counts)>,
    /// Examples without coordinates.
    pub elsewhere: u64,
    /// The parts that examples are dealt to, where they are and not chromosomes of a genome, with the chromosomes of each.
    pub parts: Vec<(Counts, Vec<String>)>,
    /// Names of the two classes that each part needs examples of; empty where there are others.
    pub two_classes: Vec<String>,
}

/// The folds of a set of examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FoldPlan {
    /// What stays together: `chromosome`, `hash`, `similar`, `fold-file` or `fold-column`.
    pub split_by: String,
    /// The chromosomes of each fold; empty lists where its parts are not of chromosomes.
    pub folds: Vec<FoldLists>,
    /// Examples of each part, where folds are made of parts; of genomes, bases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Counts>,
    /// Examples in all, whether or not they are in any fold; of genomes, bases.
    pub examples: u64,
}

impl FoldPlan {
    /// The settings of the data of one fold.
    pub fn config_of(&self, fold: usize, config: &DataConfig) -> DataConfig {
        let mut config = DataConfig { fold: Some(fold), ..config.clone() };
        if !config.is_folded() {
            config.folds = Some(DEFAULT_FOLDS);
        }
        if !config.fold_file.is_empty() || !config.deals_examples() {
            let FoldLists { train, valid, test } = self.folds[fold].clone();
            (config.train_chroms, config.valid_chroms, config.test_chroms) = (train, valid, test);
            config.fold_file.clear();
        }
        config
    }

    /// Whether each fold is made of chromosomes.
    pub fn is_of_chromosomes(&self) -> bool {
        self.folds.iter().all(|fold| fold.lists().iter().all(|(_, names)| !names.is_empty()))
    }
}

/// The settings of a single fold with its chromosomes filled in, where they have folds; others are the same.
///
/// # Errors
/// The folds cannot be made, or none of them is named.
pub fn resolve(config: &DataConfig, seed: u64, progress: &Progress) -> Result<DataConfig> {
    let Some(fold) = config.one_fold() else {
        if config.is_folded() {
            bail!(
                "folds are given and none of them is named, expected --fold K; add it, or train all with strandnet cv"
            );
        }
        return Ok(config.clone());
    };
    if config.names_chromosomes() || (config.deals_examples() && config.fold_file.is_empty()) {
        return Ok(DataConfig { fold: Some(fold), ..config.clone() });
    }
    let plan = plan(&LoadRequest::new(config, seed, progress))?;
    if fold >= plan.folds.len() {
        bail!("--fold is {fold}, and there are {} folds, expected 0 to {}", plan.folds.len(), plan.folds.len() - 1);
    }
    Ok(plan.config_of(fold, config))
}

/// The folds of a request's data.
///
/// # Errors
/// The data cannot be read, or there are too few chromosomes or examples for so many folds.
pub fn plan(request: &LoadRequest) -> Result<FoldPlan> {
    let config = request.config;
    streams::keep(config.paths())?;
    let survey = if config.deals_examples() || reads_whole(config) {
        // Which fold does not matter to the parts.
        let folds = if config.is_folded() { config.folds } else { Some(DEFAULT_FOLDS) };
        let config = DataConfig { folds, fold: Some(0), ..config.clone() };
        sequences::survey(
            dataset::read_all(&LoadRequest { config: &config, ..request.clone() })?,
            &LoadRequest { config: &config, ..request.clone() },
        )?
    } else {
        of_genome(request)?
    };
    let known: Vec<&str> = survey.chromosomes.iter().map(|(name, _)| name.as_str()).collect();
    let examples = survey.elsewhere + survey.chromosomes.iter().map(|(_, counts)| counts.n).sum::<u64>();
    if !config.fold_file.is_empty() {
        if known.is_empty() {
            bail!(
                "{}: names chromosomes, and no example has coordinates, expected names chr:start-end or columns chrom, start and end; add them or use --folds",
                config.fold_file[0].display()
            );
        }
        let (folds, absent) = file::read_all(&config.fold_file, &known)?;
        if !absent.is_empty() {
            request.progress.say(&format!("no example lies on {} of --fold-file", list_first(&absent, 8)));
        }
        for (fold, lists) in folds.iter().enumerate() {
            let listed: Vec<&String> = lists.lists().iter().flat_map(|(_, names)| names.iter()).collect();
            let left: Vec<&(String, Counts)> =
                survey.chromosomes.iter().filter(|(name, _)| !listed.contains(&name)).collect();
            if !left.is_empty() {
                let names: Vec<String> = left.iter().map(|(name, _)| name.clone()).collect();
                let n: u64 = left.iter().map(|(_, counts)| counts.n).sum();
                request.progress.say(&format!(
                    "fold {fold}: {} examples on {} are in no list and are left out",
                    thousands(n as usize),
                    list_first(&names, 8)
                ));
            }
        }
        return Ok(FoldPlan { split_by: "fold-file".into(), folds, parts: Vec::new(), examples });
    }
    let (parts, by) = if survey.parts.is_empty() {
        (parts_of_chromosomes(&survey, config)?, "chromosome")
    } else {
        let by = match (config.split_by, &config.fold_column) {
            (_, Some(_)) => "fold-column",
            (Some(SplitBy::Similar), _) => "similar",
            (Some(SplitBy::Hash), _) => "hash",
            _ if known.is_empty() => "hash",
            _ => "chromosome",
        };
        (survey.parts.clone(), by)
    };
    check_parts(&parts, &survey.two_classes)?;
    let of_chromosomes = by == "chromosome" && survey.elsewhere == 0;
    let lists = |fold: usize| {
        let mut lists = FoldLists::default();
        for (part, (_, names)) in parts.iter().enumerate().filter(|_| of_chromosomes) {
            match split_of_part(part, fold, parts.len()) {
                Split::Train => lists.train.extend(names.iter().cloned()),
                Split::Valid => lists.valid.extend(names.iter().cloned()),
                Split::Test => lists.test.extend(names.iter().cloned()),
            }
        }
        lists.train.sort_by(|a, b| natural_order(a, b));
        lists
    };
    let folds = (0..parts.len()).map(lists).collect();
    Ok(FoldPlan { split_by: by.into(), folds, parts: parts.into_iter().map(|(counts, _)| counts).collect(), examples })
}

/// Whether examples are read whole, and not drawn from the part of a genome that a split has.
fn reads_whole(config: &DataConfig) -> bool {
    matches!(config.source(), SourceKind::Classes | SourceKind::Tables | SourceKind::Examples)
}

/// The chromosomes of genomes, by their bases, or of regions.
fn of_genome(request: &LoadRequest) -> Result<Survey> {
    let LoadRequest { config, seed, progress, .. } = *request;
    let mut found: Vec<(String, Counts)> = Vec::new();
    let mut add = |name: &str, class: usize, n: u64| {
        let mut of_classes = vec![0; class + 1];
        of_classes[class] = n;
        match found.iter_mut().find(|(other, _)| same_name(other) == same_name(name)) {
            Some((_, counts)) => counts.add(n, &of_classes),
            None => {
                found.push((name.to_owned(), Counts::default()));
                if let Some((_, counts)) = found.last_mut() {
                    counts.add(n, &of_classes);
                }
            }
        }
    };
    let class_of = |names: &[&str], name: &str| names.iter().position(|own| *own == name).unwrap_or(0);
    match DataSource::of(config)? {
        DataSource::Genomes(files) => {
            let length = config.length.unwrap_or(dataset::DEFAULT_LENGTH);
            for NamedPath { name, path } in files {
                let genome = Genome::open(path, 0, &|_| false)?;
                for chromosome in genome.chromosomes.iter().filter(|chromosome| chromosome.length >= length) {
                    add(&chromosome.name, class_of(&config.genome_classes(), name), chromosome.length as u64);
                }
            }
        }
        DataSource::Regions(files) => {
            let genome = Genome::open(files.reference, 0, &|_| false)?;
            let index = NameIndex::new(genome.chromosomes.iter().map(|chromosome| chromosome.name.as_str()));
            for NamedPath { name, path } in files.regions {
                for region in bed::read(path, config.center)?.regions {
                    if let Some(place) = index.find(&region.chromosome) {
                        add(&genome.chromosomes[place].name, class_of(&config.region_classes(), name), 1);
                    }
                }
            }
        }
        DataSource::Demo => {
            for (class, species) in simulate::species().into_iter().enumerate() {
                for chromosome in species.genome(seed) {
                    add(&chromosome.name, class, chromosome.codes_with_case().len() as u64);
                }
            }
        }
        DataSource::Classes(_) | DataSource::Tables(_) | DataSource::Examples(_) => {}
    }
    if found.is_empty() {
        bail!("no region lies on a chromosome of the reference, expected some to make folds of; check --reference");
    }
    progress.say(&format!("folds are made of {} chromosomes", thousands(found.len())));
    Ok(Survey { chromosomes: found, ..Survey::default() })
}

/// Chromosomes dealt to parts, pieces and haplotypes of one together.
fn parts_of_chromosomes(survey: &Survey, config: &DataConfig) -> Result<Vec<(Counts, Vec<String>)>> {
    let mut groups: Vec<(String, Counts, Vec<String>)> = Vec::new();
    for (name, counts) in &survey.chromosomes {
        let group = same_name(parent(name)).to_owned();
        match groups.iter_mut().find(|(other, ..)| *other == group) {
            Some((_, sum, names)) => {
                sum.add(counts.n, &counts.of_classes);
                names.push(name.clone());
            }
            None => groups.push((group, counts.clone(), vec![name.clone()])),
        }
    }
    groups.sort_by(|(a, ..), (b, ..)| natural_order(a, b));
    let folds = config.folds.unwrap_or(DEFAULT_FOLDS);
    check_enough(groups.len(), folds, &groups.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>())?;
    let count = match folds {
        FoldCount::Chromosomes => return Ok(groups.into_iter().map(|(_, counts, names)| (counts, names)).collect()),
        FoldCount::Parts(count) => count,
    };
    let unit = |(name, counts, _): &(String, Counts, Vec<String>)| Unit {
        n: counts.n,
        of_classes: counts.of_classes.clone(),
        key: random::hash(name.as_bytes()),
        part: None,
    };
    let dealt = deal(&groups.iter().map(unit).collect::<Vec<_>>(), &vec![1.0; count]);
    let mut parts = vec![(Counts::default(), Vec::new()); count];
    for ((_, counts, names), part) in groups.into_iter().zip(dealt) {
        parts[part].0.add(counts.n, &counts.of_classes);
        parts[part].1.extend(names);
    }
    Ok(parts)
}

/// Checks that there are as many chromosomes as parts.
///
/// # Errors
/// There are fewer.
pub(crate) fn check_enough(chromosomes: usize, folds: FoldCount, names: &[String]) -> Result<()> {
    let needed = if let FoldCount::Parts(count) = folds { count } else { FEWEST_FOLDS };
    if chromosomes < needed {
        let less = if chromosomes >= FEWEST_FOLDS { format!("--folds {chromosomes} or ") } else { String::new() };
        bail!(
            "examples lie on {chromosomes} chromosomes ({}), expected {needed} or more for --folds {folds}; use {less}--split-by similar",
            list_first(names, 8)
        );
    }
    if folds == FoldCount::Chromosomes && chromosomes > MOST_CHROMOSOMES {
        bail!(
            "examples lie on {} chromosomes, expected at most {MOST_CHROMOSOMES} for --folds chromosomes; use --folds 5",
            thousands(chromosomes)
        );
    }
    Ok(())
}

/// The most chromosomes that each have a fold.
const MOST_CHROMOSOMES: usize = 1000;

/// Checks that there is something to test on in every part.
fn check_parts(parts: &[(Counts, Vec<String>)], two_classes: &[String]) -> Result<()> {
    for (part, (counts, names)) in parts.iter().enumerate() {
        let of = if names.is_empty() { String::new() } else { format!(" ({})", list_first(names, 4)) };
        let advice = "use fewer --folds, or name the chromosomes of each with --fold-file";
        if counts.n == 0 {
            bail!("part {part} of {} would have no example, expected some in each; {advice}", parts.len());
        }
        if let [_, _] = two_classes
            && let Some(class) = (0..2).find(|&class| counts.of_classes.get(class).is_none_or(|&n| n == 0))
        {
            bail!(
                "part {part}{of} has {} examples and none of class '{}', expected both classes in each part; {advice}",
                thousands(counts.n as usize),
                two_classes[class]
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(chromosomes: &[(&str, u64)]) -> Survey {
        let of = |(name, n): &(&str, u64)| ((*name).to_owned(), Counts { n: *n, of_classes: vec![*n] });
        Survey { chromosomes: chromosomes.iter().map(of).collect(), ..Survey::default() }
    }

    #[test]
    fn pieces_and_haplotypes_of_a_chromosome_are_one() {
        let survey = survey(&[("chr2", 5), ("chr1", 9), ("chr1_KI270706v1_random", 1), ("3", 7), ("chrX", 3)]);
        let config = DataConfig { folds: Some(FoldCount::Chromosomes), ..DataConfig::default() };
        let parts = parts_of_chromosomes(&survey, &config).unwrap();
        let names: Vec<&[String]> = parts.iter().map(|(_, names)| &names[..]).collect();
        assert_eq!(names, [&["chr1", "chr1_KI270706v1_random"][..], &["chr2"], &["3"], &["chrX"]]);
        let three = DataConfig { folds: Some(FoldCount::Parts(3)), ..DataConfig::default() };
        let parts = parts_of_chromosomes(&survey, &three).unwrap();
        assert_eq!(parts.iter().map(|(counts, _)| counts.n).sum::<u64>(), 25);
        assert!(parts.iter().all(|(counts, _)| (7..=10).contains(&counts.n)), "{parts:?}");
        let error = parts_of_chromosomes(&survey, &DataConfig::default()).unwrap_err().to_string();
        assert!(error.contains("lie on 4 chromosomes") && error.contains("use --folds 4 or"), "{error}");
    }

    #[test]
    fn a_part_with_one_class_is_told_before_anything_is_trained() {
        let part = |of_classes: &[u64]| {
            (Counts { n: of_classes.iter().sum(), of_classes: of_classes.to_vec() }, vec!["chrM".into()])
        };
        let classes = ["a".to_owned(), "b".to_owned()];
        assert!(check_parts(&[part(&[3, 4]), part(&[1, 1])], &classes).is_ok());
        let error = check_parts(&[part(&[3, 4]), part(&[4])], &classes).unwrap_err().to_string();
        assert!(error.contains("part 1 (chrM) has 4 examples and none of class 'b'"), "{error}");
        assert!(check_parts(&[part(&[0])], &[]).unwrap_err().to_string().contains("would have no example"));
    }
}
