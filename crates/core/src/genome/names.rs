//! Names of chromosomes: which are equivalent, which are pieces or haplotypes of another, how they are looked up, and how
//! a message lists them.

use std::collections::{HashMap, HashSet};

use crate::genome::Chromosome;

/// The name that all spellings of a chromosome share: `1`, `chr1` and `Chr1` are the same chromosome, and so are `chrM`,
/// `MT` and `chrMT`.
pub fn same_name(name: &str) -> &str {
    match without_chr(name) {
        "MT" | "Mt" => "M",
        name => name,
    }
}

/// A name without `chr` in front.
pub fn without_chr(name: &str) -> &str {
    match name.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("chr") && name.len() > 3 => &name[3..],
        _ => name,
    }
}

/// Whether two names denote the same chromosome.
pub fn is_same_name(a: &str, b: &str) -> bool {
    same_name(a) == same_name(b)
}

/// Chromosomes found by any spelling of their names; one that is spelled exactly so comes first.
#[derive(Clone, Debug, Default)]
pub struct NameIndex {
    exact: HashMap<String, usize>,
    /// `None` where several chromosomes share a name.
    alike: HashMap<String, Option<usize>>,
}

impl NameIndex {
    /// An index of names, which must be distinct.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for (i, name) in names.enumerate() {
            index.exact.insert(name.to_owned(), i);
            index.alike.entry(same_name(name).to_owned()).and_modify(|found| *found = None).or_insert(Some(i));
        }
        index
    }

    /// Place of a chromosome among the names; `None` where there is none, or several of which none is spelled exactly so.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.exact.get(name).copied().or_else(|| self.alike.get(same_name(name)).copied().flatten())
    }
}

/// The chromosome that a piece or a haplotype belongs to; any other name is its own.
///
/// Pieces are alternate, patched and unplaced contigs as UCSC names them (`chr17_GL000258v2_alt`,
/// `chr1_KI270706v1_random`). Haplotypes are named `chr1_hap1`, `chr1_MATERNAL`, `hap2_chr1` and the like, or
/// `HG002#1#chr1` (PanSN).
pub fn parent(name: &str) -> &str {
    let name = match name.rsplit_once('#') {
        Some((sample, contig)) if sample.contains('#') && !contig.is_empty() => contig,
        _ => name,
    };
    if ["_alt", "_fix", "_random"].iter().any(|kind| name.contains(kind)) {
        return name.split_once('_').map(|(parent, _)| parent).filter(|parent| !parent.is_empty()).unwrap_or(name);
    }
    const SEPARATORS: [char; 3] = ['_', '.', '-'];
    if let Some((haplotype, chromosome)) = name.split_once(SEPARATORS)
        && is_haplotype(haplotype)
        && !chromosome.is_empty()
    {
        return chromosome;
    }
    for (at, separator) in name.match_indices(SEPARATORS) {
        let word = name[at + separator.len()..].split(SEPARATORS).next().unwrap_or("");
        if at > 0 && is_haplotype(word) {
            // UCSC has names such as chr6_apd_hap1.
            let head = name.split(SEPARATORS).next().unwrap_or(name);
            return if looks_like_a_chromosome(head) { head } else { &name[..at] };
        }
    }
    name
}

