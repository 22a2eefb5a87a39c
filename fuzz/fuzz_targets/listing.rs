//! Listings of examples. The input is the listing, then the FASTA that rows without a sequence lie in, called
//! `genome.fa`. A listing that is read and written must be read and written as the same again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strandnet_core::config::{DataConfig, Fit, TaskKind};
use strandnet_core::dataset::LoadRequest;
use strandnet_core::dataset::manifest::{self, Learned};
use strandnet_core::dataset::sequences::{Assembled, Sequences, assemble};
use strandnet_core::dataset::split::Split;
use strandnet_core::progress::Progress;
use strandnet_fuzz::{check, explained, put, sections};

/// Codes of every split and the listing of them; nothing where something is at fault.
fn rewritten(
    path: &Path,
    task: Option<TaskKind>,
    columns: &[String],
    bin: Option<usize>,
    memory: u64,
) -> Option<(Vec<Vec<u8>>, String)> {
    let progress = Progress::quiet();
    let mut sequences = Sequences::new(memory);
    explained(manifest::read(path, task, columns, (bin, false), (memory, None), &mut sequences, &progress))?;
    let config = DataConfig { fit: Some(Fit::Pad), task, ..DataConfig::default() };
    let request = LoadRequest { memory, ..LoadRequest::new(&config, 0, &progress) };
    let Assembled { splits, kind, classes } = explained(assemble(sequences, &request))?;
    splits.iter().for_each(check);
    let [train, valid, test] = &splits;
    let mut text = Vec::new();
    let parts = [(Split::Train, train), (Split::Valid, valid), (Split::Test, test)];
    manifest::write(&mut text, &parts, kind, &classes).unwrap();
    let codes = splits.iter().map(|examples| examples.all_codes().unwrap()).collect();
    Some((codes, String::from_utf8(text).unwrap()))
}

fuzz_target!(|input: &[u8]| {
    let sections = sections(input);
    put("genome.fa", sections.get(1).copied());
    let path = put("examples.tsv", Some(sections[0]));
    explained(Learned::read(&path, 1 << 20));
    let some = ["b".to_owned()];
    let values = Some(TaskKind::Regression);
    for (task, columns, bin, memory) in [
        (None, &[][..], None, 0),
        (None, &[], None, 1 << 20),
        (values, &[], None, 1 << 20),
        (values, &some, None, 1 << 20),
        (values, &[], Some(2), 1 << 20),
        (values, &some, Some(2), 1 << 20),
    ] {
        if let Some((codes, text)) = rewritten(&path, task, columns, bin, memory) {
            let path = put("again.tsv", Some(text.as_bytes()));
            let (same, again) = rewritten(&path, task, columns, bin, memory).expect("a written listing is a listing");
            assert_eq!(again, text);
            assert!(same == codes, "other sequences: {text}");
        }
    }
});
