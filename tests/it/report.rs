//! `report`: what the pages say, that nothing in them is taken for HTML, and how a browser shows them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixtures::{
    Folder, bases_of_gc, browser, copied, document, fail, fasta, finished, gc_classes, run, succeed, tables, text,
    trained, trained_on,
};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The page needs nothing but itself.
fn assert_stands_alone(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("default-src 'none'; img-src data:; style-src 'unsafe-inline'"));
    for part in ["<script", "javascript:", "src=\"http", "href=\"http", "url(", "@import", "<link"] {
        assert!(!page.contains(part), "{part}");
    }
    let links = page.split("href=\"").skip(1);
    assert!(links.into_iter().all(|link| link.starts_with('#')));
}

/// A run that is told apart badly, so that there are mistakes, with records and classes of the given names.
fn with_names(folder: &Folder, name: &str, class: &str) -> PathBuf {
    let fasta_of = |gc: f64, seed: u64| {
        let records: Vec<(String, String)> =
            (0..150).map(|i| (format!("{name}{i}"), bases_of_gc(seed + i, 60, gc))).collect();
        let records: Vec<(&str, &str)> = records.iter().map(|(name, bases)| (name.as_str(), bases.as_str())).collect();
        fasta(&records)
    };
    let (one, other) = (folder.write("one.fa", fasta_of(0.47, 1)), folder.write("other.fa", fasta_of(0.53, 1000)));
    let run = folder.path("run");
    let (one, other) = (format!("{class}={one}"), format!("other={other}"));
    let flags = ["--class", &one, "--class", &other, "--arch", "shallow", "--epochs", "1", "--threads", "1"];
    succeed(&[&["train", "--quiet", "--out", text(&run)], &flags[..]].concat());
    run
}

#[test]
fn train_writes_a_page_for_every_question_and_report_the_same_again() {
    for (question, flags, has_probabilities) in tables().questions() {
        let ensemble = if question == "multiclass" { &["--ensemble", "2"][..] } else { &[] };
        let run = trained_on(&flags, &[&["--epochs", "1", "--baselines"][..], ensemble].concat());
        let page = read(&run.file("report.html"));
        assert_stands_alone(&page);
        let metrics = run.json("metrics.json");
        let main = ["auroc", "macro_auroc", "pearson"].iter().find_map(|name| metrics["test"][name]["value"].as_f64());
        for part in [
            &format!("{:.4}", main.unwrap()),
            question,
            "6-mers",
            "The worst first",
            "SHA-256",
            "strandnet train",
            "id=\"breakdowns\"",
        ] {
            assert!(page.contains(part), "{question}: {part}");
        }
        assert_eq!(page.contains("id=\"calibration\""), has_probabilities, "{question}");
        assert_eq!(page.contains("mean ± sd of members"), question == "multiclass", "{question}");
        assert!(!page.contains("id=\"motifs\""));
        let printed = succeed(&["report", text(&run.path)]);
        assert_eq!(printed, format!("{}/report.html\n", run.path.display()));
        assert!(read(&run.file("report.html")) == page, "{question}: the same again");
    }
}

#[test]
fn names_are_shown_and_never_taken_for_html() {
    let folder = Folder::new();
    let run = with_names(&folder, "<script>alert(1)</script>&\"'", "<b>&\"'");
    let page = read(&run.join("report.html"));
    assert_stands_alone(&page);
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#38;&#34;&#39;"), "the record");
    assert!(page.contains("&#60;b&#62;&#38;&#34;&#39;") && !page.contains("<b>&"), "the class");
    let strange = folder.path("<i> & 'x'");
    std::fs::rename(&run, &strange).unwrap();
    let out = folder.path("page.html");
    succeed(&["report", text(&strange), "--out", text(&out)]);
    let page = read(&out);
    assert!(page.contains("<h1>&#60;i&#62; &#38; &#39;x&#39;</h1>") && !page.contains("<i>"));
    assert!(page.contains("&#60;i&#62; &#38; &#39;\\&#39;&#39;x&#39;\\&#39;&#39;&#39;"), "quoted for a shell");
}

