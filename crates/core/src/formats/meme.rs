//! Motifs in the MEME text format (minimal, version 4 and later), which the MEME suite and JASPAR use.
//!
//! ```text
//! MEME version 4
//!
//! ALPHABET= ACGT
//!
//! MOTIF MA0139.2 CTCF
//! letter-probability matrix: alength= 4 w= 15 nsites= 1000 E= 0
//!  0.1  0.2  0.6  0.1
//! ```

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::formats::motif_lines::{Lines, quoted};
use crate::sequence::motif::Motif;

/// Widest motif that is read, in bp: twice the widest in public databases, and few enough to compare any motif with all
/// others in seconds.
pub const WIDEST_BP: usize = 100;

/// Tolerance of the sum of probabilities of a position, since files are rounded.
const ROUNDING: f64 = 0.02;

/// Tolerance below which a sum differs from 1 by rounding error only.
const EXACT: f64 = 1e-9;

/// Motifs as MEME text. `background` holds the base frequencies of the sequences they come from, on the strands that
/// were read.
pub fn write(motifs: &[Motif], background: [f64; 4], both_strands: bool) -> String {
    let [a, c, g, t] = background;
    let strands = if both_strands { "+ -" } else { "+" };
    let mut text = format!(
        "MEME version 4\n\nALPHABET= ACGT\n\nstrands: {strands}\n\nBackground letter frequencies\nA {a:.5} C {c:.5} G {g:.5} T {t:.5}\n"
    );
    for Motif { id, name, columns, sites } in motifs {
        let name = if name.is_empty() { String::new() } else { format!(" {}", name.replace(char::is_whitespace, "_")) };
        let (id, width) = (id.replace(char::is_whitespace, "_"), columns.len());
        let _ =
            write!(text, "\nMOTIF {id}{name}\nletter-probability matrix: alength= 4 w= {width} nsites= {sites} E= 0\n");
        for [a, c, g, t] in columns {
            // As many digits as reading the same number back takes.
            let _ = writeln!(text, " {a} {c} {g} {t}");
        }
    }
    text
}

/// Reads all motifs of a MEME file, plain, gzip or BGZF.
///
/// # Errors
/// The file cannot be read, is not MEME, is not of DNA, holds no motif, or a matrix is malformed.
pub fn read(path: &Path) -> Result<Vec<Motif>> {
    parse(Lines::open(path)?)
}

/// Parses all motifs.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(lines: Lines) -> Result<Vec<Motif>> {
    let path = &lines.path().to_owned();
    let mut lines = Reader { lines };
    let mut motifs: Vec<Motif> = Vec::new();
    lines.version()?;
    // The motif whose matrix follows, and its line.
    let mut named: Option<(Motif, usize)> = None;
    let mut again = false;
    while again || lines.next() {
        again = false;
        let line = lines.line();
        if let Some(alphabet) = line.strip_prefix("ALPHABET") {
            lines.check_alphabet(alphabet)?;
        } else if let Some(names) = keyword(line, "MOTIF") {
            if let Some((motif, number)) = &named {
                return Err(without_matrix(path, *number, motif));
            }
            let mut words = names.split_whitespace();
            let Some(id) = words.next() else {
                return Err(lines.fault("MOTIF has no name, expected one; add it"));
            };
            let name = words.next().unwrap_or_default();
            named =
                Some((Motif { id: id.into(), name: name.into(), columns: Vec::new(), sites: 0 }, lines.lines.number));
        } else if let Some(settings) = line.strip_prefix("letter-probability matrix:") {
            let Some((mut motif, _)) = named.take() else {
                return Err(lines.fault("a matrix comes before any MOTIF line; fix the file"));
            };
            let settings = settings.to_owned();
            motif.sites = lines.setting(&settings, "nsites=")?.map_or(0, |sites: f64| sites.max(0.0) as u64);
            again = lines.matrix(&settings, &mut motif)?;
            motifs.push(motif);
        }
    }
    if let Some((motif, number)) = &named {
        return Err(without_matrix(path, *number, motif));
    }
    if motifs.is_empty() {
        bail!("{}: holds no motifs, expected some in MEME format; check the file", path.display());
    }
    Ok(motifs)
}

fn without_matrix(path: &Path, line: usize, motif: &Motif) -> anyhow::Error {
    anyhow!(
        "{}: line {line}: motif '{}' has no letter-probability matrix, expected one below it; add it or remove the motif",
        path.display(),
        motif.id
    )
}

/// The rest of a line after its first word.
fn keyword<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The lines of a MEME file.
struct Reader {
    lines: Lines,
}

impl Reader {
    fn fault(&self, what: &str) -> anyhow::Error {
        self.lines.fault(what)
    }

