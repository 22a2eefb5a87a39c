//! Settings: a TOML file under flags. The input is the file, then one flag a line. What a run saves must be what it ran.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet_fuzz::{put, resolve, sections};

fuzz_target!(|input: &[u8]| {
    let sections = sections(input);
    let path = put("experiment.toml", Some(sections[0]));
    let Some(result) = resolve(Some(&path), sections.get(1).copied().unwrap_or_default()) else { return };
    match result {
        Err(faults) => assert!(!faults.0.is_empty() && !faults.to_string().is_empty()),
        Ok(config) => {
            let saved = put("config.toml", Some(config.to_toml().as_bytes()));
            let again = resolve(Some(&saved), b"").expect("no flags").unwrap();
            let mut expected = config.with_absolute_paths();
            expected.data.memory = again.data.memory; // is saved as it is shown, rounded, and decides nothing
            assert_eq!(again, expected);
        }
    }
});