#[test]
fn motifs_have_a_place_once_they_are_found_and_the_run_is_still_what_it_was() {
    let run = trained(&["--epochs", "2"]);
    succeed(&["explain", "motifs", text(&run.path), "--quiet"]);
    succeed(&["report", text(&run.path)]);
    let page = read(&run.file("report.html"));
    assert_stands_alone(&page);
    assert!(page.contains("Filters of the first layer") && page.contains("alt=\"Logo of f"), "logos");
    succeed(&["verify", "--quiet", text(&run.path)]);
    let motifs = run.file("explain/motifs");
    let table = read(&motifs.join("motifs.tsv"));
    let replaced = |from: &str, to: &str| {
        std::fs::write(motifs.join("motifs.tsv"), table.replace(from, to)).unwrap();
        fail(1, &["report", text(&run.path)])
    };
    let error = replaced("\nf", "\n../f");
    assert!(error.contains("names the motif '../f") && error.contains("run explain motifs again"), "{error}");
    let error = replaced("consensus", "other");
    assert!(error.contains("motifs.tsv: cannot be read") && error.contains("run explain motifs again"), "{error}");
    let about = read(&motifs.join("motifs.json"));
    std::fs::write(motifs.join("motifs.json"), "{").unwrap();
    assert!(fail(1, &["report", text(&run.path)]).contains("motifs.json: is damaged"));
    let sum = about.split("weights_sha256\": \"").nth(1).unwrap()[..64].to_owned();
    std::fs::write(motifs.join("motifs.json"), about.replace(&sum, &"0".repeat(64))).unwrap();
    succeed(&["report", text(&run.path)]);
    assert!(read(&run.file("report.html")).contains("were found with other weights than those of the run"));
}

#[test]
fn no_other_file_is_replaced_without_being_asked() {
    let run = trained(&["--epochs", "1"]);
    let folder = Folder::new();
    let mine = folder.write("mine.html", "mine");
    let error = fail(1, &["report", text(&run.path), "--out", &mine]);
    assert!(error.contains("mine.html: exists") && error.contains("--force"), "{error}");
    assert_eq!(read(Path::new(&mine)), "mine");
    succeed(&["report", text(&run.path), "--out", &mine, "--force"]);
    assert_stands_alone(&read(Path::new(&mine)));
    for out in ["run.json", "other.html", "explain/report.html"] {
        let error = fail(1, &["report", text(&run.path), "--out", text(&run.file(out)), "--force"]);
        assert!(error.contains("lies in the run folder"), "{error}");
    }
    let error = fail(1, &["report", text(&run.path), "--out", text(&folder.path("no/such/page.html"))]);
    assert!(error.contains("cannot be written"), "{error}");
    // What replaces the run replaces its page too.
    std::fs::write(run.file("report.html"), "old").unwrap();
    let flags =
        ["--train", &tables().binary, "--arch", "shallow", "--epochs", "1", "--threads", "1", "--force", "--quiet"];
    succeed(&[&["train", "--out", text(&run.path)], &flags[..]].concat());
    assert_stands_alone(&read(&run.file("report.html")));
}

