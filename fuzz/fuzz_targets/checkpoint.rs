//! Checkpoints, as `train --resume` reads them. The input is one, or its header alone, then its values: a header's length is
//! seldom right once it has changed. What is read again and restored leaves a network that can be trained on or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandnet::model::Network;
use strandnet::train::checkpoint::Checkpoint;
use strandnet_core::config::{Architecture, ModelConfig, Strands};
use strandnet_core::progress::Progress;
use strandnet_core::run::{LAST_WEIGHTS, PREVIOUS_WEIGHTS, RunFolder};
use strandnet_fuzz::{explained, folder, put, tensor_file};

thread_local! {
    static NETWORK: Network = {
        let config = ModelConfig { arch: Architecture::Shallow, filters: Some(2), width: Some(8), ..ModelConfig::default() };
        Network::new(&config, 80, 1, Strands::Single, tch::Device::Cpu, 1).expect("80 bp are enough")
    };
}

fuzz_target!(|input: &[u8]| {
    let file = tensor_file(input);
    put(LAST_WEIGHTS, Some(&file));
    put(PREVIOUS_WEIGHTS, None);
    let run = RunFolder { path: folder().to_path_buf() };
    if let Some(Some(checkpoint)) = explained(Checkpoint::last_of(&run, Progress::quiet())) {
        assert!(!checkpoint.state.position.describe(3).is_empty());
        let network = NETWORK.with(|network| explained(checkpoint.best_weights(&network.store)));
        assert!(network.is_none_or(|weights| !weights.is_empty()));
    }
});
