//! Values of signal tracks over the middle of windows of a genome: of each track one number or one for each bin, which regression
//! predicts, or the counts of every base.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::config::{Aggregate, DataConfig, NEGATIVE, SignalTrack, bin_fault, output_length_fault};
use crate::dataset::sequences::{Label, Sequences};
use crate::format::{list_first, thousands};
use crate::genome::Genome;
use crate::genome::control::Control;
use crate::genome::interval::Interval;
use crate::genome::signal::Signal;
use crate::progress::Progress;
use crate::sequence::bins::Bins;
use crate::sequence::profile::ProfileShape;

/// Chromosomes that a message names.
const MOST_NAMES: usize = 3;

/// The tracks of `--signal`, opened for a genome.
pub struct SignalValues {
    tracks: Vec<Track>,
    aggregate: Aggregate,
    log1p: bool,
    /// Bases before the middle that is taken, in a window.
    before: usize,
    output_length: usize,
    /// Bins of the middle, where each has a value of its own.
    pub bins: Option<Bins>,
    /// The tracks of the middle, where every base counts.
    pub profile: Option<ProfileShape>,
    /// The control of profiles.
    control: Option<Control>,
    /// Windows asked for, by chromosome.
    windows: Vec<usize>,
}

/// One track: a file, or one of each strand.
struct Track {
    name: String,
    files: Vec<Signal>,
}

impl SignalValues {
    /// Opens the tracks that settings name, for windows of `length` bp; none where they name none. Up to `memory` bytes of values are
    /// held in memory. Of profiles, values are counts.
    ///
    /// # Errors
    /// A file is missing, damaged or of another genome, holds both signs where counts are expected, or the middle is longer than windows.
    pub fn open(
        config: &DataConfig,
        is_profile: bool,
        genome: &Genome,
        length: usize,
        memory: u64,
        progress: &Progress,
    ) -> Result<Option<Self>> {
        if config.signal.is_empty() {
            return Ok(None);
        }
        let output_length = match is_profile {
            true => DataConfig { length: Some(length), ..config.clone() }.profile_lengths().1,
            false => config.output_length.unwrap_or(length),
        };
        if let Some(fault) = output_length_fault(output_length, length) {
            bail!("{fault}");
        }
        let of_control = config.control.as_ref().map_or(0, |control| control.paths().count());
        let files = (config.signal.iter().flat_map(SignalTrack::paths).count() + of_control) as u64;
        let open = |path: &PathBuf, are_counts: bool| {
            let signal = Signal::open(path, genome, memory / files)?;
            let signal = if are_counts { signal.as_counts()? } else { signal };
            signal.notices.iter().for_each(|notice| progress.say(notice));
            Ok::<_, anyhow::Error>(signal)
        };
        let mut tracks = Vec::new();
        for track in &config.signal {
            // Those of a pair are of a strand each, which some draw downwards; one alone may hold fold changes.
            let are_counts = is_profile || track.minus.is_some();
            let open = |path: &PathBuf| {
                let signal = open(path, are_counts)?;
                if config.log1p {
                    signal.refuse_negative("--log1p takes the logarithm of 1 + the value; remove it")?;
                }
                Ok(signal)
            };
            tracks.push(Track { name: track.name.clone(), files: track.paths().map(open).collect::<Result<_>>()? });
        }
        let bins = match config.bin {
            Some(bp) if !output_length.is_multiple_of(bp) => bail!("{}", bin_fault(bp, output_length)),
            bin => bin.map(|bp| Bins { count: output_length / bp, bp }),
        };
        let tracks_of = |track: &Track| track.files.len();
        let control = config.control.as_ref().map(|track| Control::open(track, genome, memory / files, progress));
        let control = control.transpose()?;
        let profile = is_profile.then(|| ProfileShape {
            tracks: tracks.iter().map(tracks_of).collect(),
            length: output_length,
            control: control.as_ref().map_or(0, Control::tracks),
            ..ProfileShape::default()
        });
        let before = (length - output_length) / 2;
        let windows = vec![0; genome.chromosomes.len()];
        let (aggregate, log1p) = (config.aggregate.unwrap_or_default(), config.log1p);
        Ok(Some(Self { tracks, aggregate, log1p, before, output_length, bins, profile, control, windows }))
    }

