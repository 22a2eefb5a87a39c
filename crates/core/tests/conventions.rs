//! What the code base promises of itself: dependence points one way, names are the field's, and the map in
//! docs/architecture.md is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Rust files below a folder of the repository, with their texts, and their paths from its root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The text without comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// Modules of the core that a file names, as in `crate::dataset::...` and `use crate::{dataset, ...}`.
fn modules_named(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap_or("");
                found.extend(group.split(',').map(|part| word(part.trim())));
            }
            None => {
                found.insert(word(rest));
            }
        }
    }
    found
}

/// Layers of the core from the lowest, each with its modules; a module names those of its own layer and below.
const LAYERS: &[&[&str]] = &[
    &["format", "files", "progress", "random", "interrupt"],
    &["classes", "config", "machine", "sequence", "metrics"],
    &["formats", "genome"],
    &["dataset"],
    &["network", "task", "scorer", "run"],
    &[
        "training",
        "evaluate",
        "predict",
        "attribute",
        "motif",
        "baselines",
        "inspect",
        "reads",
        "tune",
        "export",
        "import",
    ],
    &["figures", "html"],
    &["cli", "commands"],
    &["bin"],
];

#[test]
fn dependence_in_the_core_points_downwards() {
    let layer_of = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut upward = Vec::new();
    for (path, text) in sources("crates/core/src") {
        let module = path["crates/core/src/".len()..].split(['/', '.']).next().unwrap().to_owned();
        if module == "lib" {
            continue;
        }
        let own = layer_of(&module).unwrap_or_else(|| panic!("{path}: module {module} has no layer in this test"));
        for named in modules_named(&text) {
            if layer_of(&named).is_some_and(|layer| layer > own) {
                upward.push(format!("{path} names crate::{named}"));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn outside_crates_come_in_by_one_door() {
    let doors: &[(&str, &[&str])] = &[
        ("tch", &[]),
        ("torch_sys", &[]),
        ("clap", &["config", "cli", "bin"]),
        ("schemars", &["config"]),
        ("plotters", &["figures"]),
        ("plotters_backend", &["figures"]),
        ("tiny_skia", &["figures"]),
        ("ttf_parser", &["figures"]),
        ("askama", &["html"]),
        ("bigwig", &["formats"]),
        ("noodles_bgzf", &["formats", "genome"]),
        ("noodles_fasta", &["formats", "genome"]),
        ("noodles_fastq", &["formats", "genome"]),
        ("indicatif", &["progress"]),
        ("sysinfo", &["machine"]),
        ("signal_hook", &["interrupt"]),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources("crates/core/src") {
        let module = path["crates/core/src/".len()..].split(['/', '.']).next().unwrap().to_owned();
        let code = code(&text);
        for (name, modules) in doors {
            let named = code
                .match_indices(&format!("{name}::"))
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
            if named && !modules.contains(&module.as_str()) {
                wrong.push(format!("{path} names {name}, whose door is {}", modules.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Words that once were this code's own for things that the field has names for.
const PRIVATE_WORDS: &[&str] = &[
    "lesson",
    "team",
    "board",
    "watch",
    "sums",
    "remark",
    "remarks",
    "floor",
    "floors",
    "judge",
    "judgement",
    "standing",
    "sofar",
    "job",
    "jobs",
    "continuity",
    "settle",
    "settled",
    "resident",
    "upload",
    "uploads",
    "turned",
    "knob",
    "knobs",
    "claim",
    "page",
    "pages",
];

/// What such a word may stand in, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("`floor` of mathematics", "floor()"),
    ("a file format: run.json of format versions 3 and 4", "\"remarks\""),
    ("a file format: checkpoints", "\"sums.\""),
    ("a file format: tune.json", "\"knobs\""),
    ("a file of search folders", "\"knobs.png\""),
    ("the same as SVG", "\"knobs.svg\""),
    ("files of motif folders", "page_{}.png"),
    ("a variable of SLURM", "\"SLURM_JOB_"),
];

/// The words of an identifier, in lower case: `EarlyStopping` and `early_stopping` both give `early`, `stopping`.
fn words(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in identifier.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What a line defines: the name after `fn`, `struct`, `let` and so on, or before a field's colon.
fn defined(line: &str) -> Option<&str> {
    let line = line
        .trim_start()
        .trim_start_matches("pub ")
        .trim_start_matches("pub(crate) ")
        .trim_start_matches("pub(super) ");
    let rest = ["fn ", "struct ", "enum ", "trait ", "mod ", "type ", "const ", "static ", "let mut ", "let "]
        .iter()
        .find_map(|keyword| line.strip_prefix(keyword))
        .or_else(|| {
            line.split_once(": ")
                .filter(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
                .map(|_| line)
        })?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

#[test]
fn names_are_the_fields_own() {
    let mut wrong = Vec::new();
    for folder in ["src", "crates/core/src", "examples", "benches"] {
        for (path, text) in sources(folder) {
            for (number, line) in text.lines().enumerate() {
                let is_comment = line.trim_start().starts_with("//");
                let named = (!is_comment).then(|| defined(line)).flatten().map(words).unwrap_or_default();
                if let Some(word) = named.iter().find(|word| PRIVATE_WORDS.contains(&word.as_str())) {
                    wrong.push(format!("{path}:{}: a name with '{word}': {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} names:\n{}", wrong.len(), wrong.join("\n"));
}

/// Text in a line that a person may read: what stands in quotes, and the doc comments that become `--help`.
fn read_by_people(path: &str, line: &str) -> String {
    let line = line.trim();
    let is_help =
        ["src/cli", "crates/core/src/cli", "crates/core/src/config"].iter().any(|folder| path.starts_with(folder));
    if let Some(comment) = line.strip_prefix("///") {
        return if is_help { comment.to_owned() } else { String::new() };
    }
    if line.starts_with("//") {
        return String::new();
    }
    let mut text = String::new();
    let (mut inside, mut escaped) = (false, false);
    for c in line.chars() {
        match c {
            '"' if !escaped => inside = !inside,
            c if inside => text.push(c),
            _ => text.push(' '),
        }
        escaped = c == '\\' && !escaped;
    }
    text
}

#[test]
fn help_and_messages_use_the_fields_words() {
    let mut wrong = Vec::new();
    for folder in ["src", "crates/core/src"] {
        for (path, text) in sources(folder) {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in text.lines().enumerate() {
                if ALLOWED.iter().any(|(_, phrase)| line.contains(phrase)) {
                    continue;
                }
                let read = read_by_people(&path, line).to_lowercase();
                let mut words = read.split(|c: char| !c.is_alphanumeric());
                if let Some(word) = words.find(|word| PRIVATE_WORDS.contains(word)) {
                    wrong.push(format!("{path}:{}: '{word}' in: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_map_of_the_architecture_names_what_is_there() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| where is"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 12, "{} rows, expected twelve or more", rows.len());
    for row in rows {
        let [_, file, item] = row[..] else { panic!("{row:?}: expected three cells") };
        let (file, item) = (file.trim_matches('`'), item.trim_matches('`'));
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_defined = text.lines().any(|line| {
            line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == item)
                && !line.trim_start().starts_with("//")
        });
        assert!(is_defined, "{file}: holds no '{item}', which docs/architecture.md says it does");
    }
}
