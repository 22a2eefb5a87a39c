//! `explain variants`: scores are those of both alleles' sequences, lines come out as they went in, and what cannot be
//! scored is counted.

use std::path::Path;

use crate::fixtures::{
    Folder, LENGTH, bases, bgzip, borrowed, fail, fasta, gzip, numbers, run, succeed, tables, text, trained, trained_on,
};

const HEADER: &str = "##fileformat=VCFv4.2\n##INFO=<ID=DP,Number=1,Type=Integer,Description=\"depth\">\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\n";

/// A variant as VCF counts, from a 0-based place.
fn line(chromosome: &str, start: usize, reference: &str, alternative: &str) -> String {
    format!("{chromosome}\t{}\tv{start}\t{reference}\t{alternative}\t50\tPASS\tDP=7\tGT\t0|1\n", start + 1)
}

/// Another base than the one given.
fn other(base: &str) -> &'static str {
    if base == "A" { "G" } else { "A" }
}

/// `explain variants` that succeeds; returns standard output and standard error.
fn variants(own: &Path, vcf: &str, reference: &str, flags: &[&str]) -> (String, String) {
    let common = ["explain", "variants", text(own), "--vcf", vcf, "--reference", reference, "--threads", "1"];
    let output = run(&[&common, flags].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{flags:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

#[test]
fn scores_are_those_that_predict_gives_both_alleles() {
    let (folder, genome) = (Folder::new(), bases(9, 5000));
    let lower = format!("{}{}", genome[..2500].to_lowercase(), &genome[2500..]);
    let plain = folder.write("g.fa", fasta(&[("chr1", &lower), ("chr2", &bases(10, 500))]));
    let packed = folder.write("g.fa.gz", bgzip(fasta(&[("chr1", &lower), ("chr2", &bases(10, 500))]).as_bytes()));
    // A substitution, an insertion, a deletion, and something of all, here and there.
    let mut changes: Vec<(usize, String, String)> = Vec::new();
    for start in (100..4900).step_by(400) {
        let of = |n: usize| genome[start..start + n].to_owned();
        changes.push((start, of(1), other(&of(1)).into()));
        changes.push((start, of(1), format!("{}GATTACA", of(1))));
        changes.push((start, of(6), of(1)));
        changes.push((start, of(3), "TTTTT".into()));
    }
    let body: String = changes.iter().map(|(start, a, b)| line("chr1", *start, a, b)).collect();
    let vcf = folder.write("x.vcf", format!("{HEADER}{body}"));
    let vcf_gz = folder.write("x.vcf.gz", gzip(format!("{HEADER}{body}").as_bytes()));

    // By hand, from what the chromosome shares with the changed one at either end: where the change can lie, the window
    // around the middle of that, and the windows of the changed one that begin or end there.
    let mut alleles = Vec::new();
    for (start, reference, alternative) in &changes {
        let changed = format!("{}{alternative}{}", &genome[..*start], &genome[start + reference.len()..]);
        let [a, b] = [&genome, &changed].map(|bases| bases.as_bytes());
        let before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let after = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let shorter = a.len().min(b.len());
        let leftmost = before.min(shorter - after);
        let end = if before + after < shorter { a.len() - after } else { before + a.len() - shorter };
        let first = (leftmost + end) / 2 - LENGTH / 2;
        let shifted = first + b.len() - a.len();
        alleles.push((format!("{start}ref"), genome[first..first + LENGTH].to_owned()));
        alleles.push((format!("{start}begin"), changed[first..first + LENGTH].to_owned()));
        alleles.push((format!("{start}end"), changed[shifted..shifted + LENGTH].to_owned()));
    }
    let alleles = folder.write("alleles.fa", fasta(&borrowed(&alleles)));

    for strands in ["single", "average", "equivariant"] {
        let own = trained(&["--strands", strands]).path;
        let out = folder.path(&format!("{strands}.tsv"));
        variants(&own, &vcf, &plain, &["--out", text(&out)]);
        let predicted = folder.path(&format!("{strands}.predicted.tsv"));
        succeed(&["predict", text(&own), &alleles, "--out", text(&predicted), "--quiet"]);
        let predicted = numbers(&predicted, b'\t', "score");
        let [reference, alternative, difference, log_odds] =
            ["score_ref", "score_alt", "difference", "log_odds"].map(|name| numbers(&out, b'\t', name));
        assert_eq!(reference.len(), changes.len());
        for (i, pair) in predicted.chunks(3).enumerate() {
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{strands} {i} {:?}: {a} {b}", changes[i]);
            near(reference[i], pair[0]);
            let logit = |p: f64| (p / (1.0 - p)).ln();
            let mean = 0.5 * (logit(pair[1]) + logit(pair[2]));
            let changed = 1.0 / (1.0 + (-mean).exp());
            near(alternative[i], changed);
            near(difference[i], changed - pair[0]);
            near(log_odds[i], mean - logit(pair[0]));
        }
        assert!(difference.iter().any(|difference| difference.abs() > 1e-3));
        assert_eq!(numbers(&out, b'\t', "start")[4], 500.0);
        // Packed files, and the other class, which loses what this one gains.
        let positive = &crate::fixtures::json(&own.join("run.json"))["positive"];
        let negative = if positive == "rich" { "poor" } else { "rich" };
        let again = folder.path(&format!("{strands}.again.tsv"));
        variants(&own, &vcf_gz, &packed, &["--out", text(&again), "--of", negative]);
        for (a, b) in numbers(&again, b'\t', "log_odds").iter().zip(&log_odds) {
            assert!((a + b).abs() < 1e-6);
        }
    }
}

#[test]
fn vcf_lines_come_out_as_they_went_in_with_fields_added() {
    let (own, folder, genome) = (trained(&[]).path, Folder::new(), bases(9, 1000));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome)]));
    let (here, there) = (&genome[200..201], &genome[300..302]);
    let wrong = other(&genome[400..401]);
    let body = [
        line("chr1", 200, here, &format!("{},<DEL>,{here}TT", other(here))),
        line("chr1", 300, there, "*"),
        line("chr1", 400, wrong, &genome[400..401]),
        line("chr1", 3, &genome[3..4], other(&genome[3..4])),
        line("chr1", 500, &genome[500..501], &"ACGT".repeat(20)),
        format!("chr1\t601\t.\t{}\t.\t.\t.\t.\tGT\t0|0\n", &genome[600..601]),
        format!("chr1\t701\t.\t{}\t{}\t.\t.\t.\tGT\t0|0\n", &genome[700..701], other(&genome[700..701])),
        "chr1\t0\t.\tN\t<CNV>\t.\t.\t.\tGT\t0|0\n".to_owned(),
    ];
    let vcf = folder.write("x.vcf", format!("{HEADER}{}", body.concat()));
    let (shown, said) = variants(&own, &vcf, &reference, &[]);
    assert!(
        said.contains("4 of 9 alternative alleles of 8 records scored; 1 have a REF that differs from the genome, 3 are not spelled out (such as <DEL>, * or N), 1 are too long for the network, 1 have no alternative allele"),
        "{said}"
    );
    assert!(said.contains("is it another assembly?"), "{said}");
    let lines: Vec<&str> = shown.lines().collect();
    let header: Vec<&str> = HEADER.lines().collect();
    assert_eq!(lines[..3], header[..3]);
    for (line, field) in lines[3..7].iter().zip(["REF,Number=A", "ALT,Number=A", "DIFF,Number=A", "LOGODDS,Number=A"]) {
        assert!(line.starts_with(&format!("##INFO=<ID=STRANDNET_{field},Type=Float,Description=\"")), "{line}");
    }
    assert_eq!(lines[7], header[3]);
    let lines = &lines[8..];
    for i in [1, 2, 4, 5, 7] {
        assert_eq!(lines[i], body[i].trim_end(), "what is not scored passes unchanged");
    }
    let fields: Vec<&str> = lines[0].split('\t').collect();
    let of = |name: &str| {
        let own = fields[7].split(';').find_map(|field| field.strip_prefix(&format!("STRANDNET_{name}=")));
        own.unwrap().split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(fields[7].starts_with("DP=7;STRANDNET_REF="), "{}", fields[7]);
    assert_eq!(
        (fields[..7].join("\t"), &fields[8..]),
        (body[0].split('\t').take(7).collect::<Vec<_>>().join("\t"), &["GT", "0|1"][..])
    );
    assert_eq!((of("REF").len(), of("ALT").len(), of("ALT")[1].as_str(), of("LOGODDS").len()), (3, 3, ".", 3));
    assert!(lines[6].contains("\tSTRANDNET_REF=0."), "{}", lines[6]);

    // Scored once more, and packed, it is the same again.
    let (first, second) = (folder.write("y.vcf", &shown), folder.path("z.vcf.gz"));
    variants(&own, &first, &reference, &["--out", text(&second)]);
    assert_eq!(variants(&own, text(&second), &reference, &[]).0, shown);
    // As a table, every allele has a line and says why it has no score.
    let (table, _) = variants(&own, &vcf, &reference, &["--format", "tsv"]);
    let states: Vec<&str> = table.lines().skip(1).map(|line| line.rsplit('\t').next().unwrap()).collect();
    assert_eq!(
        states,
        [
            "scored",
            "not_spelled_out",
            "scored",
            "not_spelled_out",
            "reference_differs",
            "scored",
            "too_long",
            "no_alternative",
            "scored",
            "not_spelled_out"
        ]
    );
}

