//! What is counted of reads, and how their ends are shifted.

use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

/// What a track of reads counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Both ends of each fragment, or the first base of each read, where a transposase cut: ATAC-seq
    #[default]
    Insertions,
    /// The first base of each read, of mates that of one: DNase-seq, ChIP-exo, ChIP-nexus, PRO-seq, CAGE
    FivePrime,
    /// Every base of each fragment or read: smooth tracks
    Coverage,
}

/// Bases by which the first bases of reads are moved, to the right if above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// Of reads of the plus strand.
    pub plus: i64,
    /// Of reads of the minus strand.
    pub minus: i64,
}

impl std::fmt::Display for Shift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:+},{:+}", self.plus, self.minus)
    }
}

/// How the shift is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftChoice {
    /// Measured in each file.
    Auto,
    /// Given, or none.
    Given(Shift),
}

impl ShiftChoice {
    /// The largest shift that can be given, in bp.
    pub const LARGEST: i64 = 1000;
}

impl FromStr for ShiftChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<i64>().ok().filter(|number| number.abs() <= Self::LARGEST);
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Given(Shift::default())),
            pair => match pair.split_once(',').map(|(plus, minus)| (number(plus), number(minus))) {
                Some((Some(plus), Some(minus))) => Ok(Self::Given(Shift { plus, minus })),
                _ => Err(format!(
                    "found '{text}', expected auto, none or PLUS,MINUS in bp of at most {} either way, such as +4,-4",
                    Self::LARGEST
                )),
            },
        }
    }
}

impl std::fmt::Display for ShiftChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Given(shift) if *shift == Shift::default() => f.write_str("none"),
            Self::Given(shift) => shift.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_written_and_read_alike() {
        for (text, plus, minus) in [("+4,-4", 4, -4), ("0,+1", 0, 1), ("-1, 0", -1, 0)] {
            let found: ShiftChoice = text.parse().unwrap();
            assert_eq!(found, ShiftChoice::Given(Shift { plus, minus }));
            assert_eq!(found.to_string().parse::<ShiftChoice>(), Ok(found));
        }
        assert_eq!("none".parse::<ShiftChoice>().unwrap().to_string(), "none");
        assert_eq!("auto".parse(), Ok(ShiftChoice::Auto));
        for wrong in ["", "4", "+4,-5,6", "4,x", "4,-1001", "Auto"] {
            assert!(wrong.parse::<ShiftChoice>().is_err(), "{wrong}");
        }
    }
}
