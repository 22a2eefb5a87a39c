//! HTML reports of runs: self-contained, without network access or scripts. Figures and values come from the run
//! folder; `askama` escapes all text. [`model`] is a page of another kind: the network itself, which scores in the browser.

pub mod comparison;
mod data;
mod files;
pub mod fold_comparison;
pub mod folds;
mod importance;
mod metric_text;
mod mistakes;
pub mod model;
mod motifs;
mod picture;
mod question;
pub mod run;
mod settings;
mod table;
mod tracks;
mod variants;

pub use crate::html::files::RunFiles;

/// Quotes words for a shell.
fn shell_words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Joins items in a sentence: `a, b and c`.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().into(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_words(["train", "--genome", "human=h.fa"]), "train --genome human=h.fa");
        assert_eq!(shell_words(["my run", "it's", "$x", ""]), r"'my run' 'it'\''s' '$x' ''");
    }

    #[test]
    fn lists_read_as_sentences_do() {
        assert_eq!([listed(&["a"]), listed(&["a", "b"]), listed(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}
