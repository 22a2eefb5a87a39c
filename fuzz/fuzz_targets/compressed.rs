//! Compressed files, told apart by content: gzip, BGZF and what is neither.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::compression::{InputFile, open_detected};
use strandnet_core::genome::Genome;
use strandnet_fuzz::{explained, put};

/// As much as is read of a file that unpacks to more.
const MOST: u64 = 1 << 24;

fuzz_target!(|bytes: &[u8]| {
    let path = put("file", Some(bytes));
    let Some(file) = explained(InputFile::open(&path)) else { return };
    let mut text = Vec::new();
    let whole = file.bytes().take(MOST).read_to_end(&mut text).is_ok();
    // A pipe is told as a file is.
    if let Some((mut input, compression)) = explained(open_detected(&path)) {
        assert_eq!(compression, file.compression());
        let mut again = Vec::new();
        let is_same = input.by_ref().take(MOST).read_to_end(&mut again).is_ok() && whole && (text.len() as u64) < MOST;
        assert!(!is_same || text.ends_with(&again) && text.len() - again.len() <= 3);
    }
    if let Some(Some(index)) = explained(file.blocks())
        && whole
        && (text.len() as u64) < MOST
    {
        assert_eq!(index.as_ref().last().map_or(0, |&(_, decoded)| decoded), text.len() as u64);
    }
    for memory in [0, u64::MAX] {
        explained(Genome::open(&path, memory, &|_| true));
    }
});