#[test]
fn runs_side_by_side_are_tested_where_they_answered_the_same_examples() {
    let folder = Folder::new();
    let first = trained(&["--epochs", "1"]);
    let longer = trained(&["--epochs", "3", "--lr", "0.01"]);
    let elsewhere = finished();
    let page = |runs: &[&Path]| {
        let out = folder.path("comparison.html");
        let runs = runs.iter().map(|run| text(run));
        let arguments: Vec<&str> = ["report"].into_iter().chain(runs).chain(["--out", text(&out), "--force"]).collect();
        succeed(&arguments);
        let page = read(&out);
        assert_stands_alone(&page);
        page
    };
    let same = page(&[&first.path, &longer.path]);
    for part in
        ["All were tested on the same examples", "--epochs", "--lr", "DeLong", "ROC curves of the runs", " to +"]
    {
        assert!(same.contains(part), "{part}");
    }
    let difference = longer.metric("test", "auroc") - first.metric("test", "auroc");
    assert!(same.contains(&format!("{difference:+.4}")), "{difference}");
    assert!(!same.contains("so no p-value is given"));
    let different = page(&[&first.path, &elsewhere.run, &longer.path]);
    assert!(different.contains("tested on different examples, so no p-value is given"));
    assert!(different.contains("They were tested on different examples"));
    assert!(different.contains(&format!("{difference:+.4}")), "the third was tested on what the first was");
    let several = |flags: &[&str]| trained_on(&["--train", &tables().several], flags);
    let (one, other) = (several(&["--epochs", "1"]), several(&["--epochs", "2"]));
    let classes = page(&[&one.path, &other.path]);
    assert!(classes.contains("All were tested on the same examples"));
    assert!(classes.contains("P-values are given for the AUROC of two classes only"));
    // In the current folder where nobody says otherwise.
    let output = crate::fixtures::strandnet()
        .args(["report", text(&first.path), text(&longer.path)])
        .current_dir(folder.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "comparison.html is there");
    std::fs::remove_file(folder.path("comparison.html")).unwrap();
    let arguments = ["report", text(&first.path), text(&longer.path)];
    let output = crate::fixtures::strandnet().args(arguments).current_dir(folder.path("")).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("\ncomparison.html\n"));
    assert!(folder.path("comparison.html").is_file());
}

