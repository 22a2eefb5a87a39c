//! Files as people have them, for every command that reads them: FASTA dialects, damaged ends of compressed files, pipes and
//! standard input, and control characters, which never reach the terminal.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fixtures::{
    Folder, bases, bgzip, fasta, finished, gzip, has_bash, json, run, succeed, tables, text, trained,
};

/// Runs a line of bash in a folder, where `$S` is the program.
fn bash(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("bash");
    command
        .current_dir(folder)
        .env("S", env!("CARGO_BIN_EXE_strandnet"))
        .env("OMP_NUM_THREADS", "1")
        .env("CUDA_VISIBLE_DEVICES", "");
    command.args(["-c", line]).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The run's network on three records.
fn three() -> (String, String) {
    let text = fasta(&[("a", &bases(1, 150)), ("b", &bases(2, 140)), ("c", &bases(3, 300))]);
    (text.clone(), text.replace('>', "> ").replace('\n', " \r\n"))
}

#[test]
fn fasta_is_scored_as_its_peers_read_it_and_compressed_files_as_zcat_does() {
    let (run_folder, folder) = (text(&finished().run), Folder::new());
    let (plain, spaced) = three();
    let expected = succeed(&["predict", run_folder, &folder.write("base.fa", &plain)]);
    let packed = bgzip(plain.as_bytes());
    let unmarked = &packed[..packed.len() - 28];
    let (first, rest) = plain.split_at(plain.find(">b").unwrap());
    let (begin, member) = (bgzip(first.as_bytes()), gzip(rest.as_bytes()));
    let begin = &begin[..begin.len() - 28];
    for (name, bytes, warnings) in [
        ("mark.fa", format!("\u{feff}{plain}").into_bytes(), 0),
        ("blank_first.fa", format!("\n\n{plain}").into_bytes(), 0),
        ("comments.fa", format!(";old\n{}", plain.replace(">b", ";x\n>b")).into_bytes(), 0),
        ("all.fa", format!("\u{feff}\r\n; old\n{spaced}").into_bytes(), 0),
        ("all.fa.gz", gzip(format!("\u{feff}\r\n; old\n{spaced}").as_bytes()), 0),
        ("unmarked.fa.gz", unmarked.to_vec(), 1),
        ("zeros.fa.gz", [&packed, &[0; 512][..]].concat(), 1),
        ("unmarked_zeros.fa.gz", [unmarked, &[0; 512]].concat(), 1),
        ("member.fa.gz", [begin, &member].concat(), 0),
        ("member_zeros.fa.gz", [begin, &member, &[0; 512][..]].concat(), 1),
    ] {
        let output = run(&["predict", run_folder, &folder.write(name, bytes)]);
        assert_eq!(stdout(&output), expected, "{name}");
        let said = stderr(&output);
        assert_eq!(said.lines().filter(|line| line.starts_with("warning: ")).count(), warnings, "{name}: {said}");
    }
}

#[test]
fn a_genome_is_scored_the_same_whatever_its_layout() {
    let (run_folder, folder) = (text(&finished().run), Folder::new());
    let plain = fasta(&[("chr1", &bases(1, 900)), ("chr2", &bases(2, 800))]);
    let regions = folder.write("r.bed", "chr1\t200\t328\nchr2\t300\t428\n");
    let score = |name: &str, bytes: &[u8]| {
        let output = run(&["predict", run_folder, "--reference", &folder.write(name, bytes), "--regions", &regions]);
        assert!(!stderr(&output).contains("--memory"), "{}", stderr(&output));
        stdout(&output)
    };
    let expected = score("plain.fa", plain.as_bytes());
    let packed = bgzip(plain.as_bytes());
    for (name, bytes) in [
        ("blank_lines.fa", plain.replace("\n>chr2", "\n\n\n>chr2").into_bytes()),
        ("blank_in_record.fa", plain.replacen('\n', "\n\n", 3).into_bytes()),
        ("empty_record.fa", plain.replace(">chr2", ">none\n>chr2").into_bytes()),
        ("uneven.fa", plain.replace("GA", "G\nA").into_bytes()),
        ("comment.fa", plain.replace(">chr2", ";x\n>chr2").into_bytes()),
        ("uneven.fa.gz", gzip(plain.replace("GA", "G\nA").as_bytes())),
        ("uneven_bgzf.fa.gz", bgzip(plain.replace("GA", "G\nA").as_bytes())),
        ("unmarked.fa.gz", packed[..packed.len() - 28].to_vec()),
    ] {
        assert_eq!(score(name, &bytes), expected, "{name}");
    }
}

#[test]
fn pipes_and_standard_input_are_read_like_files() {
    if !has_bash() {
        return;
    }
    let (run_folder, folder) = (text(&finished().run), Folder::new());
    let (plain, _) = three();
    let here = folder.path("");
    folder.write("x.fa", &plain);
    folder.write("x.fa.gz", gzip(plain.as_bytes()));
    folder.write("b.fa.gz", bgzip(plain.as_bytes()));
    folder.write("g.fa", fasta(&[("chr1", &bases(1, 900))]));
    folder.write("r.bed", "chr1\t200\t328\n");
    std::fs::copy(&tables().binary, folder.path("t.csv")).unwrap();
    let small = trained(&["--epochs", "1"]).path;
    let small = text(&small);
    let lines = [
        ("predict RUN x.fa", "predict RUN - < x.fa"),
        ("predict RUN x.fa", "predict RUN /dev/stdin < x.fa"),
        ("predict RUN x.fa", "predict RUN - < x.fa.gz"),
        ("predict RUN x.fa", "predict RUN <(cat b.fa.gz)"),
        ("predict RUN x.fa", "predict RUN fifo & cat x.fa > fifo; wait $!"),
        ("predict RUN --reference g.fa --regions r.bed", "predict RUN --reference g.fa --regions - < r.bed"),
        (
            "predict RUN --reference g.fa --regions r.bed",
            "predict RUN --reference <(cat g.fa) --regions <(gzip < r.bed)",
        ),
        ("evaluate SMALL --test t.csv", "evaluate SMALL --test - < t.csv"),
        ("evaluate SMALL --test t.csv", "evaluate SMALL --test <(gzip < t.csv)"),
        ("inspect --train t.csv", "inspect --train <(tr , '\\t' < t.csv)"),
        ("inspect --train t.csv", "gzip < t.csv | $S inspect --train -"),
        (
            "explain motifs SMALL --sequences x.fa --out m1",
            "explain motifs SMALL --sequences <(cat x.fa) --out m1 --force",
        ),
    ];
    assert!(Command::new("mkfifo").arg(folder.path("fifo")).status().unwrap().success());
    let filled = |line: &str| {
        let line = line.replace("RUN", run_folder).replace("SMALL", small);
        if line.contains("$S") { line } else { format!("$S {line}") }
    };
    for (from_file, from_pipe) in lines {
        let (file, pipe) = (bash(&here, &filled(from_file)), bash(&here, &filled(from_pipe)));
        assert_eq!(stdout(&pipe), stdout(&file), "{from_pipe}");
    }
    for (line, name) in [
        ("predict RUN --reference - --regions - < g.fa", "-: "),
        ("inspect --train - --test - < <(cat t.csv)", "twice"),
        ("tune --train - < <(cat t.csv)", "save it in a file"),
        ("predict RUN <(head -c 100 x.fa.gz)", "ends in the middle"),
    ] {
        let output = bash(&here, &filled(line));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.lines().filter(|line| line.starts_with("error: ") && line.contains(name)).count() == 1, "{said}");
    }
}