/// A deletion, an insertion and a substitution, each written in several ways, and at both ends of the chromosome.
#[test]
fn a_variant_has_the_same_scores_however_it_is_written() {
    let (own, folder) = (trained(&[]).path, Folder::new());
    let genome = format!("{}CACACACACA{}", &bases(9, 300)[..200], &bases(10, 300)[..200]);
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome)]));
    // The repeat stands at 200 to 210; a base before and one after it.
    let (before, after) = (&genome[199..200], &genome[210..211]);
    let ways = [
        line("chr1", 199, &format!("{before}CA"), before),
        line("chr1", 204, "CAC", "C"),
        line("chr1", 207, "ACA", "A"),
        line("chr1", 208, &format!("CA{after}"), after),
        line("chr1", 198, &format!("{}CACA", &genome[198..200]), &format!("{}CA", &genome[198..200])),
        line("chr1", 199, before, &format!("{before}CA")),
        line("chr1", 205, "A", "ACA"),
        line("chr1", 209, &format!("A{after}"), &format!("ACA{after}")),
        line("chr1", 203, "A", "G"),
        line("chr1", 202, "CAC", "CGC"),
        line("chr1", 0, &genome[..1], other(&genome[..1])),
        line("chr1", 409, &genome[409..], other(&genome[409..])),
    ];
    let vcf = folder.write("x.vcf", format!("{HEADER}{}", ways.concat()));
    let out = folder.path("x.tsv");
    variants(&own, &vcf, &reference, &["--out", text(&out)]);
    let [of_reference, of_alternative] = ["score_ref", "score_alt"].map(|name| numbers(&out, b'\t', name));
    assert_eq!(of_reference.len(), ways.len(), "those at the ends too");
    for same in [0..5, 5..8, 8..10] {
        let all = |scores: &[f64]| scores[same.clone()].iter().all(|score| *score == scores[same.start]);
        assert!(all(&of_reference) && all(&of_alternative), "{same:?}: {of_alternative:?}");
    }
}

