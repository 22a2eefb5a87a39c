//! `verify`: a run as it was, and a run of which something changed.

use crate::fixtures::{contents, copied, fail, succeed, tables, text, trained};

/// Fails to verify; returns what standard output says.
fn verify_fails(run: &std::path::Path) -> String {
    let output = crate::fixtures::run(&["verify", text(run)]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.lines().last().unwrap().ends_with("restore what changed, or train again"), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_unaltered_run_comes_to_the_same_for_every_question() {
    for (question, flags, _) in tables().questions() {
        let run = crate::fixtures::trained_on(&flags, &["--ensemble", "2", "--epochs", "1"]);
        let lines = succeed(&["verify", "--quiet", text(&run.path)]);
        assert_eq!(lines.lines().filter(|line| line.contains(" ok ")).count(), 5, "{question}: {lines}");
        assert!(lines.contains("scores within 0.0e0"), "{question}: {lines}");
    }
}

#[test]
fn every_file_that_changed_is_named() {
    let run = trained(&[]);
    let names: Vec<String> = std::fs::read_to_string(run.file("checksums.sha256"))
        .unwrap()
        .lines()
        .map(|line| line.split_once("  ").unwrap().1.to_owned())
        .collect();
    let files: Vec<String> = contents(&run.path)
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !["checksums.sha256", "report.html"].contains(&name.as_str()))
        .collect();
    assert_eq!(names, files, "every file has a checksum but the page that is made from them");
    for name in names {
        let copy = copied(&run.path);
        let mut bytes = std::fs::read(copy.join(&name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(copy.join(&name), &bytes).unwrap();
        // `run.json` may no longer be read at all, which is said too.
        let output = crate::fixtures::run(&["verify", text(&copy)]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(&name), "{name}: {said}");
        std::fs::remove_dir_all(copy).unwrap();
    }
}

#[test]
fn a_changed_threshold_or_setting_is_refused_by_the_commands_that_read_it() {
    let run = trained(&[]);
    let sequences = tables().folder.write("some.fa", format!(">a\n{}\n", "ACGT".repeat(30)));
    for (file, from, to) in
        [("metrics.json", "\"threshold\": 0.", "\"threshold\": 0.1"), ("run.json", "\"seed\": 1", "\"seed\": 2")]
    {
        let copy = copied(&run.path);
        let before = std::fs::read_to_string(copy.join(file)).unwrap();
        let after = before.replace(from, to);
        assert_ne!(before, after);
        std::fs::write(copy.join(file), after).unwrap();
        for arguments in [&["predict", text(&copy), &sequences][..], &["evaluate", text(&copy)]] {
            let error = fail(1, arguments);
            assert!(error.contains(file) && error.contains("has changed since the run ended"), "{error}");
        }
    }
}

#[test]
fn a_model_that_is_another_file_is_not_opened() {
    let run = trained(&[]);
    let copy = copied(&run.path);
    std::fs::write(copy.join("model.pt"), b"not a model").unwrap();
    let lines = verify_fails(&copy);
    assert!(lines.contains("model.pt is not the file that the run wrote, and so was not opened"), "{lines}");
}

#[test]
fn changed_data_are_named() {
    let data = tables().folder.write("own.csv", std::fs::read(&tables().binary).unwrap());
    let run = crate::fixtures::trained_on(&["--train", &data], &[]);
    std::fs::write(&data, std::fs::read_to_string(&data).unwrap().replacen('A', "C", 1)).unwrap();
    let lines = verify_fails(&run.path);
    assert!(lines.contains("data files  FAILED") && lines.contains("own.csv: has changed"), "{lines}");
}