#[test]
fn a_run_trained_on_a_pipe_keeps_what_it_read_and_is_repeated_from_it() {
    if !has_bash() {
        return;
    }
    let folder = Folder::new();
    let here = folder.path("");
    std::fs::copy(&tables().binary, folder.path("t.csv")).unwrap();
    let flags = "--arch shallow --epochs 1 --threads 1";
    stdout(&bash(&here, &format!("gzip < t.csv | $S train --train - {flags} --out piped")));
    stdout(&bash(&here, &format!("$S train --train t.csv {flags} --out plain")));
    stdout(&bash(&here, "$S train piped/config.toml --threads 1 --out again"));
    let weights = |run: &str| std::fs::read(folder.path(run).join("best.safetensors")).unwrap();
    assert!(weights("piped") == weights("plain") && weights("again") == weights("plain"));
    let kept = folder.path("piped/inputs/train");
    let file = &json(&folder.path("piped/run.json"))["data_files"][0];
    assert_eq!(Path::new(file["path"].as_str().unwrap()), std::path::absolute(&kept).unwrap());
    assert_eq!(file["bytes"].as_u64(), Some(std::fs::metadata(&kept).unwrap().len()));
    stdout(&bash(&here, "$S verify piped"));
    // With --force the copy goes with the rest; a run that cannot begin leaves nothing.
    stdout(&bash(&here, &format!("$S train --train t.csv {flags} --out piped --force")));
    assert!(!folder.path("piped/inputs").exists());
    assert_eq!(bash(&here, &format!("echo a,b | $S train --train - {flags} --out never")).status.code(), Some(1));
    assert!(!folder.path("never").exists());
}

