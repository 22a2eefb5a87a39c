//! Settings of folds, and of what stays together when examples are split.

use std::str::FromStr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{DataConfig, SourceKind, TaskKind};

/// What stays together when examples are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// Examples of one chromosome
    Chromosome,
    /// Examples of the same sequence, on either strand
    Hash,
    /// Clusters of similar sequences, on either strand
    Similar,
}

/// Into how many parts examples are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^\s*(chromosomes|[0-9]+)\s*$"))]
pub enum FoldCount {
    /// So many.
    Parts(usize),
    /// One for each chromosome, each left out in turn.
    Chromosomes,
}

/// The fewest folds: a part to test on, one to validate on and one to train on.
pub const FEWEST_FOLDS: usize = 3;
/// The most folds, more than any genome has chromosomes that are worth a fold each.
const MOST_FOLDS: usize = 1000;
/// Folds of `cv` where nothing is said.
pub const DEFAULT_FOLDS: FoldCount = FoldCount::Parts(5);

impl FromStr for FoldCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "chromosomes" => Ok(Self::Chromosomes),
            text => match text.parse() {
                Ok(count) if (FEWEST_FOLDS..=MOST_FOLDS).contains(&count) => Ok(Self::Parts(count)),
                _ => Err(format!(
                    "found '{text}', expected {FEWEST_FOLDS} to {MOST_FOLDS} (a part to test on, one to validate on and the rest to train on) or chromosomes"
                )),
            },
        }
    }
}

impl std::fmt::Display for FoldCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parts(count) => write!(f, "{count}"),
            Self::Chromosomes => f.write_str("chromosomes"),
        }
    }
}

impl DataConfig {
    /// Whether examples are those of one of several folds.
    pub fn is_folded(&self) -> bool {
        self.folds.is_some() || !self.fold_file.is_empty() || self.fold_column.is_some()
    }

    /// The fold whose examples these are, from 0; none where there is none or it is left open.
    pub fn one_fold(&self) -> Option<usize> {
        // A single file is a single fold.
        self.fold.or((self.fold_file.len() == 1).then_some(0))
    }

    /// Whether examples that are read whole are dealt to splits, and not chromosomes of a genome.
    pub fn deals_examples(&self) -> bool {
        match self.source() {
            SourceKind::Genomes | SourceKind::Demo => false,
            SourceKind::Regions => matches!(self.split_by, Some(SplitBy::Hash | SplitBy::Similar)),
            SourceKind::Classes | SourceKind::Tables | SourceKind::Examples => {
                self.is_folded() || self.fold.is_some() || self.split_by.is_some()
            }
        }
    }

