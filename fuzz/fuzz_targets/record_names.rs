//! Coordinates in the names of records. The input is a length, a name and a description: `5 chr1:5-10(+) range=chr1:6-10`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::record_names::{Coordinates, parse};

fuzz_target!(|input: &str| {
    let (length, header) = input.split_once(' ').unwrap_or(("", input));
    let (name, description) = header.split_once(' ').unwrap_or((header, ""));
    let length = length.parse().unwrap_or(name.len());
    match parse(name, description, length) {
        Coordinates::Exact(place) => {
            assert_eq!(place.range.len(), length);
            assert!(!place.chromosome.is_empty());
            let (range, strand) = (place.range.clone(), if place.reverse { "-" } else { "+" });
            // A length of 0 is the one that both ways of counting may share.
            let again = parse(&format!("::{}:{}-{}({strand})", place.chromosome, range.start, range.end), "", length);
            assert!(matches!(again, Coordinates::Exact(_) | Coordinates::Derived(_)));
        }
        Coordinates::Derived(place) => assert_eq!(place.range.len(), length),
        Coordinates::Misfit(place) => assert!(!place.chromosome.is_empty()),
        Coordinates::Absent => {}
    }
});