    /// Names of the values, in order.
    pub fn names(&self) -> Vec<String> {
        self.tracks.iter().map(|track| track.name.clone()).collect()
    }

    /// The values of a window, which is counted; of bins in the direction of its strand.
    ///
    /// # Errors
    /// A file cannot be read again, or a value is beyond the range of 32 bits.
    pub fn of(&mut self, window: &Interval, reverse: bool) -> Result<Label> {
        self.windows[window.chromosome] += 1;
        let Interval { chromosome, range } = window;
        let start = range.start + self.before;
        let value = |track: &Track, part: Range<usize>| {
            let value = track.aggregate(self.aggregate, *chromosome, part)?;
            let value = if self.log1p { value.ln_1p() } else { value } as f32;
            if !value.is_finite() {
                bail!(
                    "{}: the signal in the {} bp from {start} is beyond the range of a number of 32 bits; scale it",
                    track.files[0].path().display(),
                    self.output_length
                );
            }
            Ok(value)
        };
        let Some(Bins { count, bp }) = self.bins else {
            let middle = || start..start + self.output_length;
            return Ok(Label::Values(self.tracks.iter().map(|track| value(track, middle())).collect::<Result<_>>()?));
        };
        let mut values = Vec::with_capacity(self.tracks.len() * count);
        for track in &self.tracks {
            for i in 0..count {
                let bin = if reverse { count - 1 - i } else { i };
                values.push(value(track, start + bin * bp..start + (bin + 1) * bp)?);
            }
        }
        Ok(Label::Bins(values.into()))
    }

    /// The counts of each base of each track of a window, `[tracks, length]`, and behind them those of the control, `[control,
    /// control_length]`, in the direction of its strand.
    ///
    /// # Errors
    /// A file cannot be read again, or a value is not finite.
    pub fn profile(&self, window: &Interval, reverse: bool) -> Result<Vec<f32>> {
        let start = window.range.start + self.before;
        let shape = self.profile.as_ref();
        let mut values = vec![0.0; shape.map_or(0, |shape| shape.values() + shape.control_values())];
        let mut rest = &mut values[..];
        for track in &self.tracks {
            let (group, others) = rest.split_at_mut(track.files.len() * self.output_length);
            for (file, out) in track.files.iter().zip(group.chunks_mut(self.output_length)) {
                file.finite_values(window.chromosome, start..start + self.output_length, out)?;
            }
            if reverse {
                group.reverse();
            }
            rest = others;
        }
        if let (Some(shape), Some(control)) = (shape, &self.control) {
            control.read(shape, window, reverse, rest)?;
        }
        Ok(values)
    }

    /// The counts of all tracks in the middle of a window.
    ///
    /// # Errors
    /// A file cannot be read again.
    pub fn counts(&self, window: &Interval) -> Result<f64> {
        let start = window.range.start + self.before;
        let files = self.tracks.iter().flat_map(|track| &track.files);
        files.map(|file| file.sum(window.chromosome, start..start + self.output_length)).sum()
    }

    /// Length of the middle of a window that is taken, in bp.
    pub fn output_length(&self) -> usize {
        self.output_length
    }

    /// Says how many windows lie on chromosomes without any signal.
    pub fn report_silent(&self, genome: &Genome, progress: &Progress) {
        for signal in self.tracks.iter().flat_map(|track| &track.files) {
            let with_windows: Vec<usize> =
                signal.silent().iter().copied().filter(|&chromosome| self.windows[chromosome] > 0).collect();
            if with_windows.is_empty() {
                continue;
            }
            let windows: usize = with_windows.iter().map(|&chromosome| self.windows[chromosome]).sum();
            let names: Vec<String> =
                with_windows.iter().map(|&chromosome| genome.chromosomes[chromosome].name.clone()).collect();
            progress.say(&format!(
                "{}: {} of {} windows lie on {}, which {} no signal, and have the value 0",
                signal.path().display(),
                thousands(windows),
                thousands(self.windows.iter().sum()),
                list_first(&names, MOST_NAMES),
                if names.len() == 1 { "has" } else { "have" }
            ));
        }
    }
}

