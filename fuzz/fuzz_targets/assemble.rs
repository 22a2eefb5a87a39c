//! Sequences of tables and of FASTA with coordinates in the names, put together under any settings. The input is a line
//! of settings, each byte a choice, then a table or FASTA.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::config::{DataConfig, Fit, TaskKind};
use strandnet_core::dataset::examples::Name;
use strandnet_core::dataset::sequences::{Assembled, Read, Sequences, assemble};
use strandnet_core::dataset::split::{Assignment, Split};
use strandnet_core::dataset::tables::{self, LabelColumns, TableRequest};
use strandnet_core::dataset::{Classes, LoadRequest, manifest};
use strandnet_core::formats::record_names;
use strandnet_core::formats::records::Records;
use strandnet_core::progress::Progress;
use strandnet_fuzz::{check, explained, put};

/// Settings off a line: each byte is one choice, and the first where there are no more.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        let (first, rest) = self.0.split_first().unwrap_or((&b'0', &[]));
        self.0 = rest;
        choices[usize::from(first.wrapping_sub(b'0')) % choices.len()].clone()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (mut choices, file) = (Choices(&input[..line]), input.get(line + 1..).unwrap_or_default());

    use TaskKind::{Binary, Multiclass, Multilabel, Regression};
    let kinds = [None, Some(Binary), Some(Multiclass), Some(Multilabel), Some(Regression)];
    let chromosomes = [names(&[]), names(&["chr1"]), names(&["2"]), names(&["chr3", "X"])];
    let mut config = DataConfig {
        task: choices.of(&kinds),
        fit: choices.of(&[None, Some(Fit::CenterCrop), Some(Fit::Pad), Some(Fit::CropOrPad)]),
        length: choices.of(&[None, Some(1), Some(4), Some(9), Some(100)]),
        classes: choices.of(&[names(&[]), names(&["a", "b"]), names(&["1", "0"])]),
        label_columns: choices.of(&[names(&[]), names(&["liver"]), names(&["b", "a"])]),
        ..DataConfig::default()
    };
    // Both ways of dividing at once are refused before.
    if choices.of(&[false, true]) {
        config.train_chroms = choices.of(&chromosomes);
        config.valid_chroms = choices.of(&chromosomes);
        config.test_chroms = choices.of(&chromosomes);
    } else {
        config.valid_fraction = choices.of(&[None, Some(0.001), Some(0.3), Some(0.49)]);
        config.test_fraction = choices.of(&[None, Some(0.001), Some(0.3), Some(0.49)]);
    }
    let own = Assignment::Choice((&config).into());
    let judged = choices.of(&chromosomes);
    let assignment = choices.of(&[
        own,
        Assignment::TestOnAll,
        Assignment::TestOn(judged.clone()),
        Assignment::TestOnUnseenBy((&config).into()),
        Assignment::TestOnOthers(judged),
    ]);
    let run_kind = choices.of(&kinds);
    let run_classes = Classes::named(names(choices.of(&[&["a", "b"], &["0", "1"], &["liver"], &["b", "a", "c"]])));
    let run_length = choices.of(&[4, 1, 60]);
    let task = run_kind.map(|kind| (kind, &run_classes));
    let length = task.map(|_| run_length);
    let memory = choices.of(&[u64::MAX, 0, 16]);
    let part = choices.of(&[None, Some(Split::Train), Some(Split::Test)]);

    let kind = run_kind.or(config.task);
    let path = put("sequences", Some(file));
    let mut sequences = Sequences::new(memory);
    if file.starts_with(b">") {
        let Some(mut records) = explained(Records::open(&path)) else { return };
        let mut codes = Vec::new();
        while let Some(name) = explained(records.next_record()).flatten() {
            let Some(()) = explained(records.read_whole(&mut codes)) else { return };
            let coordinates = record_names::parse(&name, records.description(), codes.len());
            let label = sequences.class(if sequences.len() % 3 == 0 { "a" } else { "b" });
            let read = Read { source: &"x.fa".into(), name: Name::Text(name.into()), place: None, in_genome: false };
            if explained(sequences.push_record(&codes, label, part, read, coordinates)).is_none() {
                return;
            }
        }
    } else {
        let labels = match kind {
            Some(Multilabel | Regression) if run_kind.is_some() => LabelColumns::Values(run_classes.names.clone()),
            Some(Multilabel | Regression) => LabelColumns::Values(config.label_columns.clone()),
            _ => LabelColumns::Class,
        };
        let request = TableRequest { labels, classes: &config.classes, fold_column: None, progress: Progress::quiet() };
        if explained(tables::read(&path, &request, part, &mut sequences)).is_none() {
            return;
        }
        if choices.of(&[false, true]) {
            explained(tables::read(&path, &request, Some(Split::Valid), &mut sequences));
        }
    }
    let all = sequences.len();
    let progress = Progress::quiet();
    let request = LoadRequest { assignment, task, length, memory, ..LoadRequest::new(&config, 1, &progress) };
    let assembled = explained(assemble(sequences, &request));
    let Some(Assembled { splits, kind, classes }) = assembled else { return };
    splits.iter().for_each(check);
    assert!(splits.iter().map(|examples| examples.len()).sum::<usize>() <= all);
    let lengths: Vec<usize> = splits.iter().map(|examples| examples.length).collect();
    assert_eq!(lengths, [lengths[0]; 3]);
    assert!(length.is_none_or(|length| length == lengths[0]));
    assert!(classes.positive < classes.names.len());
    if matches!(kind, Binary | Multiclass) {
        let found = splits.iter().flat_map(|examples| examples.classes());
        assert!(found.into_iter().all(|class| class < classes.names.len()));
    }
    let parts = [Split::Train, Split::Valid, Split::Test];
    let parts: Vec<_> = parts.into_iter().zip(&splits).collect();
    manifest::write(&mut std::io::sink(), &parts, kind, &classes).unwrap();
});