#[test]
fn values_have_no_log_odds() {
    let (own, folder, genome) =
        (trained_on(&["--train", &tables().values], &["--task", "regression"]).path, Folder::new(), bases(9, 500));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome)]));
    let vcf =
        folder.write("x.vcf", format!("{HEADER}{}", line("chr1", 200, &genome[200..201], other(&genome[200..201]))));
    let (shown, _) = variants(&own, &vcf, &reference, &[]);
    assert!(shown.contains("STRANDNET_DIFF=") && !shown.contains("LOGODDS"), "{shown}");
}

#[test]
fn what_cannot_be_scored_at_all_is_one_sentence() {
    let (own, folder, genome) = (trained(&[]).path, Folder::new(), bases(9, 500));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome)]));
    let out = folder.path("out.vcf");
    let refused = |text_of: &str| {
        let vcf = folder.write("x.vcf", text_of);
        let common = ["explain", "variants", text(&own), "--vcf", &vcf, "--reference", &reference];
        let error = fail(1, &[&common[..], &["--out", text(&out)]].concat());
        assert!(!out.exists(), "a refusal leaves nothing behind: {error}");
        error
    };
    let body = |body: &str| refused(&format!("{HEADER}{body}"));
    let base = &genome[200..201];
    let error = body(&line("2", 200, base, "A"));
    assert!(error.contains("1 of 1 variants do not fit") && error.contains("line 5: chromosome '2'"), "{error}");
    assert!(error.contains("the genome has chr1 (500 bp)") && error.contains("another assembly?"), "{error}");
    assert!(body(&line("chr1", 600, "A", "C")).contains("beyond the 500 bp of chromosome 'chr1'"));
    let symbols = body(&line("chr1", 200, base, "<DEL>,*"));
    assert!(
        symbols.contains("none of 2 alternative alleles can be scored, expected some: 2 are not spelled out"),
        "{symbols}"
    );
    let differs = body(&line("chr1", 200, other(base), base));
    assert!(
        differs.contains("1 have a REF that differs from the genome; is it made for another assembly?"),
        "{differs}"
    );
    assert!(body("").contains("holds no alternative alleles in 0 records"));
    let malformed = body("chr1\t201\n");
    assert!(malformed.contains("line 5: has 2 columns") && malformed.contains("check the file"), "{malformed}");
    assert!(body("chr1\tx\t.\tA\tC\t.\t.\t.\n").contains("line 5: POS is 'x'"));
    assert!(refused("").contains("empty"));
    assert!(refused(">chr1\nACGT\n").contains("looks like FASTA"));
    assert!(refused("##fileformat=VCFv4.2\n").contains("ends in its header"));
    std::fs::write(&out, "mine").unwrap();
    let vcf = folder.write("x.vcf", format!("{HEADER}{}", line("chr1", 200, base, other(base))));
    let common = ["explain", "variants", text(&own), "--vcf", &vcf, "--reference", &reference, "--out", text(&out)];
    assert!(fail(1, &common).contains("exists, expected a new file"));
    succeed(&[&common[..], &["--force", "--quiet"]].concat());
}

