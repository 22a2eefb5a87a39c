//! Tables of labelled sequences: classes, all columns of values, and some by name. The input is the table.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::dataset::sequences::Sequences;
use strandnet_core::dataset::split::Split;
use strandnet_core::dataset::tables::{LabelColumns, Table, TableRequest, read};
use strandnet_core::progress::Progress;
use strandnet_fuzz::{explained, put};

fuzz_target!(|bytes: &[u8]| {
    let path = put("table.csv", Some(bytes));
    if explained(Table::open(&path)).is_none() {
        return;
    }
    let named = LabelColumns::Values(vec!["liver".into(), "b".into()]);
    for labels in [LabelColumns::Class, LabelColumns::Values(Vec::new()), named] {
        for part in [None, Some(Split::Test)] {
            let mut sequences = Sequences::new(64);
            let request =
                TableRequest { labels: labels.clone(), classes: &[], fold_column: None, progress: Progress::quiet() };
            if explained(read(&path, &request, part, &mut sequences)).is_some() {
                assert!(!sequences.is_empty());
                assert_eq!(sequences.columns.is_empty(), labels == LabelColumns::Class);
                // A second table of the same columns goes with it.
                let before = sequences.len();
                read(&path, &request, Some(Split::Valid), &mut sequences).unwrap();
                assert_eq!(sequences.len(), 2 * before);
            }
        }
    }
});
