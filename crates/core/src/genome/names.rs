//! Names of chromosomes: which are equivalent, which are pieces of another, and how a message lists them.

use crate::genome::Chromosome;

/// `1`, `chr1` and `Chr1` are the same chromosome.
pub fn same_name(name: &str) -> &str {
    match name.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("chr") && name.len() > 3 => &name[3..],
        _ => name,
    }
}

/// The part of a name that tells chromosomes apart: as [`same_name`], and `MT` is `M`, the mitochondrion.
pub fn canonical(name: &str) -> &str {
    match same_name(name) {
        "MT" => "M",
        name => name,
    }
}

/// Whether two names denote the same chromosome.
pub fn is_same_name(a: &str, b: &str) -> bool {
    canonical(a) == canonical(b)
}

/// Whether a list names a chromosome.
pub fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|other| is_same_name(other, name))
}

/// The chromosome that an alternate, patched or unplaced piece belongs to, as UCSC names them
/// (`chr17_GL000258v2_alt`, `chr1_KI270706v1_random`); any other name is its own.
pub fn parent(name: &str) -> &str {
    let is_piece = ["_alt", "_fix", "_random", "_hap"].iter().any(|kind| name.contains(kind));
    match name.split_once('_') {
        Some((parent, _)) if is_piece && !parent.is_empty() => parent,
        _ => name,
    }
}

/// Lists distinct names in order of appearance, at most forty.
pub fn list_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names {
        if !distinct.iter().any(|other| is_same_name(other, name)) {
            distinct.push(name);
        }
    }
    match distinct.len() {
        0 => "-".into(),
        n @ 0..=40 => distinct[..n].join(", "),
        n => format!("{}, ... ({n} in all)", distinct[..40].join(", ")),
    }
}

/// Advice for a chromosome name that a genome does not have.
pub fn other_name(chromosomes: &[Chromosome], name: &str) -> String {
    match chromosomes.iter().find(|chromosome| is_same_name(&chromosome.name, name)) {
        Some(other) => format!("it is called '{}' there, so rename it in one of the files", other.name),
        None => "is it made for another genome?".into(),
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
        assert!(is_same_name("chrM", "MT") && is_same_name("chrMT", "M") && !is_same_name("chrM", "chrMTX"));
    }

    #[test]
    fn a_piece_belongs_to_the_chromosome_before_its_first_underscore() {
        assert_eq!(parent("chr17_GL000258v2_alt"), "chr17");
        assert_eq!(parent("chrUn_KI270302v1"), "chrUn_KI270302v1");
    }
}
