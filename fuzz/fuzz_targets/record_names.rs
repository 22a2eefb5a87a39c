//! Coordinates in the names of records. The input is a length and a name: `5 chr1:5-10(+)`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::record_names::parse;
use strandnet_fuzz::explained;

fuzz_target!(|input: &str| {
    let (length, name) = input.split_once(' ').unwrap_or(("", input));
    let length = length.parse().unwrap_or(name.len());
    if let Some(place) = explained(parse(name, length)).flatten() {
        assert_eq!(place.range.len(), length);
        assert!(!place.chromosome.is_empty());
        let (range, strand) = (place.range.clone(), if place.reverse { "-" } else { "+" });
        // A length of 0 is the one that both ways of counting may share.
        let again = parse(&format!("{}:{}-{}({strand})", place.chromosome, range.start, range.end), length);
        assert_eq!(again.unwrap(), Some(place));
    }
});