/// Another assembly is refused, one odd line is not: what was scored before it is kept.
#[test]
fn one_odd_line_stops_nothing() {
    let (own, folder, genome) = (trained(&[]).path, Folder::new(), bases(9, 1000));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome), ("chrM", &bases(10, 300))]));
    let good: String = (100..110).map(|start| line("1", start, &genome[start..=start], "A,C")).collect();
    let score = |text: String, flags: &[&str]| {
        let vcf = folder.write("x.vcf", text);
        variants(&own, &vcf, &reference, flags)
    };
    let (clean, said) = score(format!("{HEADER}{good}"), &[]);
    assert!(said.contains("20 of 20 alternative alleles of 10 records scored\n"), "{said}");
    for (odd, status, named) in [
        ("chrUn_1\t5\t.\tA\tC\t.\t.\t.\tGT\t0|1", "no_chromosome", "line 15: chromosome 'chrUn_1'"),
        ("chr1\t1001\t.\tN\tC\t.\t.\t.\tGT\t0|1", "off_the_end", "lie too near the end"),
        ("chr1\t0\t.\tN\tC\t.\t.\t.\tGT\t0|1", "off_the_end", "lie too near the end"),
        ("chr1\t5000\t.\tA\tC\t.\t.\t.\tGT\t0|1", "off_the_end", "line 15: ends at 5000, beyond the 1000 bp"),
        ("chr1\t300\t.\t.\tC\t.\t.\t.\tGT\t0|1", "malformed", "line 15: REF is '.'"),
        ("chr1\t300\t.\tA\u{1b}[2J\tC\t.\t.\t.\tGT\t0|1", "malformed", "REF is 'A\\x1b[2J'"),
        ("chr1\tx\t.\tA\tC\t.\t.\t.\tGT\t0|1", "malformed", "line 15: POS is 'x'"),
        ("chr1\t3", "malformed", "line 15: has 2 columns"),
    ] {
        let (shown, said) = score(format!("{HEADER}{good}{odd}\n\n\n"), &[]);
        assert_eq!(shown, format!("{clean}{odd}\n"), "the line as it is, after all others");
        assert!(said.contains(named) && said.contains("20 of ") && !said.contains('\u{1b}'), "{odd}: {said}");
        let (table, _) = score(format!("{HEADER}\n{good}{odd}"), &["--format", "tsv"]);
        assert_eq!(table.lines().count(), 22, "{table}");
        assert!(table.trim_end().ends_with(&format!("\t{status}")), "{odd}: {table}");
    }
    // What other programs leave in a file.
    let (names, lines) = HEADER.split_once("##contig=<ID=chr1>\n").unwrap();
    for (what, text, lacks) in [
        ("a byte order mark", format!("\u{feff}{HEADER}{good}"), ""),
        ("carriage returns", format!("{HEADER}{good}").replace('\n', "\r\n"), ""),
        ("blank lines", format!("\n\n{HEADER}\n{good}\n \n"), ""),
        ("spaces for tabs", format!("{names}{}{}", lines.replace('\t', " "), good.replace('\t', "  ")), ""),
        ("no line of the format", format!("{lines}{good}"), "lacks the line ##fileformat"),
        ("no header", good.clone(), "lacks the line of column names and the line ##fileformat"),
    ] {
        let (shown, said) = score(text, &[]);
        let body =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(body(&shown), body(&clean), "{what}");
        assert!(shown.starts_with("##fileformat=VCFv4.2\n") && said.contains(lacks), "{what}: {said}");
    }
    // Most of another assembly is refused, although something was scored.
    let more: String = (0..11).map(|i| line("chr9", 100 + i, "A", "C")).collect();
    let vcf = folder.write("x.vcf", format!("{HEADER}{good}{more}"));
    let error = fail(1, &["explain", "variants", text(&own), "--vcf", &vcf, "--reference", &reference, "--quiet"]);
    assert!(
        error.contains("11 of 21 variants do not fit") && error.contains("chr1 (1000 bp), chrM (300 bp)"),
        "{error}"
    );
}

