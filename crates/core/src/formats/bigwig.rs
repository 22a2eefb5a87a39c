//! bigWig: values along the chromosomes of a genome, read and written by the crate of that name. It inflates with zlib-rs, as all
//! else here does, so that no C is compiled.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use bigwig::{BigWigReader, BigWigWriter, ChromInfo, Error, WriterOptions};

use crate::files::streams;
use crate::formats::compression::FromStart;
use crate::genome::Chromosome;

/// A file and its chromosomes.
#[derive(Debug)]
pub struct BigWig {
    path: PathBuf,
    reader: BigWigReader<BufReader<FromStart>>,
    chromosomes: Vec<Chromosome>,
}

impl BigWig {
    /// Opens a file. Its chromosomes are those that it lists, with or without values.
    ///
    /// # Errors
    /// The file is missing, damaged, or no bigWig.
    pub fn open(path: &Path) -> Result<Self> {
        let file = streams::kept(path).map_or_else(|| File::open(path).map(Arc::new), Ok);
        let file = file.map_err(|error| fault(path, &Error::Io(error)))?;
        let reader = BigWigReader::new(BufReader::new(FromStart::new(&file))).map_err(|error| fault(path, &error))?;
        let chromosomes = reader.chroms().iter();
        let chromosomes = chromosomes
            .map(|chromosome| Chromosome { name: chromosome.name.clone(), length: chromosome.length as usize });
        Ok(Self { path: path.into(), chromosomes: chromosomes.collect(), reader })
    }

    /// Path of the file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The chromosomes that it lists.
    pub fn chromosomes(&self) -> &[Chromosome] {
        &self.chromosomes
    }

    /// Passes on the values of a part of a chromosome in order: stretches of one value, cut to the part. What is no number is left out,
    /// as what is not stored is.
    ///
    /// # Errors
    /// The file is damaged, has several values for a base, or `each` fails.
    pub fn values(
        &mut self,
        chromosome: &str,
        part: Range<usize>,
        mut each: impl FnMut(Range<usize>, f32) -> Result<()>,
    ) -> Result<()> {
        let Self { path, reader, .. } = self;
        let place = |number: usize| {
            u32::try_from(number).map_err(|_| anyhow!("{}: bigWig has no position {number}", path.display()))
        };
        let items = reader.items(chromosome, place(part.start)?, place(part.end)?);
        let mut before = part.start;
        for item in items.map_err(|error| fault(path, &error))? {
            let item = item.map_err(|error| fault(path, &error))?;
            let range = (item.start as usize).max(part.start)..(item.end as usize).min(part.end);
            if range.is_empty() {
                continue;
            }
            if range.start < before {
                bail!(
                    "{}: has several values for {chromosome}:{} (0-based), expected one for each base; make the file again, without overlaps",
                    path.display(),
                    range.start
                );
            }
            before = range.end;
            if item.value.is_finite() {
                each(range, item.value)?;
            }
        }
        Ok(())
    }
}

/// What a fault of the crate comes to, in a sentence.
fn fault(path: &Path, error: &Error) -> anyhow::Error {
    let path_shown = path.display();
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            anyhow!("{path_shown}: ends too early, expected a whole bigWig file; copy it again")
        }
        Error::Io(error) => anyhow!("{path_shown}: cannot be read ({error}); check the path and the disk"),
        Error::NotBigWig { .. } => match beginning(path).as_slice() {
            [] => anyhow!("{path_shown}: is empty, expected a bigWig file; copy it again"),
            [0, 0, 0, 0, ..] => {
                anyhow!(
                    "{path_shown}: was never finished by the program that wrote it, expected a bigWig file; make it again"
                )
            }
            [0x1f, 0x8b, ..] => {
                anyhow!(
                    "{path_shown}: is compressed with gzip, expected a bigWig file; bigWig is compressed within, decompress it, or count reads with strandnet signal"
                )
            }
            text if text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => anyhow!(
                "{path_shown}: is text, such as bedGraph or wig, expected a bigWig file; make one with bedGraphToBigWig or wigToBigWig"
            ),
            _ => anyhow!("{path_shown}: is no bigWig file; check the file"),
        },
        Error::IsBigBed => anyhow!(
            "{path_shown}: is a bigBed file, which holds intervals and no signal, expected a bigWig file; name the bigWig of the same experiment"
        ),
        error => {
            anyhow!("{path_shown}: is damaged or cut short ({error}), expected a whole bigWig file; copy it again")
        }
    }
}

