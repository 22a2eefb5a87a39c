//! TensorBoard event files: records of a length, its checksum, a protocol buffer and its checksum, as in TensorFlow's
//! `TFRecord` and `event.proto`. Only scalars are written.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use prost::Message;

use crate::files;

/// The fields of TensorFlow's `Event` that are used here.
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
    /// The version record that starts a file.
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
    /// Written even if it is zero, because TensorFlow has several kinds of value.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Creates a file in a folder, with the name that TensorBoard looks for; `wall_time` is in seconds since 1970.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn create(folder: &Path, wall_time: f64) -> Result<Self> {
        let path = folder.join(format!("events.out.tfevents.{:.0}.strandnet", wall_time.max(0.0)));
        let begin = || -> std::io::Result<File> {
            std::fs::create_dir_all(folder)?;
            let mut file = File::create(&path)?;
            file.write_all(&record(&version(wall_time)))?;
            Ok(file)
        };
        let file = begin().map_err(|error| files::cannot_write(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Appends the scalars of a step, by tag.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, wall_time: f64, step: i64, scalars: &[(String, f64)]) -> Result<()> {
        self.file
            .write_all(&record(&summary(wall_time, step, scalars)))
            .map_err(|error| files::cannot_write(&self.path, &error))
    }
}

/// The version record that starts a file.
fn version(wall_time: f64) -> Event {
    Event { wall_time, step: 0, what: Some(What::FileVersion("brain.Event:2".into())) }
}

fn summary(wall_time: f64, step: i64, scalars: &[(String, f64)]) -> Event {
    let value = |(tag, number): &(String, f64)| Value { tag: tag.clone(), simple_value: Some(*number as f32) };
    Event { wall_time, step, what: Some(What::Summary(Summary { value: scalars.iter().map(value).collect() })) }
}

/// The bytes of an event, framed by its length and checksums.
fn record(event: &Event) -> Vec<u8> {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked_checksum(&length), &bytes, &masked_checksum(&bytes)].concat()
}

/// Masked CRC-32C: rotated and offset, since a CRC of data that contains CRCs is weak.
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
        let scalars = |valid_accuracy: Option<f64>| -> Vec<(String, f64)> {
            let all = [
                ("loss/train", Some(0.75)),
                ("loss/valid", Some(f64::NAN)),
                ("accuracy/train", Some(0.5)),
                ("accuracy/valid", valid_accuracy),
                ("auroc/valid", Some(0.0)),
                ("learning_rate", Some(0.001)),
                ("fragments_per_second", Some(123_456.0)),
            ];
            all.into_iter().filter_map(|(tag, value)| Some((tag.to_owned(), value?))).collect()
        };
        let events =
            [version(1.5), summary(2.5, 1, &scalars(Some(0.25))), summary(1_790_000_000.25, 300, &scalars(None))];
        let ours: Vec<u8> = events.iter().flat_map(record).collect();
        assert_eq!(ours, golden);
    }
}
