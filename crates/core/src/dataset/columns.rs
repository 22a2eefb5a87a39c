//! What the columns of a table are by their names: coordinates, and what is no target unless it is asked for.

use anyhow::Result;

/// Where a table holds coordinates, 0-based and half-open.
pub struct PlaceColumns {
    /// Column of the chromosome's name.
    pub chrom: usize,
    /// Column of the start, in bp.
    pub start: usize,
    /// Column of the end, in bp.
    pub end: usize,
    /// Column of the strand, where `-` and -1 mean reverse; without it all are forward.
    pub strand: Option<usize>,
}

/// Names of the column of the chromosome, here and below as [`plain`] has them, the most usual first.
const CHROM: [&str; 12] = [
    "chrom",
    "chr",
    "chromosome",
    "seqnames",
    "seqname",
    "contig",
    "seqid",
    "chromname",
    "chrname",
    "genoname",
    "rname",
    "scaffold",
];

/// Names of the columns of start and end, which come together.
const START_AND_END: [(&str, &[&str]); 10] = [
    ("start", &["end", "stop"]),
    ("chromstart", &["chromend", "chromstop"]),
    ("chrstart", &["chrend", "chrstop"]),
    ("startpos", &["endpos", "stoppos"]),
    ("startposition", &["endposition", "stopposition"]),
    ("regionstart", &["regionend"]),
    ("peakstart", &["peakend"]),
    ("txstart", &["txend"]),
    ("genostart", &["genoend"]),
    ("windowstart", &["windowend"]),
];

const STRAND: [&str; 2] = ["strand", "orientation"];

/// Names of a column that may hold whole places, `chr:start-end`.
const REGION: [&str; 12] = [
    "region",
    "regions",
    "coordinates",
    "coordinate",
    "coords",
    "interval",
    "locus",
    "location",
    "position",
    "peak",
    "name",
    "id",
];

/// Last words of names of coordinates.
const COORDINATE_WORDS: [&str; 18] = [
    "chrom",
    "chr",
    "chromosome",
    "start",
    "end",
    "stop",
    "strand",
    "pos",
    "position",
    "coordinate",
    "coordinates",
    "coord",
    "coords",
    "summit",
    "midpoint",
    "region",
    "interval",
    "locus",
];

/// Other names of coordinates.
const COORDINATES: [&str; 8] = ["location", "orientation", "width", "tss", "tes", "center", "centre", "offset"];

const ID_WORDS: [&str; 11] =
    ["id", "ids", "idx", "index", "name", "names", "barcode", "accession", "uuid", "row", "rowname"];

const IDS: [&str; 8] = ["peakid", "geneid", "sampleid", "rowid", "readid", "rownames", "rownumber", "source"];

const SPLIT_WORDS: [&str; 5] = ["fold", "folds", "split", "splits", "partition"];

const SPLITS: [&str; 8] = ["cv", "set", "subset", "kfold", "cvfold", "crossvalidation", "testset", "istest"];

const WEIGHT_WORDS: [&str; 2] = ["weight", "weights"];

const WEIGHTS: [&str; 3] = ["w", "sampleweight", "sampleweights"];

/// Why a column of this name is no target unless it is asked for; empty for the sequence itself.
pub fn not_a_target(name: &str) -> Option<&'static str> {
    let (plain, words) = (plain(name), words(name));
    let last = words.last().map_or("", String::as_str);
    let is = |last_words: &[&str], names: &[&str]| {
        last_words.contains(&last) || names.contains(&plain.as_str()) || last_words.contains(&plain.as_str())
    };
    match () {
        () if plain == "sequence" => Some(""),
        () if plain.is_empty() => Some("a column without a name"),
        () if is_unnamed(name) => Some("without a name"),
        () if is(&SPLIT_WORDS, &SPLITS) => Some("a fold or split"),
        () if is(&ID_WORDS, &IDS) => Some("an id"),
        () if is(&WEIGHT_WORDS, &WEIGHTS) => Some("a weight"),
        () if is(&COORDINATE_WORDS, &COORDINATES) || CHROM.contains(&plain.as_str()) => Some("a coordinate"),
        () if START_AND_END.iter().any(|(start, ends)| *start == plain || ends.contains(&plain.as_str())) => {
            Some("a coordinate")
        }
        () => None,
    }
}

/// The columns of a place in a header, if chromosome, start and end are there; `find` finds a column by its name.
///
/// # Errors
/// `find` fails, as where two columns have the same name.
pub fn places(header: &[String], find: impl Fn(&str) -> Result<Option<usize>>) -> Result<Option<PlaceColumns>> {
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let column = |wanted: &str| -> Result<Option<usize>> {
        let own = names.iter().position(|name| name == wanted);
        own.map_or(Ok(None), |column| find(header[column].trim_start_matches('#').trim()))
    };
    let first = |wanted: &[&str]| -> Result<Option<usize>> {
        let found = wanted.iter().find(|wanted| names.iter().any(|name| name == *wanted));
        found.map_or(Ok(None), |name| column(name))
    };
    let Some(chrom) = first(&CHROM)? else { return Ok(None) };
    for (start, ends) in START_AND_END {
        if let (Some(start), Some(end)) = (column(start)?, first(ends)?) {
            return Ok(Some(PlaceColumns { chrom, start, end, strand: first(&STRAND)? }));
        }
    }
    Ok(None)
}

