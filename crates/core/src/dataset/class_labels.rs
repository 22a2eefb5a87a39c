//! Labels of tables as names of classes: which read as missing, which are one class, and which of two is the positive one.

use std::collections::HashMap;

/// What pandas, R, spreadsheets and BED or VCF files write where there is no value, in lower case.
const MISSING: [&str; 15] = [
    "na", "n/a", "nan", "-nan", "+nan", "none", "null", "<na>", "#n/a", "#na", "#n/a n/a", "1.#ind", "-1.#ind",
    "1.#qnan", "-1.#qnan",
];

/// Pairs of classes of which the first is the positive one, in lower case. 1 and 0 are known as numbers.
const PAIRS: [(&str, &str); 13] = [
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
    ("positive", "negative"),
    ("pos", "neg"),
    ("bound", "unbound"),
    ("active", "inactive"),
    ("open", "closed"),
    ("peak", "background"),
    ("signal", "background"),
    ("functional", "neutral"),
    ("pathogenic", "benign"),
];

/// The shortest name to which a `no` written together is its opposite: `peak` and `nopeak` are, `t` and `not` are not.
const SHORTEST_NEGATED: usize = 3;

/// Whether a field is what programs write where there is no value.
pub fn reads_as_missing(field: &str) -> bool {
    let marks = ["", ".", "?", "NaT"];
    marks.contains(&field) || (field.len() <= 9 && MISSING.iter().any(|missing| field.eq_ignore_ascii_case(missing)))
}

/// Which of two classes is the positive one, of the pairs that have an order of their own, in whatever case.
pub fn affirmative(first: &str, second: &str) -> Option<usize> {
    let names = [first, second].map(|name| name.trim().to_lowercase());
    let is_pair = |yes: &str, no: &str| PAIRS.contains(&(yes, no)) || is_negation(no, yes);
    match (is_pair(&names[0], &names[1]), is_pair(&names[1], &names[0])) {
        (true, false) => Some(0),
        (false, true) => Some(1),
        _ => None,
    }
}

/// Whether a name is `not`, `non` or `no` before another, with `_`, `-` or a space between them or nothing.
fn is_negation(name: &str, of: &str) -> bool {
    !of.is_empty()
        && ["not", "non", "no"].iter().any(|no| {
            name.strip_prefix(no).is_some_and(|rest| match rest.strip_prefix(['_', '-', ' ', '.']) {
                Some(rest) => rest.trim_start() == of,
                None => rest == of && of.chars().count() >= SHORTEST_NEGATED,
            })
        })
}

/// A number by which equal ones are known: 0, 0.0, -0 and 0e0 are one.
fn number(label: &str) -> Option<u64> {
    let number: f64 = label.parse().ok().filter(|number: &f64| number.is_finite())?;
    Some((number + 0.0).to_bits()) // of -0, too
}

/// The names of classes in the order in which labels first have them. Equal numbers are one class, named by the shortest of
/// their spellings.
pub fn distinct<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    let (mut texts, mut numbers) = (HashMap::new(), HashMap::new());
    for label in labels {
        let known = match number(label) {
            Some(number) => numbers.entry(number).or_insert(names.len()),
            None => texts.entry(label).or_insert(names.len()),
        };
        match names.get_mut(*known) {
            Some(name) if (label.len(), label) < (name.len(), name) => *name = label,
            Some(_) => {}
            None => names.push(label),
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Two names that differ only in case.
pub fn alike(names: &[String]) -> Option<(&str, &str)> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    names.iter().find_map(|name| seen.insert(name.to_lowercase(), name).map(|other| (other, name.as_str())))
}

/// Finds classes by labels.
pub struct ClassIndex<'a> {
    names: HashMap<&'a str, usize>,
    numbers: HashMap<u64, usize>,
    /// By the name in lower case; `None` where two classes have it.
    folded: HashMap<String, Option<usize>>,
}

impl<'a> ClassIndex<'a> {
    /// Over the names of classes, in their order.
    pub fn new(names: &'a [String]) -> Self {
        let each = || names.iter().enumerate();
        let mut folded = HashMap::new();
        for (class, name) in each() {
            folded.entry(name.to_lowercase()).and_modify(|known| *known = None).or_insert(Some(class));
        }
        Self {
            names: each().map(|(class, name)| (name.as_str(), class)).collect(),
            numbers: each().rev().filter_map(|(class, name)| Some((number(name)?, class))).collect(),
            folded,
        }
    }

