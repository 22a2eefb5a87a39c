//! Aligned reads in any format, BAM among them without its compression, and a table of barcodes after a divider: none stops the program
//! otherwise than with an error, and what is handed on lies in its chromosome.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use strandnet_core::config::{Counted, Shift, ShiftChoice};
use strandnet_core::genome::Chromosome;
use strandnet_core::progress::Progress;
use strandnet_core::reads::barcodes::Barcodes;
use strandnet_core::reads::file::{Mate, ReadsFile, Target};
use strandnet_core::reads::left_out::{Filters, LeftOut};
use strandnet_core::reads::{Request, gather};
use strandnet_fuzz::{explained, put, sections};

fuzz_target!(|data: &[u8]| {
    let parts = sections(data);
    let reads = put("reads", Some(parts[0]));
    let table = parts.get(1).map(|table| put("barcodes", Some(table)));
    let chromosomes = [("chr1", 1000), ("chr2", 70)].map(|(name, length)| Chromosome { name: name.into(), length });
    let target = || Target {
        path: Path::new("genome.fa"),
        chromosomes: &chromosomes,
        wanted: vec![true, true],
        without_mitochondrion: true,
    };
    if let Some(file) = explained(ReadsFile::open(&reads)) {
        let each = |record: strandnet_core::reads::file::Record, _: &mut LeftOut| {
            assert!(!record.range.is_empty() && record.range.end <= chromosomes[record.chromosome].length);
            Ok(())
        };
        explained(file.for_each(&target(), &Filters::default(), &mut LeftOut::default(), each));
    }
    let files = [reads];
    let barcodes = table.and_then(|table| explained(Barcodes::read(&table, &files)));
    for counted in [Counted::Insertions, Counted::Coverage] {
        explained(gather(Request {
            files: &files,
            target: &target(),
            genome: None,
            counted,
            shift: ShiftChoice::Given(Shift { plus: 4, minus: -4 }),
            mate: Mate::First,
            filters: Filters::default(),
            barcodes: None,
            memory: 1 << 20,
            progress: Progress::quiet(),
        }));
    }
    if barcodes.is_some() {
        explained(gather(Request {
            files: &files,
            target: &target(),
            genome: None,
            counted: Counted::Insertions,
            shift: ShiftChoice::Given(Shift::default()),
            mate: Mate::First,
            filters: Filters::default(),
            barcodes,
            memory: 0,
            progress: Progress::quiet(),
        }));
    }
});
