//! Which settings go with `--signal`, and which lengths fit each other.

use crate::config::{Architecture, Config, DataConfig, Loss, Negatives, SourceKind, TaskKind, name_of};

impl DataConfig {
    /// What is wrong with `--signal` and what goes with it.
    pub fn signal_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.bin == Some(0) {
            faults.push("--bin is 0, expected 1 or more".to_owned());
        }
        if self.signal.is_empty() {
            let alone = [
                ("--aggregate", self.aggregate.is_some()),
                ("--log1p", self.log1p),
                ("--output-length", self.output_length.is_some()),
                ("--bin", self.bin.is_some()),
            ];
            let alone = alone.into_iter().filter(|(_, is_set)| *is_set && self.source() == SourceKind::Regions);
            faults.extend(alone.map(|(flag, _)| format!("{flag} goes with --signal; add it or remove {flag}")));
            return faults;
        }
        if let Some(kind) = self.task.filter(|kind| !kind.predicts_values()) {
            faults
                .push(format!("--task is {}, expected regression or profile for --signal; remove it", name_of(&kind)));
        }
        if let Some(name) = repeated(self.signal.iter().map(|track| &track.name)) {
            faults.push(format!("--signal names '{name}' twice, expected a name for each value; choose another"));
        }
        if self.negatives == Some(Negatives::Shuffle) {
            faults.push("--negatives is shuffle, expected gc-matched, random or a BED file for --signal, which a shuffled sequence does not have; use one of them".into());
        }
        match (self.output_length, self.length) {
            (Some(0), _) => faults.push("--output-length is 0, expected 1 or more".into()),
            (Some(out), Some(length)) => faults.extend(output_length_fault(out, length)),
            _ => {}
        }
        match (self.bin, self.output_length.or(self.length)) {
            (Some(bin), Some(out)) if bin > 0 && !out.is_multiple_of(bin) => faults.push(bin_fault(bin, out)),
            _ => {}
        }
        faults
    }
}

impl Config {
    /// What is wrong with `--task profile` and what goes with it.
    pub(super) fn profile_faults(&self) -> Vec<String> {
        let Self { data, training, .. } = self;
        let mut faults = Vec::new();
        let is_profile = data.task == Some(TaskKind::Profile);
        let default = DataConfig::default();
        for (flag, is_set) in [
            ("--control", data.control.is_some()),
            ("--jitter", data.jitter > 0),
            ("--outlier-quantile", data.outlier_quantile != default.outlier_quantile),
            ("--merge-distance", data.merge_distance.is_some()),
            ("--counts-weight", training.counts_weight.is_some()),
            ("--bias", training.bias.is_some()),
            ("--loss multinomial", training.loss == Some(Loss::Multinomial)),
        ] {
            if is_set && !is_profile {
                faults.push(format!("{flag} goes with --task profile; add it or remove {flag}"));
            }
        }
        if !is_profile {
            return faults;
        }
        if data.signal.is_empty() {
            faults.push(
                "--task profile is given without --signal, expected --regions and tracks; add --signal NAME=FILE.bw"
                    .into(),
            );
        }
        for (flag, is_set) in [
            ("--aggregate", data.aggregate.is_some()),
            ("--log1p", data.log1p),
            ("--bin", data.bin.is_some()),
            ("--shift", training.shift > 0),
        ] {
            if is_set {
                let instead = if flag == "--shift" { "; use --jitter, which moves both" } else { "; remove it" };
                faults.push(format!(
                    "{flag} does not go with --task profile, which predicts counts base by base{instead}"
                ));
            }
        }
        if training.bias.is_some() && self.model.arch == Architecture::Bias {
            faults.push("--bias does not go with --arch bias, whose run is what --bias names; remove one".into());
        }
        if training.bias.is_some() && data.control.is_some() {
            faults.push("--bias and --control are given together, and each stands for what is not of the sequence's own; remove one".into());
        }
        let (length, output_length) = data.profile_lengths();
        faults.extend(output_length_fault(output_length, length));
        if !(0.5..=1.0).contains(&data.outlier_quantile) {
            faults.push(format!("--outlier-quantile is {}, expected 0.5 to 1", data.outlier_quantile));
        }
        if let Some(weight) = training.counts_weight.filter(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            faults.push(format!("--counts-weight is {weight}, expected a number of 0 or more"));
        }
        faults
    }
}

/// The first that comes twice.
fn repeated<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = std::collections::HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// Why the middle of a window cannot have a length, if it cannot.
pub(crate) fn output_length_fault(output_length: usize, length: usize) -> Option<String> {
    if output_length > length {
        return Some(format!(
            "--output-length is {output_length}, expected at most the {length} bp of a window; lower it or raise --length"
        ));
    }
    let off_centre = !(length - output_length).is_multiple_of(2);
    off_centre.then(|| format!("--output-length is {output_length} and windows have {length} bp, expected an even difference, so that either strand has the same middle; change one by 1"))
}

/// That a length is no multiple of a bin's.
pub(crate) fn bin_fault(bin: usize, output_length: usize) -> String {
    format!("--bin is {bin}, expected a length that divides the {output_length} bp of --output-length; change one")
}