/// Near copies in a test count once in an interval, and so they do in the p-value of a difference.
#[test]
fn near_copies_are_blocks_of_a_difference_as_of_an_interval() {
    let folder = Folder::new();
    let table = gc_classes(400, &["rich", "poor"]);
    let (header, rows) = table.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let file = |name: &str, rows: &[&str]| folder.write(name, format!("{header}\n{}\n", rows.join("\n")));
    let (train, valid) = (file("train.csv", &rows[..200]), file("valid.csv", &rows[200..280]));
    let (once, thrice) = (file("once.csv", &rows[280..]), file("thrice.csv", &rows[280..].repeat(3)));
    let compared = |test: &str| {
        let data = ["--train", &train, "--valid", &valid, "--test", test];
        let runs = ["1", "2"].map(|seed| trained_on(&data, &["--seed", seed, "--epochs", "1"]));
        let out = folder.path("page.html");
        let output =
            run(&["report", text(&runs[0].path), text(&runs[1].path), "--json", "--force", "--out", text(&out)]);
        (runs[0].json("metrics.json"), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (_, alone) = compared(&once);
    let (metrics, copies) = compared(&thrice);
    assert_eq!(
        (&copies["blocks"]["kind"], &copies["blocks"]["count"]),
        (&"near-copies".into(), &120.into()),
        "{copies}"
    );
    assert_eq!(copies["blocks"], metrics["test"]["blocks"]);
    let [alone, copies] = [alone, copies].map(|found| found["differences"][0].clone());
    assert_eq!((&alone["method"], &copies["method"]), (&"delong".into(), &"clustered-delong".into()));
    let [p, p_of_copies] = [alone, copies].map(|difference| difference["p_value"].as_f64().unwrap());
    assert!((p_of_copies / p - 1.0).abs() < 0.1, "{p_of_copies} of copies, {p} without");
}

#[test]
fn what_cannot_be_shown_is_one_sentence() {
    let folder = Folder::new();
    let run_folder = trained(&["--epochs", "1"]);
    let whole = text(&run_folder.path);
    let values = trained_on(&["--train", &tables().values, "--task", "regression"], &["--epochs", "1"]);
    let refused = |arguments: &[&str], parts: &[&str]| {
        let out = folder.path("page.html");
        let error = fail(1, &[&["report"], arguments, &["--out", text(&out)]].concat());
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!out.exists(), "a refusal leaves nothing behind");
    };
    let changed = |name: &str, bytes: Option<&[u8]>| {
        let copy = copied(&run_folder.path);
        match bytes {
            Some(bytes) => std::fs::write(copy.join(name), bytes).unwrap(),
            None => std::fs::remove_file(copy.join(name)).unwrap(),
        }
        copy
    };
    refused(&[text(&folder.path("nothing"))], &["no such folder, expected a run folder"]);
    refused(&[text(&folder.path(""))], &["holds no run.json"]);
    refused(&[whole, text(&folder.path("nothing"))], &["no such folder"]);
    for (name, bytes, part) in [
        ("metrics.json", None, "did not finish"),
        ("metrics.json", Some(&b"{"[..]), "metrics.json: has changed since the run ended"),
        ("run.json", Some(b"{"), "run.json: is damaged"),
        ("predictions.csv", None, "predictions.csv: cannot be read"),
        ("predictions.csv", Some(b"name\n"), "predictions.csv: has changed since the run ended"),
        ("roc.png", None, "roc.png: cannot be read"),
        ("roc.png", Some(b"picture"), "roc.png: has changed since the run ended"),
        ("examples.tsv", Some(b"name\n"), "examples.tsv: has changed since the run ended"),
        ("checksums.sha256", Some(b"what\n"), "checksums.sha256: line 1"),
    ] {
        let copy = changed(name, bytes);
        refused(&[text(&copy)], &[part]);
        if !["roc.png", "examples.tsv"].contains(&name) {
            refused(&[whole, text(&copy)], &[part]);
        }
    }
    // Before there were checksums, files speak for themselves.
    for (name, bytes, parts) in [
        ("metrics.json", &b"{\"valid\": {}}"[..], ["metrics.json: is damaged", "restore the file"]),
        ("predictions.csv", b"name,score\n", ["predictions.csv: line 1", "other columns"]),
        ("roc.png", b"picture", ["roc.png: is no PNG picture", "restore it"]),
        ("examples.tsv", b"name\n", ["examples.tsv: line 1", "no column"]),
    ] {
        let copy = changed(name, Some(bytes));
        let about = read(&copy.join("run.json")).replace("\"format_version\": 4", "\"format_version\": 3");
        std::fs::write(copy.join("run.json"), about).unwrap();
        std::fs::remove_file(copy.join("checksums.sha256")).unwrap();
        refused(&[text(&copy)], &parts);
    }
    refused(&[whole, text(&values.path)], &["predicts real values", "one of two classes", "compare runs of one kind"]);
    refused(&[whole, &format!("{whole}/.")], &["is named twice, expected different runs"]);
    assert_eq!(run(&["report"]).status.code(), Some(2));
}

/// How a browser shows a page in a window of each width, in pixels.
const MEASURE: &str = r#"
addEventListener('load', () => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const measured = [...document.querySelectorAll('iframe')].map((frame) => {
    const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
    const paper = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = view.getComputedStyle(at).backgroundColor;
        if ((numbers(colour)[3] ?? 1) > 0) return colour;
      }
      return 'rgb(255, 255, 255)';
    };
    const written = [...page.body.querySelectorAll('*')]
      .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    const contrasts = written.map((element) => {
      const both = [light(view.getComputedStyle(element).color), light(paper(element))].sort((a, b) => a - b);
      return (both[1] + 0.05) / (both[0] + 0.05);
    });
    const images = [...page.images];
    return {
      window: root.clientWidth, width: root.scrollWidth, language: root.lang, paper: light(paper(page.body)),
      images: images.length, broken: images.filter((image) => !image.complete || !image.naturalWidth).length,
      silent: images.filter((image) => !image.alt.trim()).length,
      scopeless: page.querySelectorAll('th:not([scope])').length,
      headings: [...page.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1])),
      dead: [...page.querySelectorAll('a')].filter((link) => !page.querySelector(link.getAttribute('href'))).length,
      contrast: Math.min(...contrasts), written: written.length,
    };
  });
  document.body.innerHTML = '<pre id="measured"></pre>';
  document.getElementById('measured').textContent = JSON.stringify(measured);
});
"#;

