//! Files of known motifs, of whichever format: MEME, JASPAR, TRANSFAC, HOMER or HOCOMOCO, told apart by what they hold.

use std::path::Path;

use anyhow::{Result, bail};

use crate::formats::headed_matrices;
use crate::formats::meme;
use crate::formats::motif_lines::{FORMATS, Lines, quoted};
use crate::formats::transfac;
use crate::sequence::motif::Motif;

/// Reads all motifs of a file, plain, gzip or BGZF.
///
/// # Errors
/// The file cannot be read, is of none of the formats, holds no motif, or a matrix is malformed.
pub fn read(path: &Path) -> Result<Vec<Motif>> {
    let mut lines = Lines::open(path)?;
    let shown = path.display();
    let begins = |what: &str| lines.significant().any(|line| line.starts_with(what));
    let Some(first) = lines.significant().next().map(str::to_owned) else {
        bail!("{shown}: holds nothing, expected {FORMATS}; check the file")
    };
    if begins("MEME version") || begins("letter-probability matrix") {
        return meme::parse(lines);
    }
    let is_transfac = lines.significant().any(transfac::is_heading);
    let motifs = if is_transfac && !first.starts_with('>') {
        transfac::parse(&mut lines)?
    } else if first.starts_with('>') || lines.significant().take(HEADING).any(headed_matrices::is_row) {
        headed_matrices::parse(&mut lines)?
    } else {
        bail!("{shown}: begins with '{}', expected {FORMATS}; check the file", quoted(&first))
    };
    if motifs.is_empty() {
        bail!("{shown}: holds no motifs, expected {FORMATS}; check the file");
    }
    Ok(motifs)
}

