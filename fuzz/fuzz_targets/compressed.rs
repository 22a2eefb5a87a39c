//! Compressed files, told apart by content: gzip, BGZF and what is neither.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::compression::{Compression, InputFile};
use strandnet_core::genome::Genome;
use strandnet_fuzz::{explained, put};

/// The empty block that ends BGZF; with it, changed files get past the first check.
const END: [u8; 28] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// As much as is read of a file that unpacks to more.
const MOST: u64 = 1 << 24;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if bytes.starts_with(&END[..4]) && !bytes.ends_with(&END) {
        bytes.extend_from_slice(&END);
    }
    let path = put("file", Some(&bytes));
    let Some(file) = explained(InputFile::open(&path)) else { return };
    let first = explained(file.first_byte()).flatten();
    let mut text = Vec::new();
    let whole = file.reader().take(MOST).read_to_end(&mut text).is_ok();
    if whole {
        assert_eq!(first, text.first().copied());
    }
    if file.compression() == Compression::Bgzf
        && let Some(index) = explained(file.blocks())
        && whole
        && (text.len() as u64) < MOST
    {
        assert_eq!(index.as_ref().last().map_or(0, |&(_, decoded)| decoded), text.len() as u64);
    }
    for memory in [0, u64::MAX] {
        explained(Genome::open(&path, memory, &|_| true));
    }
});
