//! Event files, read back by the format's own description: TensorFlow's record_writer.cc and event.proto.

use std::path::{Path, PathBuf};

use prost::Message;

use crate::fixtures::{column, interrupted, succeed, tables, text, with_defaults};

#[derive(Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The one event file of a folder, its checksums checked; without the version that it begins with.
fn events(folder: &Path) -> Vec<Event> {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."), "{files:?}");
    let bytes = std::fs::read(file).unwrap();
    let mut rest = &bytes[..];
    let mut take = |length: usize| -> Vec<u8> {
        let taken;
        (taken, rest) = rest.split_at(length);
        let checksum;
        (checksum, rest) = rest.split_at(4);
        let expected = ((crc32c::crc32c(taken) >> 15) | (crc32c::crc32c(taken) << 17)).wrapping_add(0xa282_ead8);
        assert_eq!(checksum, expected.to_le_bytes());
        taken.to_vec()
    };
    let mut events = Vec::new();
    let mut left = bytes.len();
    while left > 0 {
        let length = u64::from_le_bytes(take(8).try_into().unwrap()) as usize;
        events.push(Event::decode(&take(length)[..]).unwrap());
        left -= 8 + 4 + length + 4;
    }
    let version = events.remove(0);
    assert_eq!(version.file_version.as_deref(), Some("brain.Event:2"));
    events
}

/// Holds events against the rows of `history.csv` of one member.
fn assert_are(events: &[Event], history: &Path, member: Option<usize>) {
    let members = member.map(|_| column(history, b',', "member"));
    let of_member = |row: usize| members.as_ref().is_none_or(|all| all[row] == member.unwrap().to_string());
    let rows: Vec<usize> = (0..column(history, b',', "epoch").len()).filter(|&row| of_member(row)).collect();
    assert_eq!(events.len(), rows.len());
    for (tag, name) in [
        ("loss/train", "train_loss"),
        ("loss/valid", "valid_loss"),
        ("accuracy/train", "train_accuracy"),
        ("accuracy/valid", "valid_accuracy"),
        ("auroc/valid", "valid_auroc"),
        ("learning_rate", "learning_rate"),
        ("fragments_per_second", "fragments_per_second"),
    ] {
        let values = column(history, b',', name);
        for (event, &row) in events.iter().zip(&rows) {
            let scalars = &event.summary.as_ref().unwrap().value;
            let found = scalars.iter().find(|scalar| scalar.tag == tag).and_then(|scalar| scalar.simple_value);
            assert_eq!(found, Some(values[row].parse::<f64>().unwrap() as f32), "{tag}, epoch {}", event.step);
        }
    }
    let epochs = column(history, b',', "epoch");
    assert!(events.iter().zip(&rows).all(|(event, &row)| event.step.to_string() == epochs[row]));
    assert!(events.windows(2).all(|pair| pair[0].wall_time <= pair[1].wall_time), "time goes on");
}

#[test]
fn each_member_has_its_epochs_for_tensorboard() {
    let run = tables().new_path();
    let flags = with_defaults(&["--tensorboard", "--ensemble", "2", "--epochs", "2"]);
    succeed(&[&["train", "--quiet", "--out", text(&run), "--train", &tables().binary], &flags[..]].concat());
    for member in [1, 2] {
        let events = events(&run.join(format!("tensorboard/member-{member}")));
        assert_are(&events, &run.join("history.csv"), Some(member));
    }
    // A run that is replaced leaves none of it behind.
    let flags = with_defaults(&["--epochs", "1", "--force"]);
    succeed(&[&["train", "--quiet", "--out", text(&run), "--train", &tables().binary], &flags[..]].concat());
    assert!(!run.join("tensorboard").exists());
}

#[test]
fn a_resumed_run_has_each_epoch_once() {
    let flags = ["--tensorboard", "--epochs", "400", "--patience", "8", "--batch-size", "16"];
    let (run, ..) = interrupted(&flags, "TERM");
    succeed(&["train", "--quiet", "--resume", text(&run)]);
    assert_are(&events(&run.join("tensorboard")), &run.join("history.csv"), None);
}