/// Whether a part of a name is that of a haplotype: `hap1`, `h2`, `haplotype1`, `mat`, `PATERNAL`.
pub fn is_haplotype(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let numbered = ["haplotype", "hap", "h"].iter().find_map(|prefix| word.strip_prefix(prefix));
    matches!(word.as_str(), "mat" | "pat" | "maternal" | "paternal" | "hap")
        || numbered.is_some_and(|number| matches!(number.len(), 1..=2) && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a name is formed as chromosomes, contigs and sequence accessions are: `chr1`, `2L`, `X`, `NC_000001.11`,
/// `scaffold_12`. Names of samples, genes and reads are not.
pub fn looks_like_a_chromosome(name: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let lower = name.to_ascii_lowercase();
    let after_chr = lower.strip_prefix("chromosome").map(|rest| rest.trim_start_matches(['_', '-', '.']));
    if let Some(rest) = after_chr.or_else(|| lower.strip_prefix("chr")) {
        let head = rest.split(['_', '.', '-']).next().unwrap_or("");
        let numbered = head.starts_with(|first: char| first.is_ascii_digit());
        return plain(rest) && (numbered || NAMED.contains(&head) || is_roman(head));
    }
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let (number, arm) = name.split_at(digits);
    if (1..=3).contains(&digits) {
        return arm.is_empty() || (arm.len() <= 2 && arm.bytes().all(|b| b"ABCDLRpq".contains(&b)));
    }
    let is_contig = CONTIGS.iter().any(|word| {
        let number = lower.strip_prefix(word).map(|rest| rest.trim_start_matches(['_', '-', '.']));
        number.is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()) && plain(number))
    });
    number.is_empty() && (["X", "Y", "W", "Z", "M", "MT", "Mt", "Pt"].contains(&name) || is_roman(&lower))
        || is_contig
        || is_accession(name, is_number)
}

/// Chromosomes with names instead of numbers, in lower case.
const NAMED: [&str; 12] = ["x", "y", "w", "z", "m", "mt", "un", "u", "c", "pt", "ebv", "uextra"];

/// What names of assembled sequences begin with.
const CONTIGS: [&str; 9] = ["scaffold", "contig", "ctg", "tig", "scf", "super", "supercontig", "linkage_group", "lg"];

/// Roman numerals up to XX, as in yeast and worm; lower case.
fn is_roman(text: &str) -> bool {
    let units = ["", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"];
    let rest = text.strip_prefix('x').unwrap_or(text);
    text == "xx" || (!text.is_empty() && units.contains(&rest))
}

/// Accessions with a version, as of RefSeq and GenBank: `NC_000001.11`, `CM000663.2`, `JAHKSE010000001.1`.
fn is_accession(name: &str, is_number: impl Fn(&str) -> bool) -> bool {
    let Some((accession, version)) = name.rsplit_once('.') else { return false };
    let letters = accession.bytes().take_while(u8::is_ascii_uppercase).count();
    let number = accession[letters..].strip_prefix('_').unwrap_or(&accession[letters..]);
    let number = number.trim_start_matches(|c: char| c.is_ascii_uppercase());
    is_number(version) && (1..=6).contains(&letters) && number.len() >= 5 && is_number(number)
}

/// Lists distinct names in order of appearance, at most forty.
pub fn list_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const LISTED: usize = 40;
    let (mut seen, mut listed): (HashSet<&str>, Vec<&str>) = Default::default();
    for name in names {
        if seen.insert(same_name(name)) && listed.len() < LISTED {
            listed.push(name);
        }
    }
    match seen.len() {
        0 => "-".into(),
        n @ 0..=LISTED => listed[..n].join(", "),
        n => format!("{}, ... ({n} in all)", listed.join(", ")),
    }
}