/// The label of a window on a strand: its signal, or else its class.
///
/// # Errors
/// The signal cannot be read.
pub fn label(
    class: &str,
    (window, reverse): (&Interval, bool),
    signal: &mut Option<SignalValues>,
    sequences: &mut Sequences,
) -> Result<Label> {
    match signal {
        Some(signal) if signal.profile.is_some() => {
            signal.windows[window.chromosome] += 1;
            let counts = signal.profile(window, reverse)?.into();
            Ok(Label::Profile { counts, is_peak: class != NEGATIVE })
        }
        Some(signal) => signal.of(window, reverse),
        None => Ok(sequences.class(class)),
    }
}

impl Track {
    fn aggregate(&self, aggregate: Aggregate, chromosome: usize, part: Range<usize>) -> Result<f64> {
        let sum = || self.files.iter().map(|file| file.sum(chromosome, part.clone())).sum::<Result<f64>>();
        match (aggregate, self.files.as_slice()) {
            (Aggregate::Sum, _) => sum(),
            (Aggregate::Mean, _) => Ok(sum()? / part.len() as f64),
            (Aggregate::Max, [file]) => file.max(chromosome, part),
            (Aggregate::Max, files) => {
                // Of both strands together.
                let (mut total, mut values) = (vec![0.0f64; part.len()], vec![0.0; part.len()]);
                for file in files {
                    file.values(chromosome, part.clone(), &mut values)?;
                    total.iter_mut().zip(&values).for_each(|(total, &value)| *total += f64::from(value));
                }
                Ok(total.into_iter().fold(f64::NEG_INFINITY, f64::max))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bigwig::Writer;
    use std::io::Cursor;
    use std::path::Path;

    /// Saves values of the only chromosome, of 20 bp.
    fn save(path: &Path, values: &[(Range<usize>, f32)]) {
        let genome = genome();
        let mut writer = Writer::new(Cursor::new(Vec::new()), &genome.chromosomes, path).unwrap();
        values.iter().for_each(|(range, value)| writer.push("chr1", range.clone(), *value).unwrap());
        std::fs::write(path, writer.finish().unwrap().into_inner()).unwrap();
    }

    fn genome() -> Genome {
        Genome::from_codes(Path::new("genome.fa"), vec![("chr1".into(), vec![0; 20])])
    }

    #[test]
    fn values_are_of_the_middle_and_of_both_strands() {
        let folder = tempfile::tempdir().unwrap();
        let [plus, minus] = ["plus.bw", "minus.bw"].map(|name| folder.path().join(name));
        save(&plus, &[(4..6, 2.0), (9..11, 0.5)]);
        save(&minus, &[(5..6, -3.0), (11..12, -8.0)]);
        let of = |signal: String, aggregate, log1p, output_length| {
            let config = DataConfig {
                signal: vec![signal.parse().unwrap()],
                aggregate: Some(aggregate),
                log1p,
                output_length,
                ..DataConfig::default()
            };
            let mut values = SignalValues::open(&config, false, &genome(), 10, 1 << 20, &Progress::quiet())?.unwrap();
            assert_eq!(values.names(), ["y"]);
            match values.of(&Interval { chromosome: 0, range: 2..12 }, false)? {
                Label::Values(values) => Ok(values[0]),
                label => panic!("{label:?}"),
            }
        };
        let [one, pair] = [format!("y={}", plus.display()), format!("y={},{}", plus.display(), minus.display())];
        for (signal, aggregate, log1p, output_length, expected) in [
            (&one, Aggregate::Sum, false, None, 5.0),
            (&one, Aggregate::Sum, true, None, 6f32.ln()),
            (&one, Aggregate::Mean, false, None, 0.5),
            (&one, Aggregate::Max, false, None, 2.0),
            (&one, Aggregate::Sum, false, Some(6), 4.5),
            (&one, Aggregate::Mean, false, Some(2), 0.0),
            (&pair, Aggregate::Sum, false, None, 16.0),
            (&pair, Aggregate::Max, false, None, 8.0),
            (&pair, Aggregate::Max, false, Some(6), 5.0),
        ] {
            let found: Result<f32> = of(signal.clone(), aggregate, log1p, output_length);
            assert_eq!(found.unwrap(), expected, "{signal} {aggregate:?} {log1p} {output_length:?}");
        }
        let below = format!("y={}", minus.display());
        assert_eq!(of(below.clone(), Aggregate::Sum, false, None).unwrap(), -11.0);
        let error = of(below, Aggregate::Sum, true, None).unwrap_err().to_string();
        assert!(error.contains("2 of 2 values are below zero, the first at chr1:5 (0-based)"), "{error}");
        let error = of(one, Aggregate::Sum, false, Some(7)).unwrap_err().to_string();
        assert!(error.contains("expected an even difference"), "{error}");
    }

    #[test]
    fn profiles_are_of_each_base_and_run_with_the_strand() {
        let folder = tempfile::tempdir().unwrap();
        let [plus, minus] = ["plus.bw", "minus.bw"].map(|name| folder.path().join(name));
        save(&plus, &[(4..6, 2.0), (9..11, 5.0)]);
        save(&minus, &[(5..6, -3.0), (11..12, -8.0)]);
        let signal = [format!("a={}", plus.display()), format!("b={},{}", plus.display(), minus.display())];
        let config = DataConfig {
            signal: signal.iter().map(|track| track.parse().unwrap()).collect(),
            output_length: Some(4),
            ..DataConfig::default()
        };
        for memory in [0, 1 << 20] {
            let values = SignalValues::open(&config, true, &genome(), 10, memory, &Progress::quiet()).unwrap().unwrap();
            let shape = ProfileShape { tracks: vec![1, 2], length: 4, ..ProfileShape::default() };
            assert_eq!(values.profile.as_ref(), Some(&shape));
            let window = Interval { chromosome: 0, range: 1..11 };
            let forward = values.profile(&window, false).unwrap();
            // Bases 4 to 8.
            assert_eq!(forward, [2.0, 2.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
            let reverse = values.profile(&window, true).unwrap();
            assert_eq!(reverse, [0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 2.0, 2.0]);
            assert_eq!(values.counts(&window).unwrap(), 11.0);

            // The control reaches 37 bp beyond the middle, so here beyond both ends of the chromosome.
            let control = Some(format!("{},{}", plus.display(), minus.display()).parse().unwrap());
            let config = DataConfig { control, ..config.clone() };
            let values = SignalValues::open(&config, true, &genome(), 10, memory, &Progress::quiet()).unwrap().unwrap();
            let shape = values.profile.as_ref().unwrap();
            assert_eq!((shape.control, shape.control_length()), (2, 78));
            for (reverse, of_tracks) in [(false, &forward), (true, &reverse)] {
                let (counts, control) = (values.profile(&window, reverse).unwrap(), 12..12 + 2 * 78);
                assert_eq!((&counts[..12], counts.len()), (&of_tracks[..], control.end));
                // Bases 4 to 6 and 9 to 11 of plus, 5 and 11 of minus; base 4 is the first of the middle.
                let mut expected = vec![0.0; 2 * 78];
                for (at, count) in [(37, 2.0), (38, 2.0), (42, 5.0), (43, 5.0), (78 + 38, 3.0), (78 + 44, 8.0)] {
                    expected[at] = count;
                }
                if reverse {
                    expected.reverse();
                }
                assert_eq!(counts[control], expected, "{reverse}");
            }
        }
    }
}
