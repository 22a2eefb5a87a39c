//! Motifs in MEME format, or that of JASPAR, TRANSFAC, HOMER or HOCOMOCO, plain or compressed. What is read must be read back
//! the same when it is written as MEME.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_core::formats::meme::{WIDEST_BP, write};
use strandnet_core::formats::motif_files::read;
use strandnet_fuzz::{explained, put};

fuzz_target!(|bytes: &[u8]| {
    let Some(motifs) = explained(read(&put("known.txt", Some(bytes)))) else { return };
    assert!(!motifs.is_empty());
    for motif in &motifs {
        assert!((1..=WIDEST_BP).contains(&motif.columns.len()) && !motif.id.is_empty());
        for column in &motif.columns {
            assert!(
                column.iter().all(|share| (0.0..=1.0).contains(share))
                    && (column.iter().sum::<f64>() - 1.0).abs() < 1e-6
            );
        }
    }
    let again = read(&put("again.txt", Some(write(&motifs, [0.25; 4], true).as_bytes()))).unwrap();
    assert_eq!(again, motifs);
});