/// Lines at the head of a file without `>` among which the first row of numbers is looked for: a name and the letters of
/// the columns may come before it.
const HEADING: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn parse(name: &str, bytes: &[u8]) -> Result<Vec<Motif>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    /// One motif in all formats: counts of 20 sites at 5 positions.
    const COUNTS: [[u64; 4]; 5] = [[4, 16, 0, 0], [19, 0, 1, 0], [0, 20, 0, 0], [0, 0, 20, 0], [5, 5, 5, 5]];

    const MEME: &str = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF MA0004.1 Arnt\nletter-probability matrix: alength= 4 w= 5 nsites= 20 E= 0\n0.2 0.8 0 0\n0.95 0 0.05 0\n0 1 0 0\n0 0 1 0\n0.25 0.25 0.25 0.25\n";
    const JASPAR: &str = ">MA0004.1\tArnt\nA  [     4     19      0      0 5 ]\nC  [    16      0     20      0 5 ]\nG  [     0      1      0     20 5 ]\nT  [     0      0      0      0 5 ]\n";
    const PFM: &str = ">MA0004.1 Arnt\n 4 19 0 0 5\n16 0 20 0 5\n0 1 0 20 5\n0 0 0 0 5\n";
    const HOMER: &str = ">CACGN\tMA0004.1\t6.049537\t-1.782996e+03\t0\tT:20.0(100.00%)\n0.2\t0.8\t0\t0\n0.95\t0\t0.05\t0\n0\t1\t0\t0\n0\t0\t1\t0\n0.25\t0.25\t0.25\t0.25\n";
    const HOCOMOCO: &str = ">MA0004.1\n4.0\t16.0\t0.0\t0.0\n19\t0\t1\t0\n0\t20\t0\t0\n0\t0\t20\t0\n5\t5\t5\t5\n";
    const TRANSFAC: &str = "VV  1\nXX\n//\nAC MA0004.1\nXX\nID Arnt\nXX\nDE MA0004.1 Arnt ; From JASPAR\nPO\tA\tC\tG\tT\n01\t4.0\t16.0\t0.0\t0.0\n02\t19.0\t0.0\t1.0\t0.0\n03\t0.0\t20.0\t0.0\t0.0\n04\t0.0\t0.0\t20.0\t0.0\n05\t5\t5\t5\t5\nXX\nCC tax_group:vertebrates\nXX\n//\n";

    #[test]
    fn one_motif_is_the_same_in_every_format() {
        let bare = PFM.split_once('\n').unwrap().1;
        let labelled = JASPAR.replace(['[', ']'], " ");
        let shuffled: Vec<&str> = JASPAR.lines().collect();
        let shuffled = [0, 4, 2, 3, 1].map(|i| shuffled[i]).join("\n");
        let transposed = TRANSFAC.lines().map(|line| {
            let words: Vec<&str> = line.split('\t').collect();
            if words.len() == 5 {
                [words[0], words[4], words[3], words[2], words[1], "N"].join("  ")
            } else {
                line.to_owned()
            }
        });
        let transposed: String = transposed.map(|line| line + "\n").collect();
        for (what, text) in [
            ("MEME", MEME.to_owned()),
            ("MEME of RNA", MEME.replace("ACGT", "ACGU")),
            ("MEME without nsites", MEME.replace(" nsites= 20 E= 0", "")),
            ("MEME without w", MEME.replace(" w= 5", "")),
            ("MEME 5", MEME.replace("version 4", "version 5.5.7 (Release date: 2024)")),
            (
                "MEME with an alphabet in quotes",
                MEME.replace(
                    "ALPHABET= ACGT",
                    "ALPHABET \"DNA\" DNA-LIKE\nA \"Adenine\" CC0000 ~ T \"Thymine\" 008000\nN = ACGT\nEND ALPHABET",
                ),
            ),
            ("MEME without an alphabet", MEME.replace("ALPHABET= ACGT\n", "")),
            ("MEME without spaces after =", MEME.replace("= ", "=").replace("ALPHABET=", "ALPHABET= ")),
            ("MEME with a heading", format!("****\nMEME - Motif discovery tool\n****\n{MEME}")),
            (
                "MEME with a second matrix",
                MEME.replace("letter-prob", "log-odds matrix: alength= 4 w= 1\n-3 2 1 -5\nletter-prob"),
            ),
            ("JASPAR", JASPAR.to_owned()),
            ("JASPAR without brackets", labelled.clone()),
            ("JASPAR with colons", JASPAR.replace('[', ":").replace(']', "")),
            ("JASPAR with bars", JASPAR.replace('[', "|").replace(']', "")),
            ("JASPAR of RNA", JASPAR.replace("\nT", "\nU")),
            ("JASPAR in lower case", JASPAR.replace("\nA ", "\na ").replace("\nT ", "\nt ")),
            ("JASPAR with its rows in another order", shuffled),
            ("JASPAR without a space before the bracket", JASPAR.replace("  [", "[")),
            ("PFM", PFM.to_owned()),
            ("PFM with commas", PFM.replace(" 19 0 0 5", ",19,0,0,5")),
            ("PFM with spaces before it", format!("\n\n  {PFM}")),
            ("PFM without a name", bare.to_owned()),
            (
                "PFM of probabilities",
                PFM.replace(" 4 19 0 0 5", "0.2 0.95 0 0 .25")
                    .replace("16 0 20 0 5", "0.8 0 1 0 .25")
                    .replace("0 1 0 20 5", "0 5e-2 0 1 .25")
                    .replace("0 0 0 0 5", "0 0 0 0 .25"),
            ),
            ("HOMER", HOMER.to_owned()),
            ("HOCOMOCO", HOCOMOCO.to_owned()),
            ("HOCOMOCO with comments", format!("# v11\n{HOCOMOCO}\n\n")),
            (
                "CIS-BP",
                format!(
                    "MA0004.1\nPos\tA\tC\tG\tT\n{}",
                    HOCOMOCO
                        .lines()
                        .skip(1)
                        .enumerate()
                        .map(|(i, row)| format!("{}\t{row}\n", i + 1))
                        .collect::<String>()
                ),
            ),
            ("UniPROBE", format!("MA0004.1\n\n{}", labelled.split_once('\n').unwrap().1)),
            ("TRANSFAC", TRANSFAC.to_owned()),
            ("TRANSFAC with another order and a consensus", transposed),
            ("TRANSFAC with P0", TRANSFAC.replace("PO\t", "P0      ")),
            ("TRANSFAC of RNA", TRANSFAC.replace("G\tT\n", "G\tU\n")),
            ("TRANSFAC with NA", TRANSFAC.replace("ID Arnt", "ID V$X_01\nNA Arnt")),
            ("TRANSFAC with ID alone", TRANSFAC.replace("AC MA0004.1\nXX\n", "").replace("ID Arnt", "ID MA0004.1")),
            ("TRANSFAC without XX and //", TRANSFAC.replace("XX\n", "").replace("//\n", "")),
        ] {
            for text in
                [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}"), text.trim_end().to_owned()]
            {
                let motifs = parse("known.txt", text.as_bytes()).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(motifs.len(), 1, "{what}");
                let motif = &motifs[0];
                for (column, counts) in motif.columns.iter().zip(COUNTS) {
                    for (p, count) in column.iter().zip(counts) {
                        assert!((p - count as f64 / 20.0).abs() < 1e-9, "{what}: {:?}", motif.columns);
                    }
                }
                assert_eq!(motif.columns.len(), 5, "{what}");
                assert!(motif.sites == 20 || motif.sites == 0, "{what}: {}", motif.sites);
                let id = if what == "PFM without a name" { "known_1" } else { "MA0004.1" };
                assert_eq!(motif.id, id, "{what}");
            }
        }
    }

    #[test]
    fn names_and_counts_are_those_of_the_format() {
        let of = |text: &str| {
            let motif = parse("x.txt", text.as_bytes()).unwrap().remove(0);
            (motif.id, motif.name, motif.sites)
        };
        assert_eq!(of(JASPAR), ("MA0004.1".into(), "Arnt".into(), 20));
        assert_eq!(of(TRANSFAC), ("MA0004.1".into(), "Arnt".into(), 20));
        assert_eq!(of(HOCOMOCO), ("MA0004.1".into(), String::new(), 20));
        let homer = HOMER.replace("MA0004.1", "AP-1(bZIP)/ThioMac PU.1-ChIP-Seq(GSE21512)/Homer");
        assert_eq!(of(&homer), ("AP-1(bZIP)/ThioMac_PU.1-ChIP-Seq(GSE21512)/Homer".into(), "AP-1(bZIP)".into(), 0));
    }

    #[test]
    fn several_motifs_in_a_file_and_packed_files_are_read() {
        let nameless = format!("{0}\n{0}", PFM.split_once('\n').unwrap().1);
        for (what, text) in [
            ("MEME", format!("{MEME}\n{}", MEME.split_once("ACGT\n").unwrap().1)),
            ("JASPAR", JASPAR.repeat(2)),
            ("JASPAR after blank lines", format!("{JASPAR}\n\n{JASPAR}")),
            ("PFM", PFM.repeat(2)),
            ("PFM without names", nameless),
            ("HOMER", HOMER.repeat(2)),
            ("HOCOMOCO", HOCOMOCO.repeat(2)),
            ("TRANSFAC", TRANSFAC.repeat(2)),
            ("TRANSFAC without //", TRANSFAC.replace("//\n", "").repeat(2)),
        ] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            for bytes in [text.clone().into_bytes(), gzip.finish().unwrap()] {
                let motifs = parse("x.gz", &bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(motifs.len(), 2, "{what}");
                assert_eq!(motifs[0].columns, motifs[1].columns, "{what}");
            }
        }
    }

    #[test]
    fn four_by_four_follows_the_other_motifs_of_its_file() {
        let word = ">word\n9 0 0 0\n0 9 0 0\n0 0 0 9\n0 0 9 0\n"; // ACTG by positions, ACTG transposed by bases
        assert!(parse("x", word.as_bytes()).unwrap_err().to_string().contains("line 1: motif 'word' is four by four"));
        let positions = parse("x", format!("{HOCOMOCO}{word}").as_bytes()).unwrap();
        assert_eq!(positions[1].consensus(), "ACTG");
        let other = ">word\n0 9 0 0\n0 0 9 0\n9 0 0 0\n0 0 0 9\n";
        assert_eq!(parse("x", format!("{PFM}{other}").as_bytes()).unwrap()[1].consensus(), "GACT");
        assert_eq!(parse("x", format!("{HOCOMOCO}{other}").as_bytes()).unwrap()[1].consensus(), "CGAT");
    }

    #[test]
    fn what_is_wrong_is_one_sentence_with_its_line() {
        let pwm = ">AHR\n0.2 0.4 -0.7 -2.1\n-1 1 -1 -1\n0 0 0 0\n";
        for (text, expected) in [
            (pwm.to_owned(), "line 1: motif 'AHR' holds numbers below 0, as log-odds (pwm, pssm) do"),
            (JASPAR.replace("20      0 5", "20 5"), "line 1: motif 'MA0004.1' has letters before its rows"),
            (JASPAR.replace("\nT", "\nG"), "has letters before its rows"),
            (PFM.replace("0 1 0 20 5\n", ""), "has 3 rows of 5 numbers, expected four rows"),
            (PFM.replace("0 1 0 20 5", "0 1 0 20"), "has 4 rows of 4 to 5 numbers"),
            (PFM.replace("0 1 0 20 5", "0 1 0 x 5"), "line 4: found '0 1 0 x 5', expected numbers"),
            (PFM.replace("0 1 0 20 5", "0 1 0 nan 5"), "line 4: found '0 1 0 nan 5', expected numbers"),
            (HOCOMOCO.replace("19\t0", "19"), "has 5 rows of 3 to 4 numbers"),
            (format!("{HOCOMOCO}>empty\n"), "line 7: motif 'empty' has no rows of numbers"),
            (format!("{HOCOMOCO}>\n1 2 3 4\n"), "line 7: the line has no name after '>'"),
            (format!("1 2 3 4\n{HOCOMOCO}"), "numbers come before any line that begins with '>'"),
            (">chr1\nACGTACGT\n".into(), "line 2: found 'ACGTACGT', expected numbers of A, C, G and T"),
            (format!(">wide\n{}", "1 2 3 4\n".repeat(101)), "motif 'wide' has 101 positions, expected 1 to 100"),
            (">icm\n1.2 0.1 0 0\n0.2 0.1 0 0\n0.2 0.1 0.1 0\n".into(), "as information contents do"),
            (">none\n0 0 0 0\n0 0 0 0\n0 0 0 0\n".into(), "has no number above 0"),
            (TRANSFAC.replace("01\t4.0", "01\tx"), "line 10: found '01 x"),
            (TRANSFAC.replace("03\t0.0\t20.0\t0.0\t0.0", "03\t0.0"), "line 12: found '03"),
            (TRANSFAC.replace("16.0", "-16.0"), "line 9: motif 'MA0004.1' holds numbers below 0"),
            ("hello world\n".into(), "begins with 'hello world', expected motifs in MEME format, or that of JASPAR"),
            ("<!DOCTYPE html>\n<html>\n".into(), "begins with '<!DOCTYPE html>'"),
            ("\n\n# nothing\n".into(), "holds nothing, expected motifs"),
            ("AC X\nXX\n//\n".into(), "begins with 'AC X'"),
            ("MEME version 4\n".into(), "holds no motifs"),
            (">\u{1b}[31m\n1 2\n".into(), "motif '[31m' has 1 rows of 2 numbers"),
        ] {
            let error = parse("known.txt", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("known.txt: ") && error.contains(expected), "{error}");
            assert!(!error.contains(|c: char| c.is_control() && c != '\t'), "{error:?}");
        }
        assert!(parse("x", b"").unwrap_err().to_string().contains("is empty, expected motifs in MEME format"));
    }

    proptest! {
        #[test]
        fn broken_files_are_errors_of_one_line(which in 0usize..6, at in 0usize..400, bytes in prop::collection::vec(any::<u8>(), 0..6)) {
            let mut text = [MEME, JASPAR, PFM, HOMER, HOCOMOCO, TRANSFAC][which].as_bytes().to_vec();
            let at = at % text.len();
            text.splice(at..(at + bytes.len()).min(text.len()), bytes);
            match parse("known.txt", &text) {
                Ok(motifs) => for motif in motifs {
                    for column in motif.columns {
                        prop_assert!((column.iter().sum::<f64>() - 1.0).abs() < 1e-6);
                    }
                },
                Err(error) => {
                    let error = error.to_string();
                    prop_assert!(error.contains("known.txt: ") && !error.contains('\n'), "{error}");
                }
            }
        }
    }
}