/// The first bytes of a file.
fn beginning(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).and_then(|file| file.take(64).read_to_end(&mut bytes));
    bytes
}

/// Writes values along chromosomes.
pub struct Writer<W: Write + Seek> {
    writer: BigWigWriter<W>,
    /// Stretches of one value on this chromosome that wait to be written.
    waiting: Vec<(u32, u32, f32)>,
    chromosome: String,
}

/// Stretches that are handed on at once.
const AT_ONCE: usize = 1 << 12;

impl<W: Write + Seek> Writer<W> {
    /// Begins a file with the chromosomes of a genome, in the order of names that UCSC's own programs write and all browsers read.
    /// Zoom levels wait in a temporary file in `folder`.
    ///
    /// # Errors
    /// A chromosome has a name or a length that bigWig has no room for, or the file cannot be written.
    pub fn new(sink: W, chromosomes: &[Chromosome], folder: &Path) -> Result<Self> {
        let infos = chromosomes.iter().map(|Chromosome { name, length }| {
            let length = u32::try_from(*length).map_err(|_| {
                anyhow!("{name}: has {length} bp, and bigWig has no positions beyond 4,294,967,295; use bedGraph")
            })?;
            Ok(ChromInfo::new(name.clone(), length))
        });
        let infos = infos.collect::<Result<Vec<_>>>()?;
        let writer = WriterOptions::new().temp_dir(folder).create_with(sink, &infos).map_err(cannot_write)?;
        Ok(Self { writer, waiting: Vec::new(), chromosome: String::new() })
    }

