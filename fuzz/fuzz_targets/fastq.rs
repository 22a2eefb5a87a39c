//! FASTQ, plain or compressed. Reads must come back the same when they are written.
#![no_main]

use std::io::{BufRead, Cursor};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::fastq::{Reads, write_read};
use strandnet_core::formats::records::Records;
use strandnet_fuzz::{explained, put};

/// Name, bases and qualities.
type Read = [Vec<u8>; 3];

/// All reads, with the text that they are written as; nothing where one is at fault.
fn reads(input: Box<dyn BufRead + Send>) -> Option<(Vec<Read>, Vec<u8>)> {
    let mut reads = Reads::new(Path::new("reads.fastq"), input);
    let (mut all, mut text, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    while explained(reads.next_read())? {
        codes.clear();
        explained(reads.codes(&mut codes))?;
        let record = reads.record();
        assert_eq!(codes.len(), record.quality_scores().len());
        write_read(&mut text, record).unwrap();
        all.push([reads.name().to_vec(), record.sequence().to_vec(), record.quality_scores().to_vec()]);
    }
    Some((all, text))
}

fuzz_target!(|bytes: &[u8]| {
    if let Some((all, text)) = reads(Box::new(Cursor::new(bytes.to_vec()))) {
        // Carriage returns in the middle of nowhere are what line ends of another file may take along.
        let is_printable = |part: &Vec<u8>| part.iter().all(u8::is_ascii_graphic);
        if all.iter().flatten().all(is_printable) {
            let (again, _) = reads(Box::new(Cursor::new(text))).expect("written reads are reads");
            assert_eq!(again, all);
        }
    }
    let Some(mut records) = explained(Records::open(&put("reads.fastq", Some(bytes)))) else { return };
    let mut codes = Vec::new();
    while let Some(Some(_)) = explained(records.next_record()) {
        if explained(records.read_whole(&mut codes)).is_none() {
            break;
        }
        assert!(records.read().is_none_or(|read| read.sequence().len() == codes.len()));
    }
});