#[test]
fn a_reader_that_wants_no_more_ends_commands_quietly_with_141() {
    if !has_bash() {
        return;
    }
    let folder = Folder::new();
    let run_folder = text(&finished().run);
    let genome = text(&finished().genomes.human);
    for line in [format!("predict {run_folder} {genome} --stride 1"), "doctor".into(), "model".into(), "--help".into()]
    {
        // `true` reads nothing; the wait lets it go first.
        let line = format!("(sleep 0.3; $S {line}; echo $? >&2) 2> said | true; cat said");
        assert_eq!(stdout(&bash(&folder.path(""), &line)), "141\n", "{line}");
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_leaves_no_half_file() {
    if !has_bash() {
        return;
    }
    let folder = Folder::new();
    let line = format!(
        "ulimit -f 2; $S predict {} {} --stride 1 --out scores.tsv",
        text(&finished().run),
        text(&finished().genomes.human)
    );
    let output = bash(&folder.path(""), &line);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("scores.tsv: cannot be written") && said.lines().count() == 1, "{said}");
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn control_characters_of_files_are_shown_and_not_sent() {
    let (run_folder, folder) = (text(&finished().run), Folder::new());
    let name = "\u{1b}[31mred\u{7}";
    let good = bases(1, 200);
    let table = |label: &str| format!("sequence,label\n{good},{label}\n{good},b\n");
    let cases: Vec<Vec<String>> = vec![
        vec!["predict".into(), run_folder.into(), folder.write("name.fa", format!(">{name}\n{good}\n"))],
        vec!["predict".into(), run_folder.into(), folder.write("bad.fa", format!(">{name}\nAC*\n"))],
        vec!["predict".into(), run_folder.into(), folder.write("bad.fq", format!("@{name}\nAC*\n+\nIII\n"))],
        vec!["predict".into(), run_folder.into(), text(&folder.path(name)).into()],
        vec!["inspect".into(), "--train".into(), folder.write("label.csv", table(name))],
        vec!["inspect".into(), "--train".into(), folder.write("header.csv", format!("seq{name},label\nA,1\n"))],
        vec![
            "explain".into(),
            "sequences".into(),
            run_folder.into(),
            folder.write("long.fa", format!(">{name}\n{}\n", bases(1, 128))),
            "--out".into(),
            text(&folder.path("explained")).into(),
        ],
    ];
    for words in cases {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = run(&words);
        for shown in [&output.stdout, &output.stderr] {
            let shown = String::from_utf8_lossy(shown);
            let is_safe = |letter: char| !letter.is_control() || "\n\t".contains(letter);
            assert!(shown.chars().all(is_safe), "{words:?}: {shown:?}");
        }
        let said = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("\\x1b[31m") || words[0] == "inspect", "{words:?}");
    }
}
