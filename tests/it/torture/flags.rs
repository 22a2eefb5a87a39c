//! Settings that cannot be, each with the word that its error has in it.

use super::{run_within_limit, tree};
use crate::fixtures::strandnet;

const WRONG: [(&str, &str); 54] = [
    ("train --length 0", "length"),
    ("train --length 18446744073709551616", "length"),
    ("train --fragments 18446744073709551615", "fragments"),
    ("train --fragments 1e9", "fragments"),
    ("train --lr nan", "lr"),
    ("train --lr inf", "lr"),
    ("train --lr=-1", "lr"),
    ("train --lr 1e400", "lr"),
    ("train --epochs 0", "epochs"),
    ("train --epochs 18446744073709551615", "epochs"),
    ("train --batch-size 0", "batch-size"),
    ("train --batch-size 9223372036854775807", "batch-size"),
    ("train --accumulate 0", "accumulate"),
    ("train --warmup nan", "warmup"),
    ("train --weight-decay=-1", "weight-decay"),
    ("train --optimizer sgd --momentum 1", "momentum"),
    ("train --clip-norm 0", "clip-norm"),
    ("train --ema 1", "ema"),
    ("train --label-smoothing nan", "label-smoothing"),
    ("train --mutate 2", "mutate"),
    ("train --shift 99999999999", "shift"),
    ("train --dropout 1.5", "dropout"),
    ("train --dropout nan", "dropout"),
    ("train --filters 0", "filters"),
    ("train --filters 99999999", "filters"),
    ("train --depth 99999999", "depth"),
    ("train --ensemble 1000000", "ensemble"),
    ("train --threads 0", "threads"),
    ("train --threads 18446744073709551615", "threads"),
    ("train --device cuda:999999999999999999999", "device"),
    ("train --device gpu", "device"),
    ("train --memory much", "memory"),
    ("train --memory=-1", "memory"),
    ("train --valid-fraction nan", "valid-fraction"),
    ("train --genome a", "genome"),
    ("train --genome =x", "genome"),
    ("train --genome a=x --train y", "genome"),
    ("train --class-weights a=nan", "class-weights"),
    ("train --seed=-1", "seed"),
    ("train --freeze-blocks 5", "freeze-blocks"),
    ("train --negatives shuffle", "negatives"),
    ("train --init-from absent", "absent"),
    ("cv --folds 2", "folds"),
    ("cv --fold 7", "fold"),
    ("cv --similarity nan", "similarity"),
    ("train --folds 5", "fold"),
    ("tune --trials 0", "trials"),
    ("tune --find-lr --from nan", "from"),
    ("tune --find-lr --from 1 --to 0.1", "from"),
    ("model --length 99999999999", "length"),
    ("model --outputs 0", "outputs"),
    ("predict absent in.fa --stride 0", "stride"),
    ("predict absent in.fa --sort-reads x --min-confidence nan", "min-confidence"),
    ("simulate out --length 0", "length"),
];

#[test]
fn wrong_settings_are_named_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    std::fs::create_dir(&here).unwrap();
    let mut failures = Vec::new();
    for (line, word) in WRONG {
        let mut command = strandnet();
        command.current_dir(&here).env("TMPDIR", &here).args(line.split(' '));
        if line.starts_with("train") {
            command.args(["--out", "out"]);
        }
        let ended = run_within_limit(command, &folder.path().join("said"));
        let mut faults = ended.faults(&[word]);
        if ended.is_success() {
            faults.push("ends well".into());
        }
        if !ended.stderr.replace('_', "-").contains(word) {
            faults.push(format!("does not say {word}"));
        }
        if !tree(&here).is_empty() {
            faults.push("leaves something".into());
        }
        if !faults.is_empty() {
            failures.push(format!("{line}\n  {}\n  {}", faults.join("; "), ended.stderr.trim()));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}
