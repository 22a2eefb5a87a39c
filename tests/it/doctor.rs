//! `doctor`: what it says of the machine.

use crate::fixtures::succeed;

#[test]
fn doctor_names_versions_devices_and_threads() {
    let text = succeed(&["doctor"]);
    for part in ["strandnet", "libtorch", "CUDA", "threads", "default device"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
