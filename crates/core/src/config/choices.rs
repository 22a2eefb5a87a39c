//! Choices made on the command line that are no part of the experiment: output formats and attribution methods.

use clap::ValueEnum;

/// A choice as flags and configuration files write it.
pub fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The format in which `predict` writes scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    /// Table with a header: name, start, end, strand and every score
    Tsv,
    /// BED6 with one probability as a score from 0 to 1000
    Bed,
    /// bedGraph with one score: windows stand for their middle where they overlap, regions for what none before them covers
    Bedgraph,
    /// bigWig of what bedGraph holds, for genome browsers; needs --reference and --out
    Bigwig,
}

/// The format in which `explain variants` writes scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VariantFormat {
    /// The lines as they came, with fields added to INFO
    Vcf,
    /// Table with a header, one line for each alternative allele
    Tsv,
}

/// How the importance of each base is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttributionMethod {
    /// In-silico mutagenesis: every base replaced by each other one and scored
    Ism,
    /// The gradient at the sequence, times the sequence
    Saliency,
    /// Integrated gradients
    Ig,
}

impl AttributionMethod {
    /// The name in flags, files and keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ism => "ism",
            Self::Saliency => "saliency",
            Self::Ig => "ig",
        }
    }

    /// The name in figures.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ism => "In-silico mutagenesis",
            Self::Saliency => "Saliency times input",
            Self::Ig => "Integrated gradients",
        }
    }
}

/// Where the path of integrated gradients begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttributionBaseline {
    /// No base anywhere: an unknown sequence
    Zeros,
    /// The mean of 20 copies of the sequence that are shuffled with their dinucleotides kept
    Shuffles,
}