    /// Advances to the next line; false at the end of the file.
    fn next(&mut self) -> bool {
        self.lines.next()
    }

    fn line(&self) -> &str {
        self.lines.line()
    }

    /// Skips past the line that identifies the MEME format.
    fn version(&mut self) -> Result<()> {
        while self.next() {
            if let Some(version) = self.line().strip_prefix("MEME version") {
                let version = version.trim();
                let major = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok());
                return match major {
                    Some(4u64..) => Ok(()),
                    _ => Err(self.fault(&format!(
                        "found MEME version '{}', expected 4 or later; convert the file",
                        quoted(version)
                    ))),
                };
            }
        }
        bail!(
            "{}: has no line 'MEME version 4', expected motifs in MEME format (JASPAR offers it beside others); check the file",
            self.lines.path().display()
        )
    }

    /// Checks the value of ALPHABET: a list of letters or, in quotes, a name with the letters listed below.
    fn check_alphabet(&self, rest: &str) -> Result<()> {
        let letters = rest.trim_start_matches('=').trim();
        // RNA stands for the DNA it is made from.
        let is_dna = letters.eq_ignore_ascii_case("ACGT") || letters.eq_ignore_ascii_case("ACGU") || letters.is_empty();
        let is_dna = is_dna || (letters.starts_with('"') && (letters.contains("DNA") || letters.contains("RNA")));
        if is_dna {
            return Ok(());
        }
        Err(self.fault(&format!("found the alphabet '{}', expected ACGT; use motifs of DNA", quoted(letters))))
    }

    /// The number after a key.
    fn setting(&self, settings: &str, key: &str) -> Result<Option<f64>> {
        let Some((_, value)) = settings.split_once(key) else { return Ok(None) };
        let value = value.split_whitespace().next().unwrap_or_default();
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(self.fault(&format!("found '{key} {}', expected a number; fix the line", quoted(value)))),
        }
    }

    /// Reads the rows of a matrix; returns whether the line after them is still unread.
    fn matrix(&mut self, settings: &str, motif: &mut Motif) -> Result<bool> {
        let letters = self.setting(settings, "alength=")?.unwrap_or(4.0);
        if letters != 4.0 {
            return Err(self.fault(&format!("found alength= {letters}, expected 4; use motifs of DNA")));
        }
        let width = match self.setting(settings, " w=")? {
            Some(width) if width.fract() != 0.0 || !(1.0..=WIDEST_BP as f64).contains(&width) => {
                return Err(self.fault(&format!(
                    "found w= {width}, expected 1 to {WIDEST_BP} positions; fix or remove motif '{}'",
                    motif.id
                )));
            }
            width => width.map(|width| width as usize),
        };
        let mut ended_at_line = false;
        while width.is_none_or(|width| motif.columns.len() < width) {
            if !self.next() {
                break;
            }
            let line = self.line();
            let is_row = line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
            if line.is_empty() && motif.columns.is_empty() {
                continue;
            }
            if !is_row {
                ended_at_line = true;
                break;
            }
            motif.columns.push(self.row()?);
            if motif.columns.len() > WIDEST_BP {
                return Err(self.fault(&format!(
                    "motif '{}' has more than {WIDEST_BP} positions, expected fewer; remove it",
                    motif.id
                )));
            }
        }
        let found = motif.columns.len();
        if found == 0 || width.is_some_and(|width| width != found) {
            return Err(self.fault(&format!(
                "motif '{}' has {found} rows of four probabilities, expected {}; fix or remove it",
                motif.id,
                width.map_or("one or more".into(), |width| width.to_string())
            )));
        }
        Ok(ended_at_line)
    }

    /// Parses four probabilities.
    fn row(&self) -> Result<[f64; 4]> {
        let numbers: Vec<f64> = self.line().split_whitespace().map_while(|word| word.parse().ok()).collect();
        let words = self.line().split_whitespace().count();
        let fault = || {
            self.fault(&format!(
                "found '{}', expected four probabilities, of A, C, G and T, that add up to 1; fix the line",
                quoted(self.line())
            ))
        };
        let row: [f64; 4] = numbers.try_into().map_err(|_| fault())?;
        let sum: f64 = row.iter().sum();
        let are_probabilities = row.iter().all(|p| (0.0..=1.0 + ROUNDING).contains(p)) && (sum - 1.0).abs() <= ROUNDING;
        if words != 4 || !are_probabilities {
            return Err(fault());
        }
        Ok(if (sum - 1.0).abs() > EXACT { row.map(|p| p / sum) } else { row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &[u8]) -> Result<Vec<Motif>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.meme");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    const JASPAR: &str = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n\nMOTIF MA0004.1 Arnt\nletter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0\n 0.200000  0.800000  0.000000  0.000000\n 0.950000  0.000000  0.050000  0.000000\nURL http://jaspar.elixir.no/matrix/MA0004.1\n\nMOTIF MA0006.1\nletter-probability matrix: alength= 4 w= 1 nsites= 24 E= 0\n 0.125000  0.333333  0.083333  0.458333\n";

    #[test]
    fn jaspars_own_files_are_read() {
        for text in [JASPAR.to_owned(), JASPAR.replace('\n', "\r\n"), JASPAR.replace(" w= 2", "").replace(" w= 1", "")]
        {
            let motifs = parse(text.as_bytes()).unwrap();
            assert_eq!(motifs.len(), 2, "{text}");
            assert_eq!((motifs[0].id.as_str(), motifs[0].name.as_str(), motifs[0].sites), ("MA0004.1", "Arnt", 20));
            assert_eq!(motifs[0].columns, [[0.2, 0.8, 0.0, 0.0], [0.95, 0.0, 0.05, 0.0]]);
            assert_eq!((motifs[1].id.as_str(), motifs[1].name.as_str()), ("MA0006.1", ""));
            // Six digits of a third do not add up to 1.
            assert!((motifs[1].columns[0].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_to_do() {
        for (from, to, expected) in [
            ("MEME version 4", "MEME version 3", "line 1: found MEME version '3', expected 4 or later"),
            ("MEME version 4", "motifs", "has no line 'MEME version 4'"),
            ("= ACGT", "= ACDEFGHIKLMNPQRSTVWY", "line 3: found the alphabet 'ACDEFGHIKLMNPQRSTVWY', expected ACGT"),
            ("alength= 4 w= 2", "alength= 20 w= 2", "line 11: found alength= 20, expected 4"),
            ("w= 2", "w= 0", "line 11: found w= 0, expected 1 to 100"),
            ("w= 2", "w= 5000", "line 11: found w= 5000, expected 1 to 100"),
            ("w= 2", "w= x", "line 11: found ' w= x', expected a number"),
            ("w= 2", "w= 3", "line 14: motif 'MA0004.1' has 2 rows of four probabilities, expected 3"),
            (
                "0.800000",
                "0.900000",
                "line 12: found '0.200000  0.900000  0.000000  0.000000', expected four probabilities",
            ),
            ("0.800000", "nan", "line 12: found"),
            ("MOTIF MA0004.1 Arnt", "MOTIF \u{1b}[31mred\nMOTIF b", "motif '[31mred' has no"),
            ("  0.800000", "", "line 12: found"),
            ("0.800000", "0.8 0.0", "line 12: found"),
            ("MOTIF MA0006.1\nletter", "letter", "a matrix comes before any MOTIF line"),
            ("MOTIF MA0004.1", "MOTIF x\nMOTIF MA0004.1", "line 10: motif 'x' has no letter-probability matrix"),
            ("MOTIF MA0004.1 Arnt", "MOTIF", "line 10: MOTIF has no name"),
            (" 0.125000  0.333333  0.083333  0.458333\n", "", "motif 'MA0006.1' has 0 rows"),
        ] {
            let error = parse(JASPAR.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
        let error = parse(b"").unwrap_err().to_string();
        assert!(error.contains("is empty, expected motifs in MEME format"), "{error}");
        let error = parse(b"MEME version 4\n").unwrap_err().to_string();
        assert!(error.contains("holds no motifs"), "{error}");
    }

    fn motif() -> impl Strategy<Value = Motif> {
        let column = [0u64..1000, 0u64..1000, 0u64..3, 1u64..1_000_000];
        (prop::collection::vec(column, 1..=40), "[!-~]{1,12}", "[!-~]{0,12}", 0u64..1_000_000)
            .prop_map(|(counts, id, name, sites)| Motif { name, ..Motif::from_counts(id, &counts, sites) })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(motifs in prop::collection::vec(motif(), 1..5)) {
            let text = write(&motifs, [0.3, 0.2, 0.2, 0.3], true);
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), motifs);
        }

        #[test]
        fn broken_files_are_errors_of_one_line(at in 0usize..JASPAR.len(), bytes in prop::collection::vec(any::<u8>(), 0..6)) {
            let mut text = JASPAR.as_bytes().to_vec();
            text.splice(at..(at + bytes.len()).min(text.len()), bytes);
            if let Err(error) = parse(&text) {
                let error = error.to_string();
                prop_assert!(error.contains("m.meme: ") && !error.contains('\n'), "{error}");
            }
        }
    }
}
