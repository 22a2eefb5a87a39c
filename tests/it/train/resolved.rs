//! What a run records of the settings that nobody gave, and misspelt settings.

use serde_json::json;

use crate::fixtures::{
    Folder, bases_of_gc, borrowed, class_files, fail, fasta, json as read_json, outcome, run, succeed, tables, text,
    train, trained,
};

/// A genome of four chromosomes and regions in all of them.
fn regions(folder: &Folder) -> Vec<String> {
    let chromosomes: Vec<(String, String)> =
        (1..=4).map(|n| (format!("chr{n}"), bases_of_gc(n * 77, 250_000, 0.5))).collect();
    let reference = folder.write("reference.fa", fasta(&borrowed(&chromosomes)));
    let bed: String = (1..=4)
        .flat_map(|n| (0..60).map(move |i| format!("chr{n}\t{}\t{}\n", i * 4100 + 300, i * 4100 + 350)))
        .collect();
    let bed = folder.write("peaks.bed", bed);
    ["--reference", &reference, "--regions", &format!("peak={bed}")].map(str::to_owned).into()
}

#[test]
fn negatives_widths_and_chromosomes_that_nobody_named_stand_in_the_run() {
    let folder = Folder::new();
    let own = regions(&folder);
    let mut flags: Vec<&str> = own.iter().map(String::as_str).collect();
    flags.extend(["--test-chroms", "4"]);
    let path = folder.path("run");
    train(&path, &flags);
    let resolved = &read_json(&path.join("run.json"))["resolved"];
    assert_eq!(resolved["negatives"], "gc-matched");
    assert_eq!(resolved["negatives_per_positive"], 1);
    assert_eq!((&resolved["length"], &resolved["fit"], &resolved["max_n"]), (&json!(200), &json!(null), &json!(0)));
    assert_eq!(resolved["test"]["chromosomes"], json!(["chr4"]));
    assert_eq!(resolved["train"]["chromosomes"], json!(["chr1", "chr2", "chr3"]));
    let blocks = resolved["shared_in_blocks"].as_array().unwrap();
    assert!(!blocks.is_empty() && !blocks.contains(&json!("chr4")), "{resolved}");
    let config = std::fs::read_to_string(path.join("config.toml")).unwrap();
    for part in [
        "negatives = \"gc-matched\"\n",
        "negatives_per_positive = 1\n",
        "length = 200\n",
        "max_n = 0\n",
        "# classes: peak, negative; positive: peak\n",
        "# negatives: gc-matched, 1 for each region\n",
        "fit: none",
        "examples, chr4\n",
        "blocks of chr",
    ] {
        assert!(config.contains(part), "'{part}' is missing from: {config}");
    }
    let page = std::fs::read_to_string(path.join("report.html")).unwrap();
    for part in ["gc-matched, 1 for each region", "blocks of chr", "unknown bases allowed", "test on"] {
        assert!(page.contains(part), "'{part}' is missing from the report");
    }
    // And it is still the same run.
    let again = folder.path("again");
    succeed(&["train", text(&path.join("config.toml")), "--out", text(&again), "--quiet"]);
    assert!(outcome(&again) == outcome(&path));
    assert_eq!(std::fs::read_to_string(again.join("config.toml")).unwrap(), config);
    assert_eq!(&read_json(&again.join("run.json"))["resolved"], resolved);
}

