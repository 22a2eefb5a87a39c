//! `export --format html`: a page with the network in it gives what `predict` gives, in Node and in a browser.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::formats::{are_near, subjects};
use crate::fixtures::{
    Folder, bases, browser, document, fail, fasta, finished, has_bash, node, skipped, succeed, tables, text, trained_on,
};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The most bytes of a page beside the weights, which are base64.
const MOST_BYTES: usize = 2_000_000;

/// Exports the page of a run and returns its path.
fn exported(run: &Path, folder: &Folder, name: &str) -> PathBuf {
    let out = folder.path(name);
    let stdout = succeed(&["export", text(run), "--format", "html", "--out", text(&out)]);
    assert_eq!(stdout.trim_end(), text(&out));
    out
}

/// Sequences for a network of `length` bp: as long, in lower case, with unknown bases, longer, and shorter.
fn sequences(length: usize) -> Vec<(&'static str, String)> {
    let mut unknown = bases(3, length);
    unknown.replace_range(3..5, "NR");
    vec![
        ("one", bases(1, length)),
        ("lower", bases(2, length).to_lowercase()),
        ("unknown", unknown),
        ("longer", bases(4, 2 * length + 7)),
        ("short", bases(5, length - 7)),
    ]
}

/// Scores of `predict`, row by row; nothing where a window has none.
fn predicted(run: &Path, fasta: &str, stride: usize) -> Vec<Option<f64>> {
    let flags = ["--pad-short", "--quiet", "--threads", "1"];
    let table = succeed(&[&["predict", text(run), fasta, "--stride", &stride.to_string()][..], &flags].concat());
    let scores = table.lines().skip(1).flat_map(|line| line.split('\t').skip(4).map(|score| score.parse().ok()));
    scores.collect()
}

fn length_of(run: &Path) -> usize {
    crate::fixtures::json(&run.join("model.json"))["length"].as_u64().unwrap() as usize
}

