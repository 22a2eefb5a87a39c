//! Epochs as TensorBoard reads them: event files below `tensorboard/` in the run folder, one folder for each member of an
//! ensemble. A file is a row of records (length and checksum, a protocol buffer, its checksum), as TensorFlow's `TFRecord`
//! and `event.proto` have it; only scalars are written.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use prost::Message;

use crate::run::{self, RunFolder, TENSORBOARD};
use crate::training::history::Epoch;

/// TensorFlow's `Event`: its fields that are used here.
#[derive(Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(prost::Oneof)]
enum What {
    /// What a file begins with.
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Present even where it is zero, as it is one of several kinds of value to TensorFlow.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The event files of a run that is being trained.
pub struct Events {
    folder: PathBuf,
    members: usize,
    /// Of the member that is being trained, counted from 1.
    open: Option<(usize, File, PathBuf)>,
}

impl Events {
    /// Starts afresh: what an earlier start of the run wrote goes.
    pub fn create(run: &RunFolder, members: usize) -> Result<Self> {
        let folder = run.file(TENSORBOARD);
        remove_if_there(&folder)?;
        Ok(Self { folder, members, open: None })
    }

    /// Removes what was written of a member.
    pub fn forget(&mut self, member: usize) -> Result<()> {
        self.open.take_if(|(open, ..)| *open == member);
        remove_if_there(&self.folder_of(member))
    }

    /// Adds an epoch, which ended `seconds_ago`. TensorBoard shows it within its next look at the folder.
    pub fn push(&mut self, epoch: &Epoch, metric: &str, seconds_ago: f64) -> Result<()> {
        let wall_time = jiff::Timestamp::now().as_duration().as_secs_f64() - seconds_ago;
        if self.open.as_ref().is_none_or(|(member, ..)| *member != epoch.member) {
            self.open = Some(self.start(epoch.member, wall_time)?);
        }
        let Some((_, file, path)) = &mut self.open else { unreachable!("opened above") };
        let value =
            scalars(epoch, metric).into_iter().map(|(tag, number)| Value { tag, simple_value: Some(number as f32) });
        let summary = Summary { value: value.collect() };
        let event = Event { wall_time, step: epoch.epoch as i64, what: Some(What::Summary(summary)) };
        file.write_all(&record(&event)).map_err(|error| run::cannot_write(path, &error))
    }

    /// Starts the file of a member, by the name that TensorBoard looks for.
    fn start(&self, member: usize, wall_time: f64) -> Result<(usize, File, PathBuf)> {
        let folder = self.folder_of(member);
        let path = folder.join(format!("events.out.tfevents.{:.0}.strandnet", wall_time.max(0.0)));
        let begin = || -> std::io::Result<File> {
            std::fs::create_dir_all(&folder)?;
            let mut file = File::create(&path)?;
            let version = What::FileVersion("brain.Event:2".into());
            file.write_all(&record(&Event { wall_time, step: 0, what: Some(version) }))?;
            Ok(file)
        };
        let file = begin().map_err(|error| run::cannot_write(&path, &error))?;
        Ok((member, file, path))
    }

    fn folder_of(&self, member: usize) -> PathBuf {
        if self.members > 1 { self.folder.join(format!("member-{member}")) } else { self.folder.clone() }
    }
}

/// What is shown of an epoch, by name; TensorBoard groups names by what stands before the stroke.
fn scalars(epoch: &Epoch, metric: &str) -> Vec<(String, f64)> {
    let score = (!matches!(metric, "loss" | "accuracy")).then_some(epoch.valid_score);
    let all = [
        ("loss/train".to_owned(), Some(epoch.train_loss)),
        ("loss/valid".to_owned(), Some(epoch.valid_loss)),
        ("accuracy/train".to_owned(), epoch.train_accuracy),
        ("accuracy/valid".to_owned(), epoch.valid_accuracy),
        (format!("{metric}/valid"), score),
        ("learning_rate".to_owned(), Some(epoch.learning_rate)),
        ("fragments_per_second".to_owned(), Some(epoch.fragments_per_second)),
    ];
    all.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
}

fn remove_if_there(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(run::cannot_write(folder, &error)),
        _ => Ok(()),
    }
}

/// The bytes of an event with their length and checksums around them.
fn record(event: &Event) -> Vec<u8> {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_checksum(&length), &bytes, &masked_checksum(&bytes)].concat()
}

/// CRC-32C, turned and shifted so that checksums of data that hold checksums stay good ones.
fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/golden/events.py` wrote the file with TensorBoard's own writer.
    #[test]
    fn records_are_those_of_tensorboard() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/events.out.tfevents.golden");
        let golden = std::fs::read(path).unwrap();
        let epoch = |epoch, valid_accuracy| Epoch {
            member: 1,
            epoch,
            train_loss: 0.75,
            train_accuracy: Some(0.5),
            valid_loss: f64::NAN,
            valid_accuracy,
            valid_score: 0.0,
            learning_rate: 0.001,
            seconds: 2.0,
            fragments_per_second: 123_456.0,
        };
        let version = Event { wall_time: 1.5, step: 0, what: Some(What::FileVersion("brain.Event:2".into())) };
        let summary = |epoch: &Epoch, wall_time| {
            let values = scalars(epoch, "auroc");
            let value =
                values.into_iter().map(|(tag, value)| Value { tag, simple_value: Some(value as f32) }).collect();
            Event { wall_time, step: epoch.epoch as i64, what: Some(What::Summary(Summary { value })) }
        };
        let events = [version, summary(&epoch(1, Some(0.25)), 2.5), summary(&epoch(300, None), 1_790_000_000.25)];
        let ours: Vec<u8> = events.iter().flat_map(record).collect();
        assert_eq!(ours, golden);
    }
}