#[test]
fn evaluate_takes_another_number_of_negatives_for_each_region() {
    let folder = Folder::new();
    let own = regions(&folder);
    let mut flags: Vec<&str> = own.iter().map(String::as_str).collect();
    flags.extend(["--train-chroms", "1,2", "--valid-chroms", "3", "--test-chroms", "4"]);
    let path = folder.path("run");
    train(&path, &flags);
    let counts = |flags: &[&str]| {
        let printed = succeed(&[&["evaluate", text(&path), "--json", "--quiet"], flags].concat());
        let test = serde_json::from_str::<serde_json::Value>(&printed).unwrap()["test"].clone();
        (test["n"].as_u64().unwrap(), test["n_positive"].as_u64().unwrap())
    };
    assert_eq!(counts(&[]), (120, 60));
    assert_eq!(counts(&["--negatives-per-positive", "3"]), (240, 60));
    let peaks = [&own[2][..], &own[3][..]];
    assert_eq!(counts(&[&peaks[..], &["--negatives-per-positive", "2", "--negatives", "shuffle"]].concat()), (180, 60));
    for (flags, part) in [
        (&["--negatives-per-positive", "0"][..], "--negatives-per-positive is 0, expected 1 to 1000"),
        (&["--negatives-per-positive", "3", "--test", &tables().binary], "goes with a single --regions"),
    ] {
        let error = fail(2, &[&["evaluate", text(&path)], flags].concat());
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn every_kind_of_data_records_what_it_came_to_and_is_repeated_from_its_configuration() {
    let folder = Folder::new();
    let classes = class_files(&folder);
    let mut classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    classes.extend(["--fit", "center-crop", "--length", "50"]);
    let labels = ["--train", &tables().labels, "--task", "multilabel"];
    let demo = ["--fragments", "200", "--test-fragments", "100"];
    for (name, flags, source, length, fit) in [
        ("classes", &classes[..], "classes", 50, json!("center-crop")),
        ("labels", &labels, "tables", 60, json!(null)),
        ("demo", &demo, "demo", 128, json!(null)),
    ] {
        let (path, again) = (folder.path(name), folder.path(&format!("{name}2")));
        train(&path, flags);
        let resolved = read_json(&path.join("run.json"))["resolved"].clone();
        assert_eq!(
            (&resolved["source"], &resolved["length"], &resolved["fit"]),
            (&json!(source), &json!(length), &fit)
        );
        assert_eq!(resolved["negatives"], json!(null), "{name}");
        succeed(&["train", text(&path.join("config.toml")), "--out", text(&again), "--quiet"]);
        assert!(outcome(&again) == outcome(&path), "{name}");
    }
}

#[test]
fn a_name_with_a_line_break_does_not_leave_its_comment() {
    let folder = Folder::new();
    let own = class_files(&folder);
    let flags: Vec<String> = own.iter().map(|flag| flag.replace("alpha=", "a\n[other]\n#=")).collect();
    let path = folder.path("run");
    train(&path, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    let config: toml::Table = std::fs::read_to_string(path.join("config.toml")).unwrap().parse().unwrap();
    assert!(!config.contains_key("other") && config.contains_key("training"), "{config}");
}

#[test]
fn misspelt_settings_are_answered_with_the_nearest() {
    let folder = Folder::new();
    for (text, parts) in [
        ("[training]\nlerning_rate = 0.1\n", &["unknown key 'lerning_rate'", "did you mean 'lr'?"][..]),
        ("[training]\nbatchsize = 32\n", &["unknown key 'batchsize'", "did you mean 'batch_size'?"]),
        ("[training]\nbatch-size = 32\n", &["unknown key 'batch-size'", "did you mean 'batch_size'?"]),
        ("[training]\nepoch = 3\n", &["unknown key 'epoch'", "did you mean 'epochs'?"]),
        ("[training]\nwieght_decay = 0.1\n", &["did you mean 'weight_decay'?"]),
        ("[training]\noptimiser = \"sgd\"\n", &["did you mean 'optimizer'?"]),
        (
            "[training]\noptimizer = \"adamm\"\n",
            &["training.optimizer", "unknown variant `adamm`", "did you mean 'adam"],
        ),
        ("[training]\nschedule = \"cosin\"\n", &["did you mean 'cosine'?"]),
        ("[training]\nfilters = 3\n", &["'filters' is a setting of [model]", "move the line"]),
        ("[model]\nlr = 3\n", &["'lr' is a setting of [training]"]),
        ("[model]\ntrain_chrom = [\"1\"]\n", &["did you mean 'train_chroms' of [data]?"]),
        ("[model]\narch = \"residul\"\n", &["did you mean 'residual'?"]),
        ("[data]\nnegativs = \"random\"\n", &["did you mean 'negatives'?"]),
        ("[data]\nmax-n = 3\n", &["did you mean 'max_n'?"]),
        ("[data]\nquux = 3\n", &["unknown key 'quux', expected one of genome, "]),
        ("[trainig]\nlr = 0.1\n", &["unknown section [trainig]", "did you mean [training]?"]),
        ("[Data]\nlength = 3\n", &["unknown section [Data]", "did you mean [data]?"]),
        ("[optimizer]\nlr = 3\n", &["unknown section [optimizer]", "expected [data], [model], [training]"]),
        ("epochs = 3\n", &["'epochs' stands outside of a section", "[training]"]),
        ("quux = 3\n", &["'quux' is not a section"]),
        (
            "[model]\narch = \"custom\"\n[[layer]]\nkind = \"convolutoin\"\n",
            &["layer 1", "did you mean 'convolution'?"],
        ),
    ] {
        let path = folder.write("wrong.toml", text);
        let error = fail(2, &["train", &path, "--out", "never"]);
        assert!(error.contains("wrong.toml"), "{error}");
        for part in parts {
            assert!(error.contains(part), "'{part}' is missing from: {error}");
        }
    }
    let path = folder.write("wrong.toml", "[search]\nlearning_rat = [0.1]\n");
    let error = fail(2, &["tune", &path]);
    assert!(error.contains("no setting 'learning_rat', did you mean 'lr'?"), "{error}");
}

#[test]
fn a_wrong_kind_of_negatives_is_answered_with_the_kinds() {
    let folder = Folder::new();
    let own = regions(&folder);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    for (kind, meant) in [
        ("gc", "gc-matched"),
        ("gc_matched", "gc-matched"),
        ("GC-matched", "gc-matched"),
        ("shuffled", "shuffle"),
        ("Random", "random"),
        ("rand", "random"),
    ] {
        let error = fail(2, &[&["train", "--out", "never", "--negatives", kind], &own[..]].concat());
        assert!(error.contains("expected shuffle, gc-matched, random or a BED file"), "{error}");
        assert!(error.contains(&format!("did you mean '{meant}'?")), "{kind}: {error}");
    }
    let bed = own[3].split_once('=').unwrap().1;
    let config = format!("[data]\nreference = \"{}\"\nregions = [\"peak={bed}\"]\nnegatives = \"gc\"\n", own[1]);
    let path = folder.write("wrong.toml", config);
    let error = fail(2, &["train", &path, "--out", "never"]);
    assert!(error.contains("--negatives is 'gc', expected shuffle, gc-matched, random"), "{error}");
    // A file without an ending is one.
    let file = folder.write("background", "chr1\t9000\t9050\nchr2\t9000\t9050\nchr3\t9000\t9050\nchr4\t9000\t9050\n");
    let output = run(&[&["inspect", "--negatives", &file, "--length", "50"], &own[..]].concat());
    assert!(!String::from_utf8(output.stderr).unwrap().contains("expected shuffle"));
    let finished = trained(&[]);
    let error = fail(2, &[&["evaluate", text(&finished.path), "--negatives", "gc"], &own[..]].concat());
    assert!(error.contains("did you mean 'gc-matched'?"), "{error}");
}