const WIDTHS: [u32; 3] = [320, 390, 1280];

/// Opens a page in a browser without a window, in frames of some widths, and returns what was measured in each.
fn measured(browser: &Path, page: &str, more: &[&str]) -> Vec<Value> {
    let folder = Folder::new();
    let quoted = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = |width: &u32| {
        format!("<iframe style=\"border:0\" width=\"{width}\" height=\"844\" srcdoc=\"{quoted}\"></iframe>")
    };
    let frames: String = WIDTHS.iter().map(frame).collect();
    let wrapper = folder
        .write("wrapper.html", format!("<!DOCTYPE html><html><body>{frames}<script>{MEASURE}</script></body></html>"));
    let dump = document(browser, &folder, &wrapper, more);
    let found = dump.split("<pre id=\"measured\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    serde_json::from_str(found.unwrap_or_else(|| panic!("nothing was measured: {dump:.2000}"))).unwrap()
}

#[test]
fn a_browser_shows_every_page_whole_on_a_phone_and_on_a_desk() {
    let Some(browser) = browser() else { return };
    let wide = "<!DOCTYPE html><p style=\"width:900px;color:#999\">Wide and pale<img src=\"data:,\"></p>";
    let found = &measured(&browser, wide, &[])[1];
    assert!(found["width"].as_u64() > Some(800) && found["contrast"].as_f64() < Some(3.0), "faults are seen: {found}");
    assert_eq!((found["broken"].as_u64(), found["silent"].as_u64()), (Some(1), Some(1)), "faults are seen: {found}");
    let folder = Folder::new();
    let long = with_names(&folder, &"a_name_without_an_end".repeat(8), "class");
    let binary = trained(&["--epochs", "1", "--baselines"]);
    succeed(&["explain", "motifs", text(&binary.path), "--quiet"]);
    succeed(&["report", text(&binary.path)]);
    let values = trained_on(&["--train", &tables().values, "--task", "regression"], &["--epochs", "1"]);
    let several = trained_on(&["--train", &tables().several], &["--epochs", "1", "--ensemble", "2", "--baselines"]);
    let comparison = folder.path("comparison.html");
    succeed(&["report", text(&binary.path), text(&long), text(&finished().run), "--out", text(&comparison)]);
    let pages = [
        ("two classes", binary.file("report.html"), 8),
        ("long names", long.join("report.html"), 7),
        ("values", values.file("report.html"), 4),
        ("several classes", several.file("report.html"), 7),
        ("comparison", comparison, 1),
    ];
    for (what, path, least_images) in pages {
        for scheme in [&[][..], &["--blink-settings=preferredColorScheme=0"]] {
            let found = measured(&browser, &read(&path), scheme);
            assert_eq!(found.len(), WIDTHS.len());
            for (found, window) in found.iter().zip(WIDTHS) {
                assert_eq!(found["window"], window, "{what}: {found}");
                assert!(found["width"].as_u64().unwrap() <= u64::from(window), "{what} scrolls sideways: {found}");
                assert!(found["images"].as_u64().unwrap() >= least_images, "{what}: {found}");
                for none in ["broken", "silent", "scopeless", "dead"] {
                    assert_eq!(found[none], 0, "{what}, {none}: {found}");
                }
                assert_eq!(found["language"], "en");
                assert!(found["contrast"].as_f64().unwrap() >= 4.5, "{what}: {found}");
                let levels: Vec<u64> = serde_json::from_value(found["headings"].clone()).unwrap();
                assert!(levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{what}: {found}");
            }
        }
    }
}