    /// What is wrong with the settings of folds.
    pub(super) fn fold_faults(&self) -> Vec<String> {
        let (mut faults, source) = (Vec::new(), self.source());
        let mut check = |ok: bool, fault: &str| {
            if !ok {
                faults.push(fault.to_owned());
            }
        };
        let ways = [self.folds.is_some(), !self.fold_file.is_empty(), self.fold_column.is_some()];
        check(
            ways.iter().filter(|&&is_given| is_given).count() <= 1,
            "--folds, --fold-file and --fold-column are different ways to make folds, expected one; remove the others",
        );
        check(
            self.fold_column.is_none() || source == SourceKind::Tables,
            "--fold-column names a column of a table, expected --train; remove it or give a table",
        );
        let lists = [&self.train_chroms, &self.valid_chroms, &self.test_chroms];
        let lists_all = lists.iter().all(|names| !names.is_empty());
        check(
            !(self.is_folded() && self.names_chromosomes()) || (self.fold.is_some() && lists_all),
            "--train-chroms, --valid-chroms and --test-chroms are one way to split and folds another; remove one of them",
        );
        check(
            self.fold.is_none() || self.is_folded() || lists_all,
            "--fold is given without folds, expected --folds, --fold-file or --fold-column; add one or remove it",
        );
        let shares = self.valid_fraction.is_some() || self.test_fraction.is_some();
        check(
            !(self.is_folded() && shares),
            "--valid-fraction and --test-fraction go with a single split, and folds have parts of like size; remove them",
        );
        check(
            !self.keep_test || self.is_folded() || self.fold.is_some(),
            "--keep-test keeps a test set out of all folds, and there are none; add --folds or remove it",
        );
        let alike = matches!(self.split_by, Some(SplitBy::Hash | SplitBy::Similar));
        check(
            !alike || !matches!(source, SourceKind::Genomes | SourceKind::Demo),
            "--split-by hash and similar go with examples that are given, and windows of --genome are drawn by chromosome; remove it",
        );
        check(
            !alike
                || !(self.folds == Some(FoldCount::Chromosomes)
                    || !self.fold_file.is_empty()
                    || self.fold_column.is_some()),
            "--split-by hash and similar deal examples, and --folds chromosomes, --fold-file and --fold-column say where they go; remove one",
        );
        check(
            !alike || !self.names_chromosomes(),
            "--split-by hash and similar take no heed of chromosomes, and --train-chroms, --valid-chroms or --test-chroms name some; remove one",
        );
        check(
            !(alike && source == SourceKind::Regions && self.jitter > 0) || self.task != Some(TaskKind::Profile),
            "--jitter moves training windows over those of other splits where these are not whole chromosomes; use --split-by chromosome",
        );
        if let (Some(FoldCount::Parts(count)), Some(fold)) = (self.folds, self.fold)
            && fold >= count
        {
            faults.push(format!("--fold is {fold}, and there are {count} folds, expected 0 to {}", count - 1));
        }
        if !self.fold_file.is_empty()
            && let Some(fold) = self.fold.filter(|&fold| fold >= self.fold_file.len())
        {
            let count = self.fold_file.len();
            faults.push(format!("--fold is {fold}, and --fold-file names {count} folds, expected 0 to {}", count - 1));
        }
        if !(self.similarity > 0.0 && self.similarity <= 1.0) {
            faults.push(format!("--similarity is {}, expected more than 0 and at most 1", self.similarity));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_folds_leaves_parts_to_test_validate_and_train_on() {
        assert_eq!("5".parse(), Ok(FoldCount::Parts(5)));
        assert_eq!(" chromosomes ".parse(), Ok(FoldCount::Chromosomes));
        for wrong in ["2", "0", "-1", "x", "", "1001", "2.5"] {
            let fault = wrong.parse::<FoldCount>().unwrap_err();
            assert!(fault.contains("expected 3 to 1000"), "{fault}");
        }
        assert_eq!(FoldCount::Parts(7).to_string().parse(), Ok(FoldCount::Parts(7)));
    }

    #[test]
    fn settings_that_do_not_go_together_are_told() {
        let table = DataConfig { train: Some("x.csv".into()), ..DataConfig::default() };
        let faults = |config: DataConfig| config.fold_faults().join("; ");
        let folds = Some(FoldCount::Parts(5));
        assert_eq!(faults(DataConfig { folds, fold: Some(4), ..table.clone() }), "");
        for (config, part) in [
            (DataConfig { folds, fold: Some(5), ..table.clone() }, "expected 0 to 4"),
            (DataConfig { folds, fold_file: vec!["f.json".into()], ..table.clone() }, "different ways"),
            (DataConfig { fold: Some(1), ..table.clone() }, "without folds"),
            (DataConfig { folds, test_chroms: vec!["1".into()], ..table.clone() }, "one way to split"),
            (DataConfig { folds, test_fraction: Some(0.2), ..table.clone() }, "parts of like size"),
            (DataConfig { keep_test: true, ..table.clone() }, "there are none"),
            (DataConfig { similarity: 0.0, ..table.clone() }, "--similarity is 0"),
            (DataConfig { split_by: Some(SplitBy::Similar), ..DataConfig::default() }, "drawn by chromosome"),
            (
                DataConfig { split_by: Some(SplitBy::Hash), folds: Some(FoldCount::Chromosomes), ..table.clone() },
                "say where they go",
            ),
            (DataConfig { fold_column: Some("f".into()), ..DataConfig::default() }, "a column of a table"),
        ] {
            let found = faults(config);
            assert!(found.contains(part), "'{part}' is missing from: {found}");
        }
    }
}
