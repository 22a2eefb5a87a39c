//! BED and narrowPeak, plain or compressed. What is read must be read back the same when it is written as BED.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::config::Center;
use strandnet_core::formats::bed::{Region, read};
use strandnet_fuzz::{explained, put};

fn written(region: &Region) -> String {
    let Region { chromosome, start, end, .. } = region;
    let (name, strand) = (region.name.as_deref().unwrap_or("."), if region.reverse { '-' } else { '+' });
    let peak = region.summit.map_or_else(String::new, |summit| format!("\t1.5\t-1\t2\t{}", summit - start));
    format!("{chromosome}\t{start}\t{end}\t{name}\t0\t{strand}{peak}\n")
}

fuzz_target!(|bytes: &[u8]| {
    let path = put("regions.bed", Some(bytes));
    for center in [Center::Summit, Center::Middle] {
        explained(read(&path, Some(center)));
    }
    let Some(file) = explained(read(&path, None)) else { return };
    assert!(file.unreadable.len() <= file.regions.len() && !file.describe().contains('\n'));
    let mut regions = file.regions;
    // A first chromosome may look like a byte order mark, or like the start of FASTA or FASTQ.
    let first = regions.first().map(|region| Region { chromosome: "chr1".into(), ..region.clone() });
    regions.splice(0..0, first);
    let mut text = String::new();
    for (region, line) in regions.iter_mut().zip(1..) {
        assert!(region.start < region.end && (region.start..region.end).contains(&region.centre()));
        assert!(!region.chromosome.is_empty() && region.line >= 1);
        region.line = line;
        text.push_str(&written(region));
    }
    let again = read(&put("again.bed", Some(text.as_bytes())), None).unwrap();
    assert_eq!(again.regions, regions);
});