/// What pages answer in Node, with the scorer in them or another one.
fn answers(node: &Path, asked: &[Value], scorer: Option<&Path>) -> Vec<Value> {
    let folder = Folder::new();
    let question = folder.write("question.json", json!(asked).to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/export/html_pages.mjs");
    let output = Command::new(node).arg(script).arg(question).args(scorer).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<Option<f64>> {
    value.as_array().unwrap().iter().map(Value::as_f64).collect()
}

/// Holds scores against others: the same have none, and others are near.
fn hold(what: &str, found: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let has_score = |scores: &[Option<f64>]| scores.iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(has_score(found), has_score(expected), "{what}");
    let known = |scores: &[Option<f64>]| scores.iter().flatten().copied().collect::<Vec<_>>();
    are_near(what, &known(found), &known(expected));
}

/// A question about a page of a run, and what `predict` answers.
fn question(run: &Path, page: &Path, folder: &Folder) -> (Value, Vec<Option<f64>>) {
    let length = length_of(run);
    let (sequences, stride) = (sequences(length), length / 2 + 1);
    let records: Vec<(&str, &str)> = sequences.iter().map(|(name, bases)| (*name, bases.as_str())).collect();
    let path = folder.write("sequences.fa", fasta(&records));
    let listed: Vec<Value> =
        sequences.iter().map(|(name, letters)| json!({"name": name, "letters": letters})).collect();
    (json!({"page": page, "sequences": listed, "stride": stride}), predicted(run, &path, stride))
}

#[test]
fn every_network_scores_in_node_as_predict_does() {
    let Some(node) = node() else { return };
    let folder = Folder::new();
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for (i, subject) in subjects().iter().enumerate() {
        let page = exported(&subject.run, &folder, &format!("{i}.html"));
        let weights = std::fs::metadata(subject.run.join("best.safetensors")).unwrap().len() as usize;
        let html = read(&page);
        let beside = html.len() - weights.div_ceil(3) * 4;
        assert!(beside <= MOST_BYTES, "{}: {beside} bytes beside the weights", subject.what);
        assert!(!html.contains("http:") && !html.contains("https:"), "{}: asks the network", subject.what);
        let (question, scores) = question(&subject.run, &page, &folder);
        asked.push(question);
        expected.push(scores);
    }
    let answers = answers(&node, &asked, None);
    assert_eq!(answers.len(), subjects().len());
    for ((subject, answer), expected) in subjects().iter().zip(&answers).zip(&expected) {
        hold(&subject.what, &numbers(&answer["scores"]), expected);
        assert!(answer["wrong"].as_str().unwrap().contains("found 'E' at base 5"), "{}", answer["wrong"]);
        let length = length_of(&subject.run);
        assert_eq!(answer["gradients"].as_array().unwrap().len(), 1 + length, "{}", subject.what);
        // Of the four entries of a base, that of the base itself is 0.
        let effects = numbers(&answer["mutagenesis"]);
        assert!(effects.chunks(4).all(|effects| effects.contains(&Some(0.0))), "{}: {effects:?}", subject.what);
    }
}

#[test]
fn gradients_are_those_of_explain_sequences() {
    let Some(node) = node() else { return };
    let (finished, folder) = (finished(), Folder::new());
    let page = exported(&finished.run, &folder, "model.html");
    let (question, _) = question(&finished.run, &page, &folder);
    let answer = &answers(&node, &[question], None)[0];
    let path = folder.write("one.fa", fasta(&[("one", &bases(1, 128))]));
    let out = folder.path("explained");
    succeed(&[
        "explain",
        "sequences",
        text(&finished.run),
        &path,
        "--method",
        "saliency",
        "--out",
        text(&out),
        "--quiet",
    ]);
    let expected = crate::fixtures::numbers(&out.join("saliency.tsv"), b'\t', "importance");
    let found: Vec<f64> = numbers(&answer["gradients"]).into_iter().skip(1).flatten().collect();
    are_near("gradient x input", &found, &expected);
}

/// The module in the repository is what the sources make: it is compiled anew where the target is installed.
#[test]
fn a_scorer_compiled_anew_gives_the_same_scores() {
    let Some(node) = node() else { return };
    if !has_bash() {
        return;
    }
    let target = "wasm32-unknown-unknown";
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let is_there = |path: &str| Path::new(path.trim()).is_dir();
    if !libraries.is_ok_and(|output| String::from_utf8(output.stdout).is_ok_and(|path| is_there(&path))) {
        return skipped(&format!("the Rust target {target}"), &format!("`rustup target add {target}`"));
    }
    let folder = Folder::new();
    let scorer = folder.path("scorer.wasm");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("bash").arg(root.join("scripts/build-wasm")).arg(&scorer).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let several = trained_on(&["--train", &tables().several], &["--epochs", "1", "--ensemble", "2"]);
    for run in [&finished().run, &several.path] {
        let page = exported(run, &folder, &format!("{}.html", length_of(run)));
        let (question, expected) = question(run, &page, &folder);
        let asked = [question];
        let [kept, anew] = [None, Some(scorer.as_path())].map(|scorer| answers(&node, &asked, scorer).remove(0));
        hold("compiled anew", &numbers(&anew["scores"]), &expected);
        for key in ["scores", "gradients", "mutagenesis", "details"] {
            hold(key, &numbers(&anew[key]), &numbers(&kept[key]));
        }
    }
}

/// Types sequences into the page and, once they are scored and explained, lets the browser finish; it waits for a picture that is
/// held back until then.
const TYPE: &str = r##"
document.getElementById("letters").value = SEQUENCES;
document.getElementById("stride").value = "STRIDE";
const seen = setInterval(() => {
  if (!document.querySelector("#strongest table")) return;
  const mutate = document.getElementById("mutate");
  if (!mutate.dataset.pressed) { mutate.dataset.pressed = "1"; mutate.click(); }
  if (!document.getElementById("said").textContent.includes("mutagenesis of")) return;
  clearInterval(seen);
  document.title = "width " + document.documentElement.scrollWidth;
  new Image().src = "http://ADDRESS/done";
}, 50);
"##;

/// The document after a browser has shown a page as wide as a phone in which sequences were typed.
fn typed(browser: &Path, html: &str, sequences: &str, stride: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let script = TYPE
        .replace("SEQUENCES", &json!(sequences).to_string())
        .replace("STRIDE", &stride.to_string())
        .replace("ADDRESS", &address);
    // The page itself allows no pictures from elsewhere.
    let html = html.replacen("img-src data:", &format!("img-src data: http://{address}"), 1);
    let (before, last) = html.rsplit_once("<script>").unwrap();
    let html =
        format!("{before}<img hidden alt=\"\" src=\"http://{address}/hold\"><script>{script}</script><script>{last}");
    let folder = Folder::new();
    let page = folder.write("page.html", html);
    std::thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let _ = BufReader::new(&mut stream).read_line(&mut line);
            held.push(stream);
            if line.contains("/done") {
                for mut stream in held.drain(..) {
                    let _ =
                        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                }
            }
        }
    });
    document(browser, &folder, &page, &["--window-size=500,900"])
}

#[test]
fn a_browser_scores_what_is_typed_as_predict_does() {
    let Some(browser) = browser() else { return };
    let folder = Folder::new();
    let run = &finished().run;
    let page = exported(run, &folder, "model.html");
    let (question, expected) = question(run, &page, &folder);
    let letters = question["sequences"].as_array().unwrap().iter();
    let records: String = letters
        .map(|one| format!(">{}\n{}\n", one["name"].as_str().unwrap(), one["letters"].as_str().unwrap()))
        .collect();
    let stride = question["stride"].as_u64().unwrap() as usize;
    let shown = typed(&browser, &read(&page), &records, stride);
    let scores: Vec<Option<f64>> =
        shown.split("data-score=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().ok()).collect();
    hold("in the browser", &scores, &expected);
    assert!(shown.contains("In-silico mutagenesis of 128 bases"), "{shown:.3000}");
    let width: u32 = shown.split("<title>width ").nth(1).unwrap().split('<').next().unwrap().parse().unwrap();
    assert!(width <= 500, "scrolls sideways: {width}");
}

#[test]
fn the_page_is_written_where_it_is_asked_for() {
    let (finished, folder) = (finished(), Folder::new());
    let out = exported(&finished.run, &folder, "model.html");
    assert!(fail(1, &["export", text(&finished.run), "--format", "html", "--out", text(&out)]).contains("--force"));
    let html = read(&out);
    assert!(html.contains("connect-src") || html.contains("default-src 'none'"), "asks nothing of the network");
}