    /// Adds a value for a stretch of a chromosome. Stretches of a chromosome come in order and all together.
    ///
    /// # Errors
    /// The stretch overlaps the one before or ends beyond its chromosome, or the file cannot be written.
    pub fn push(&mut self, chromosome: &str, range: Range<usize>, value: f32) -> Result<()> {
        if self.chromosome != chromosome || self.waiting.len() >= AT_ONCE {
            self.flush()?;
            chromosome.clone_into(&mut self.chromosome);
        }
        let place =
            |number: usize| u32::try_from(number).map_err(|_| anyhow!("{chromosome}: bigWig has no position {number}"));
        let (start, end) = (place(range.start)?, place(range.end)?);
        match self.waiting.last_mut() {
            // One item for neighbours of one value.
            Some(last) if last.1 == start && last.2.to_bits() == value.to_bits() => last.1 = end,
            _ => self.waiting.push((start, end, value)),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.writer.push_intervals(&self.chromosome, &self.waiting).map_err(cannot_write)?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Completes the file; without this it is none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        self.writer.finish().map_err(cannot_write)
    }
}

fn cannot_write(error: Error) -> anyhow::Error {
    match error {
        Error::Io(error) => error.into(),
        error => anyhow!("bigWig cannot hold this ({error}); use bedGraph"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A file of values, each at a stretch of a chromosome.
    fn written(chromosomes: &[(&str, usize)], values: &[(&str, Range<usize>, f32)]) -> Vec<u8> {
        let chromosomes = chromosomes.iter().map(|(name, length)| Chromosome { name: (*name).into(), length: *length });
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(Cursor::new(Vec::new()), &chromosomes.collect::<Vec<_>>(), folder.path()).unwrap();
        values.iter().for_each(|(chromosome, range, value)| writer.push(chromosome, range.clone(), *value).unwrap());
        writer.finish().unwrap().into_inner()
    }

    fn saved(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signal.bw");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn values(file: &mut BigWig, chromosome: &str, part: Range<usize>) -> Vec<(Range<usize>, f32)> {
        let mut found = Vec::new();
        let each = |range, value| {
            found.push((range, value));
            Ok(())
        };
        file.values(chromosome, part, each).unwrap();
        found
    }

    #[test]
    fn what_is_written_is_read_whole_and_in_parts() {
        let stored = [("chr2", 5..7, 1.5), ("chr2", 7..9, 1.5), ("chr2", 20..21, -2.0), ("chr10", 0..100, 3.0)];
        let (_folder, path) = saved(&written(&[("chr2", 50), ("chr10", 100), ("chr3", 8)], &stored));
        let mut file = BigWig::open(&path).unwrap();
        let mut names: Vec<_> =
            file.chromosomes().iter().map(|chromosome| (chromosome.name.as_str(), chromosome.length)).collect();
        names.sort_unstable();
        assert_eq!(names, [("chr10", 100), ("chr2", 50), ("chr3", 8)]);
        assert_eq!(values(&mut file, "chr2", 0..50), [(5..9, 1.5), (20..21, -2.0)]);
        assert_eq!(values(&mut file, "chr2", 6..8), [(6..8, 1.5)]);
        assert_eq!(values(&mut file, "chr10", 99..100), [(99..100, 3.0)]);
        assert_eq!(values(&mut file, "chr3", 0..8), []);
    }

    #[test]
    fn what_is_no_bigwig_is_one_sentence_that_says_what_it_is() {
        let whole = written(&[("chr1", 1000)], &[("chr1", 0..10, 1.0), ("chr1", 30..800, 2.0)]);
        let mut bed = whole.clone();
        bed[..4].copy_from_slice(&0x8789_F2EBu32.to_le_bytes());
        for (bytes, what) in [
            (b"".to_vec(), "is empty"),
            (b"chr1\t0\t10\t1.5\n".to_vec(), "is text, such as bedGraph"),
            (vec![0x1f, 0x8b, 8, 0, 0, 0], "is compressed with gzip"),
            (vec![0; 64], "was never finished"),
            (vec![200; 64], "is no bigWig file"),
            (bed, "is a bigBed file"),
        ] {
            let (_folder, path) = saved(&bytes);
            let error = BigWig::open(&path).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains('\n'), "{error}");
        }
        // Cut anywhere: told at the opening or at the reading.
        for length in (4..whole.len()).step_by(7) {
            let (_folder, path) = saved(&whole[..length]);
            let read = BigWig::open(&path).and_then(|mut file| file.values("chr1", 0..1000, |_, _| Ok(())));
            let error = read.map_or_else(|error| error.to_string(), |()| String::new());
            assert!(error.is_empty() || error.contains("copy it again"), "{length}: {error}");
        }
        let error = BigWig::open(Path::new("/nonexistent/x.bw")).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn a_writer_refuses_what_would_be_read_otherwise() {
        let chromosomes = [Chromosome { name: "chr1".into(), length: 100 }];
        let folder = tempfile::tempdir().unwrap();
        for ranges in [[10..20, 15..30], [10..20, 90..101], [10..20, 5..8]] {
            let mut writer = Writer::new(Cursor::new(Vec::new()), &chromosomes, folder.path()).unwrap();
            let mut pushed = Ok(());
            for (i, range) in ranges.into_iter().enumerate() {
                pushed = pushed.and_then(|()| writer.push("chr1", range, i as f32));
            }
            assert!(pushed.and_then(|()| writer.finish().map(drop)).is_err());
        }
        let long = [Chromosome { name: "chr1".into(), length: 1 << 33 }];
        assert!(Writer::new(Cursor::new(Vec::new()), &long, folder.path()).is_err());
    }
}