    /// The class of this name, or of an equal number.
    pub fn find(&self, label: &str) -> Option<usize> {
        self.names.get(label).or_else(|| self.numbers.get(&number(label)?)).copied()
    }

    /// The class whose name differs from the label only in case.
    pub fn find_alike(&self, label: &str) -> Option<usize> {
        self.folded.get(&label.to_lowercase()).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_write_for_nothing_reads_as_missing() {
        for field in [
            "", "NA", "na", "N/A", "n/a", "nan", "NaN", "NAN", "-nan", "None", "none", "NULL", "null", "<NA>", "#N/A",
            "#NA", "NaT", ".", "?", "1.#QNAN", "-1.#IND", "#N/A N/A",
        ] {
            assert!(reads_as_missing(field), "{field}");
        }
        for field in [
            "0", "-", "+", "no", "n", "nano", "non", "N", "NAA", "nullo", "nonsense", "nat", "a", "unknown", "inf",
            "nané",
        ] {
            assert!(!reads_as_missing(field), "{field}");
        }
    }

    #[test]
    fn pairs_with_a_yes_and_a_no_have_an_order_of_their_own() {
        for (yes, no) in [
            ("True", "False"),
            ("TRUE", "FALSE"),
            ("true", "false"),
            ("T", "F"),
            ("t", "f"),
            ("Yes", "No"),
            ("yes", "no"),
            ("Y", "N"),
            ("positive", "negative"),
            ("Positive", "Negative"),
            ("pos", "neg"),
            ("POS", "NEG"),
            ("bound", "unbound"),
            ("Bound", "Unbound"),
            ("active", "inactive"),
            ("open", "closed"),
            ("peak", "background"),
            ("peak", "nonpeak"),
            ("Peak", "non-peak"),
            ("peak", "no_peak"),
            ("peak", "no peak"),
            ("signal", "background"),
            ("functional", "neutral"),
            ("functional", "non-functional"),
            ("pathogenic", "benign"),
            ("Pathogenic", "Benign"),
            ("enhancer", "not_enhancer"),
            ("enhancer", "non-enhancer"),
            ("enhancer", "no_enhancer"),
            ("Enhancer", "NonEnhancer"),
            ("CTCF", "not CTCF"),
            ("CTCF", "noCTCF"),
            ("a", "not_a"),
            ("A", "non-A"),
            ("promoter", "notpromoter"),
            ("x y", "not_x y"),
        ] {
            assert_eq!((affirmative(yes, no), affirmative(no, yes)), (Some(0), Some(1)), "{yes} {no}");
        }
        for (first, second) in [
            ("human", "mouse"),
            ("true", "no"),
            ("pos", "negative"),
            ("t", "not"),
            ("n", "non"),
            ("a", "noa"),
            ("de", "node"),
            ("enhancer", "promoter"),
            ("high", "low"),
            ("methylated", "unmethylated"),
            ("yes", "yes"),
            ("no", "not_"),
            ("", "no"),
            ("", "not_"),
            ("2", "1"),
        ] {
            assert_eq!((affirmative(first, second), affirmative(second, first)), (None, None), "{first} {second}");
        }
    }

    #[test]
    fn equal_numbers_are_one_class() {
        let of = |labels: &[&'static str]| distinct(labels.iter().copied());
        assert_eq!(of(&["0.0", "1", "0", "1.0", "1e0", "+1", "-0", "01"]), ["0", "1"]);
        assert_eq!(of(&["1.0", "0.0", "1.0"]), ["1.0", "0.0"]);
        assert_eq!(of(&["0.5", ".5", "0.50", "a", "A"]), [".5", "a", "A"]);
        assert_eq!(of(&["inf", "infinity", "01"]), ["inf", "infinity", "01"]);
        let names = of(&["Pos", "neg", "pos"]);
        assert_eq!(alike(&names), Some(("Pos", "pos")));
        assert_eq!(alike(&of(&["a", "b"])), None);
        let index = ClassIndex::new(&names);
        assert_eq!((index.find("pos"), index.find("POS"), index.find_alike("NEG")), (Some(2), None, Some(1)));
        assert_eq!(index.find_alike("POS"), None, "two classes have that name");
        let numbers = of(&["0", "1"]);
        assert_eq!(ClassIndex::new(&numbers).find("1.00"), Some(1));
    }
}