#[test]
fn the_largest_effects_enter_the_report() {
    let (own, folder, genome) = (trained(&[]), Folder::new(), bases(9, 1000));
    let reference = folder.write("g.fa", fasta(&[("chr1", &genome)]));
    let body: String =
        (100..140).map(|start| line("chr1", start, &genome[start..=start], other(&genome[start..=start]))).collect();
    let vcf = folder.write("calls.vcf.gz", gzip(format!("{HEADER}{body}").as_bytes()));
    let out = folder.path("scores.tsv");
    variants(&own.path, &vcf, &reference, &["--out", text(&out)]);
    let summary = crate::fixtures::json(&own.path.join("explain/variants-calls/variants.json"));
    let effects = numbers(&out, b'\t', "log_odds");
    let largest = effects.iter().map(|effect| effect.abs()).fold(0.0, f64::max);
    let strongest = summary["strongest"].as_array().unwrap();
    assert_eq!(strongest.len(), 20);
    assert!((strongest[0]["effect"].as_f64().unwrap().abs() - largest).abs() < 1e-6);
    succeed(&["report", text(&own.path)]);
    let page = std::fs::read_to_string(own.path.join("report.html")).unwrap();
    assert!(page.contains("40 of 40 alternative alleles of 40 records were scored."), "the report has the counts");
    let first = &strongest[0];
    let variant = format!(
        "chr1:{} {}&#62;{}",
        first["pos"],
        first["reference"].as_str().unwrap(),
        first["alternative"].as_str().unwrap()
    );
    assert!(page.contains(&variant) || page.contains(&variant.replace("&#62;", "&gt;")), "{variant}");
    succeed(&["verify", text(&own.path), "--quiet"]);
}