/// Columns that may hold whole places, the most likely first. An index without a name may be one.
pub fn regions(header: &[String]) -> Vec<usize> {
    let of = |wanted: &str| header.iter().position(|name| plain(name) == wanted);
    let unnamed = header.iter().position(|name| plain(name).is_empty() || is_unnamed(name));
    REGION.iter().filter_map(|name| of(name)).chain(unnamed).collect()
}

/// Whether a program made the name up for a column that has none: pandas, readr and R.
fn is_unnamed(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let lower = name.trim().to_ascii_lowercase();
    let of_pandas = lower.strip_prefix("unnamed").is_some_and(|rest| {
        rest.is_empty() || rest.trim_start_matches([':', '.', '_', ' ']).starts_with(|c: char| c.is_ascii_digit())
    });
    let of_readr = lower.strip_prefix("...").is_some_and(digits);
    of_pandas || of_readr || ["index", "level_0", "x.1"].contains(&lower.as_str())
}

/// A name in lower case, letters and digits only: `#chromStart` and `chrom_start` are both `chromstart`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a name, in lower case: of `peak_ID` and `PeakId` those are `peak` and `id`.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word, mut before) = (Vec::new(), String::new(), ' ');
    for c in name.chars().chain([' ']) {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_as_something_else_is_no_target() {
        for name in [
            "",
            " ",
            "Unnamed: 0",
            "Unnamed: 12",
            "unnamed_0",
            "Unnamed: 0.1",
            "...1",
            "...12",
            "index",
            "Index",
            "level_0",
            "fold",
            "Fold",
            "cv_fold",
            "cvFold",
            "folds",
            "kfold",
            "split",
            "set",
            "partition",
            "id",
            "ID",
            "peak_id",
            "PeakID",
            "geneId",
            "gene_name",
            "name",
            "row",
            "rownames",
            "weight",
            "sample_weight",
            "weights",
            "chr",
            "#chr",
            "CHROM",
            "chromosome",
            "#chrom",
            "seqnames",
            "seqid",
            "contig",
            "chromStart",
            "chrom_start",
            "start",
            "End",
            "stop",
            "pos",
            "Position",
            "strand",
            "summit",
            "width",
            "tss_pos",
            "hg38_start",
            "region",
            "coordinates",
            "txStart",
            "genoEnd",
        ] {
            assert!(not_a_target(name).is_some_and(|why| !why.is_empty()), "{name}");
        }
        for name in [
            "activity",
            "label",
            "liver",
            "log2FoldChange",
            "fold_change",
            "score",
            "signalValue",
            "pValue",
            "x",
            "y",
            "target",
            "expression",
            "posterior",
            "ended",
            "idle",
            "weighted_mean",
            "strandedness",
            "splitting",
            "K562",
            "index_of_x",
            "chr_open",
            "named A",
            "0",
            "1",
            "Dev_log2_enrichment",
            "H3K4me3",
            "foldx",
        ] {
            assert_eq!(not_a_target(name), None, "{name}");
        }
        assert_eq!(not_a_target("#Sequence"), Some(""));
    }

    #[test]
    fn coordinates_have_many_names() {
        let find = |header: &[&str]| {
            let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
            let alike = |name: &str| {
                Ok(header.iter().position(|other| other.trim_start_matches('#').trim().eq_ignore_ascii_case(name)))
            };
            places(&header, alike).unwrap().map(|found| (found.chrom, found.start, found.end, found.strand))
        };
        for (header, expected) in [
            (["chrom", "start", "end", "strand"], Some((0, 1, 2, Some(3)))),
            (["#chrom", "chromStart", "chromEnd", "score"], Some((0, 1, 2, None))),
            (["#chr", "start", "stop", "Strand"], Some((0, 1, 2, Some(3)))),
            (["Chr", "Start", "End", "x"], Some((0, 1, 2, None))),
            (["label", "CHROMOSOME", "START", "END"], Some((1, 2, 3, None))),
            (["seqnames", "start", "end", "width"], Some((0, 1, 2, None))),
            (["seqname", "start", "end", "orientation"], Some((0, 1, 2, Some(3)))),
            (["contig", "start", "end", "x"], Some((0, 1, 2, None))),
            (["end", "start", "chr", "x"], Some((2, 1, 0, None))),
            (["chrom", "chrom_start", "chrom_end", "x"], Some((0, 1, 2, None))),
            (["chrom", "chrom.start", "chrom.stop", "x"], Some((0, 1, 2, None))),
            (["chrom", "txStart", "txEnd", "strand"], Some((0, 1, 2, Some(3)))),
            (["genoName", "genoStart", "genoEnd", "strand"], Some((0, 1, 2, Some(3)))),
            (["seqid", "Start Position", "End Position", "x"], Some((0, 1, 2, None))),
            (["chrom", "start", "x", "y"], None),
            (["chrom", "pos", "end", "y"], None),
            (["start", "end", "strand", "y"], None),
        ] {
            assert_eq!(find(&header), expected, "{header:?}");
        }
    }
}
