//! Where examples come from, with the files that each kind of source needs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::config::{ControlTrack, DataConfig, NamedPath, Negatives, SignalTrack, SourceKind};
use crate::dataset::split::Split;

/// One kind of source and its files.
#[derive(Clone, Copy, Debug)]
pub enum DataSource<'a> {
    /// Windows of simulated genomes.
    Demo,
    /// Windows of genomes, one or more for each class.
    Genomes(&'a [NamedPath]),
    /// Records of FASTA or FASTQ, a class a file; with a split, all of a group belong to it.
    Classes([(&'a [NamedPath], Option<Split>); 3]),
    /// Windows around regions of a reference genome.
    Regions(RegionFiles<'a>),
    /// Tables; with a split, all rows belong to it.
    Tables([(Option<&'a Path>, Option<Split>); 3]),
    /// The listing of another run's examples.
    Examples(&'a Path),
}

/// The files of regions, and what negatives are made from.
#[derive(Clone, Copy, Debug)]
pub struct RegionFiles<'a> {
    /// FASTA of the genome that the regions lie in.
    pub reference: &'a Path,
    /// BED or narrowPeak files, each with its class.
    pub regions: &'a [NamedPath],
    /// Kind of negatives for a single class of regions, or beside the regions of a signal.
    pub negatives: Option<&'a Negatives>,
    /// Regions that negatives drawn from the genome stay away from.
    pub exclude: &'a [PathBuf],
    /// Tracks whose signal is predicted, instead of a class.
    pub signal: &'a [SignalTrack],
    /// The control of profiles.
    pub control: Option<&'a ControlTrack>,
}

impl<'a> DataSource<'a> {
    /// The source that settings name.
    ///
    /// # Errors
    /// A file that it needs is not named.
    pub fn of(config: &'a DataConfig) -> Result<Self> {
        const VALID: Option<Split> = Some(Split::Valid);
        const TEST: Option<Split> = Some(Split::Test);
        Ok(match config.source() {
            SourceKind::Demo => Self::Demo,
            SourceKind::Genomes => Self::Genomes(&config.genome),
            SourceKind::Classes => {
                Self::Classes([(&config.class, None), (&config.valid_class, VALID), (&config.test_class, TEST)])
            }
            SourceKind::Regions => {
                let Some(reference) = &config.reference else {
                    bail!("--regions needs --reference, the genome they lie in")
                };
                let DataConfig { regions, exclude, signal, control, .. } = config;
                let (control, negatives) = (control.as_ref(), config.negatives_of_regions());
                Self::Regions(RegionFiles { reference, regions, negatives, exclude, signal, control })
            }
            SourceKind::Tables => Self::Tables([
                (config.train.as_deref(), None),
                (config.valid.as_deref(), VALID),
                (config.test.as_deref(), TEST),
            ]),
            SourceKind::Examples => {
                let Some(path) = &config.examples else { bail!("no listing of examples is named") };
                Self::Examples(path)
            }
        })
    }

    /// The files that are read, in the order in which a run lists them.
    pub fn files(&self) -> Vec<PathBuf> {
        let of = |named: &[NamedPath]| named.iter().map(|named| named.path.clone()).collect::<Vec<_>>();
        match self {
            Self::Demo => Vec::new(),
            Self::Genomes(named) => of(named),
            Self::Classes(groups) => groups.iter().flat_map(|(named, _)| of(named)).collect(),
            Self::Regions(RegionFiles { reference, regions, negatives, exclude, signal, control }) => {
                let mut files = vec![reference.to_path_buf()];
                files.extend(of(regions));
                files.extend(exclude.iter().cloned());
                if let Some(Negatives::Bed(path)) = negatives {
                    files.push(path.clone());
                }
                files.extend(signal.iter().flat_map(SignalTrack::paths).cloned());
                files.extend(control.iter().flat_map(|control| control.paths()).cloned());
                files
            }
            Self::Tables(tables) => tables.iter().filter_map(|(path, _)| path.map(Path::to_path_buf)).collect(),
            Self::Examples(path) => vec![path.to_path_buf()],
        }
    }
}
