//! The known word nearest to one that is misspelt, for the errors of configuration files.

/// Words that other programs use for a setting here.
const SYNONYMS: [(&str, &str); 22] = [
    ("learning_rate", "lr"),
    ("learningrate", "lr"),
    ("rate", "lr"),
    ("lr_schedule", "schedule"),
    ("scheduler", "schedule"),
    ("num_epochs", "epochs"),
    ("n_epochs", "epochs"),
    ("max_epochs", "epochs"),
    ("batch", "batch_size"),
    ("early_stopping", "patience"),
    ("ensemble_size", "ensemble"),
    ("architecture", "arch"),
    ("network", "arch"),
    ("kernel_size", "width"),
    ("num_filters", "filters"),
    ("n_filters", "filters"),
    ("dropout_rate", "dropout"),
    ("seq_len", "length"),
    ("sequence_length", "length"),
    ("bed", "regions"),
    ("blacklist", "exclude"),
    ("fasta", "reference"),
];

/// The candidate that a word is most likely meant to be, if any is near: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
    let word = plain(word);
    let most = (word.chars().count() / 3).max(1);
    let near = candidates.into_iter().filter_map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &plain(candidate));
        (distance <= most && distance < candidate.chars().count()).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// The key of a setting that a word is most likely meant to be; also where it is what others call the setting.
pub fn nearest_key<'a>(word: &str, keys: &[&'a str]) -> Option<&'a str> {
    nearest(word, keys.iter().copied()).or_else(|| {
        let synonym = nearest(word, SYNONYMS.iter().map(|(other, _)| *other))?;
        let (_, own) = SYNONYMS.iter().find(|(other, _)| *other == synonym)?;
        keys.iter().find(|key| *key == own).copied()
    })
}

/// serde's message of an unknown name, which lists the known ones in backticks, with the nearest of them added.
pub fn with_suggestion(message: &str) -> String {
    let message = message.replace('\n', " ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_unknown = message.contains("unknown variant `") || message.contains("unknown field `");
    match quoted.next().filter(|_| is_unknown).and_then(|word| nearest(word, quoted)) {
        Some(meant) => format!("{message}; did you mean '{meant}'?"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_are_known_and_strange_ones_are_not() {
        let keys = ["lr", "epochs", "batch_size", "weight_decay", "patience", "negatives", "train_chroms", "length"];
        for (word, meant) in [
            ("lerning_rate", Some("lr")),
            ("learning-rate", Some("lr")),
            ("LR", Some("lr")),
            ("epoch", Some("epochs")),
            ("epohcs", Some("epochs")),
            ("num_epoch", Some("epochs")),
            ("batchsize", Some("batch_size")),
            ("batch-size", Some("batch_size")),
            ("weigth_decay", Some("weight_decay")),
            ("wieght_decay", Some("weight_decay")),
            ("pateince", Some("patience")),
            ("negative", Some("negatives")),
            ("train_chrom", Some("train_chroms")),
            ("train_chromosomes", Some("train_chroms")),
            ("seqlen", Some("length")),
            ("lenght", Some("length")),
            ("x", None),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(nearest_key(word, &keys), meant, "{word}");
        }
    }

    #[test]
    fn a_misspelt_value_is_answered_with_the_nearest() {
        let said = with_suggestion("unknown variant `adamm`, expected one of `adamw`, `adam`, `sgd`");
        assert!(said.ends_with("; did you mean 'adam'?") || said.ends_with("; did you mean 'adamw'?"), "{said}");
        assert_eq!(with_suggestion("invalid type: `a`, expected `b`"), "invalid type: `a`, expected `b`");
    }
}
