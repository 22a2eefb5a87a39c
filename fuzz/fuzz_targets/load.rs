//! All that `train` reads before it trains. The input is flags, one a line, then files called 1, 2, 3 and so on, as in
//! `--class=human=1`. The listing of the examples must give the same examples again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::config::{Config, DataConfig};
use strandnet_core::dataset::{Dataset, LoadRequest, load, manifest};
use strandnet_core::progress::Progress;
use strandnet_fuzz::{check, explained, put, resolve, sections};

/// What a listing says of the examples, and all their codes.
fn listed(data: &Dataset) -> (String, Vec<u8>) {
    let mut text = Vec::new();
    manifest::write(&mut text, &data.splits(), data.kind, &data.classes).unwrap();
    let codes = data.splits().map(|(_, examples)| examples.all_codes().unwrap()).concat();
    (String::from_utf8(text).unwrap(), codes)
}

fuzz_target!(|input: &[u8]| {
    let sections = sections(input);
    for (i, name) in ["1", "2", "3", "4"].into_iter().enumerate() {
        put(name, sections.get(i + 1).copied());
    }
    let Some(Ok(Config { mut data, training, .. })) = resolve(None, sections[0]) else { return };
    // Numbers that rightly take long, and the demo, which does not read.
    let counts = [data.fragments, data.valid_fragments(), data.test_fragments];
    let is_drawn = !data.genome.is_empty();
    let is_large = is_drawn && counts.iter().any(|&count| count > 100) || data.negatives_per_positive > 20;
    if data.is_demo() || is_large || data.length.is_some_and(|length| length > 1000) {
        return;
    }
    data.memory = Some(data.memory.unwrap_or("1MB".parse().expect("a size")));

    let progress = Progress::quiet();
    let Some(dataset) = explained(load(&LoadRequest::new(&data, training.seed, &progress))) else { return };
    dataset.splits().into_iter().for_each(|(_, examples)| check(examples));
    if let Some(resampler) = &dataset.resampler {
        check(&resampler.draw(3).unwrap());
    }
    let (text, codes) = listed(&dataset);
    let path = put("examples.tsv", Some(text.as_bytes()));
    let DataConfig { task, classes, label_columns, length, fit, memory, .. } = data;
    let config =
        DataConfig { examples: Some(path), task, classes, label_columns, length, fit, memory, ..DataConfig::default() };
    let again = load(&LoadRequest {
        task: Some((dataset.kind, &dataset.classes)),
        ..LoadRequest::new(&config, training.seed, &progress)
    })
    .unwrap();
    assert_eq!(again.classes, dataset.classes);
    let (same_text, same_codes) = listed(&again);
    assert_eq!(same_text, text);
    assert!(same_codes == codes, "other sequences: {text}");
});