/// Advice for a chromosome name that a genome does not have.
pub fn other_name(chromosomes: &[Chromosome], name: &str) -> String {
    let alike: Vec<&str> = chromosomes
        .iter()
        .map(|chromosome| chromosome.name.as_str())
        .filter(|other| is_same_name(other, name))
        .collect();
    match alike[..] {
        [] => "is it made for another genome?".into(),
        _ => format!("it may be {} there, so spell it as one of them", alike.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_chr_before_a_name_is_left_out() {
        assert_eq!(same_name("chr"), "chr");
        assert_eq!(same_name("ch\u{e9}1"), "ch\u{e9}1");
        assert!(is_same_name("Chr7", "7") && !is_same_name("chr7", "17"));
    }

    #[test]
    fn the_mitochondrion_has_one_name_whoever_spells_it() {
        for a in ["chrM", "M", "MT", "chrMT", "Mt", "CHRM"] {
            assert!(is_same_name(a, "chrM"), "{a}");
        }
        for other in ["mt", "chrMX", "NC_012920.1", "MT1", "chr_M"] {
            assert!(!is_same_name(other, "chrM"), "{other}");
        }
    }

    #[test]
    fn a_name_is_found_in_any_spelling_and_an_exact_one_wins() {
        let index = NameIndex::new(["chr1", "2", "2L", "MT", "3", "Chr3", "chr4", "4"].into_iter());
        for (name, found) in [
            ("chr1", Some(0)),
            ("1", Some(0)),
            ("CHR1", Some(0)),
            ("chr2", Some(1)),
            ("chr2L", Some(2)),
            ("chrM", Some(3)),
            ("M", Some(3)),
            ("chrMT", Some(3)),
            ("3", Some(4)),
            ("Chr3", Some(5)),
            ("chr3", None),
            ("chr4", Some(6)),
            ("4", Some(7)),
            ("chr5", None),
            ("", None),
        ] {
            assert_eq!(index.find(name), found, "{name}");
        }
    }

    #[test]
    fn a_piece_or_a_haplotype_belongs_to_its_chromosome() {
        for (name, chromosome) in [
            ("chr17_GL000258v2_alt", "chr17"),
            ("chr1_KI270706v1_random", "chr1"),
            ("chr6_apd_hap1", "chr6"),
            ("chr1_hap1", "chr1"),
            ("chr1_hap12", "chr1"),
            ("chr1_MATERNAL", "chr1"),
            ("chrX_pat", "chrX"),
            ("chr1.hap2", "chr1"),
            ("chr10_mat_hsa12", "chr10"),
            ("chr2_h1", "chr2"),
            ("hap2_chr1", "chr1"),
            ("HG002#1#chr1", "chr1"),
            ("scaffold_1_hap2", "scaffold_1"),
            ("1_hap2", "1"),
            ("chrUn_KI270302v1", "chrUn_KI270302v1"),
            ("chr1", "chr1"),
            ("chr1A", "chr1A"),
            ("NC_000001.11", "NC_000001.11"),
            ("happy_1", "happy_1"),
            ("matilda_hapless", "matilda_hapless"),
            ("_alt", "_alt"),
            ("h1tg000001l", "h1tg000001l"),
            ("2L", "2L"),
            ("", ""),
        ] {
            assert_eq!(parent(name), chromosome, "{name}");
        }
    }

    #[test]
    fn names_of_chromosomes_are_told_from_names_of_samples_genes_and_reads() {
        for name in [
            "chr1",
            "Chr2L",
            "chrX",
            "chrUn_KI270302v1",
            "chr1_hap1",
            "chrIV",
            "chromosome1",
            "1",
            "22",
            "2L",
            "1A",
            "X",
            "MT",
            "XIV",
            "NC_000001.11",
            "CM000663.2",
            "GL000192.1",
            "JAHKSE010000001.1",
            "scaffold_12",
            "contig7",
            "Scaffold10",
            "SUPER_3",
            "chr1_KI270706v1_random",
        ] {
            assert!(looks_like_a_chromosome(name), "{name}");
        }
        for name in [
            "",
            "read",
            "sample",
            "gene",
            "chrome",
            "chronic",
            "peak_1",
            "seq12",
            "read_1",
            "christmas",
            "enhancer",
            "hs",
            "1234567",
            "A549",
            "K562",
            "neg",
            "chr",
            "shuf",
            "TP53",
            "x.1",
            "chr1:5",
            "12abc",
            "CHRNA1",
        ] {
            assert!(!looks_like_a_chromosome(name), "{name}");
        }
    }

    #[test]
    fn many_names_are_listed_in_no_time() {
        let names: Vec<String> = (0..300_000).map(|i| format!("scaffold_{i}")).collect();
        let began = std::time::Instant::now();
        let listed = list_names(names.iter().map(String::as_str));
        assert!(listed.ends_with("scaffold_39, ... (300000 in all)"), "{listed}");
        let index = NameIndex::new(names.iter().map(String::as_str));
        assert_eq!(index.find("scaffold_299999"), Some(299_999));
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }
}
