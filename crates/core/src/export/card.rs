//! What goes into an exported model and what comes out, the same for every format.

use serde::{Deserialize, Serialize};

use crate::classes::Classes;
use crate::config::{Config, Strands, TaskKind};
use crate::network::tensor_file;
use crate::sequence::alphabet::ALPHABET;
use crate::sequence::bins::Bins;
use crate::task::calibration::Calibration;
use crate::task::{ProfileTask, Task};

/// What goes into an exported model and what comes out: `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Of the run folder.
    pub format_version: u32,
    /// Length of a sequence in bp; the input is one-hot f32 `[N, 4, length]`.
    pub length: usize,
    /// Order of the four input rows.
    pub alphabet: String,
    /// The kind of task.
    pub task: TaskKind,
    /// Classes, labels or columns, in the order of the output's columns.
    pub classes: Vec<String>,
    /// Of two classes, the one whose probability comes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// Scores from here up are called positive: chosen on validation, for two classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How the two strands enter: `single` scores the strand as given; `average`, `shared` and `equivariant` score both, in
    /// the model itself.
    pub strands: Strands,
    /// Networks in it, whose logits are averaged.
    pub members: usize,
    /// How probabilities were calibrated: scales and biases of the logits, which the model applies itself.
    pub calibration: Calibration,
    /// Share of the positive class, of each class or of each label that the probabilities are made for, one for each
    /// output; empty where there are no probabilities, or for runs of earlier versions.
    #[serde(default)]
    pub prior: Vec<f64>,
    /// Bins along the middle of a sequence, for each of which a value comes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<Bins>,
    /// The tracks of a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileCard>,
    /// What comes out: `[N]` for two classes, `[N, classes, bins]` for bins, else `[N, classes]`.
    pub output: String,
    /// Checksum of the model file.
    pub sha256: String,
}

/// What a model of profiles gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileCard {
    /// Names of the groups, each with its log counts.
    pub groups: Vec<String>,
    /// Names of the tracks; of a group of two, plus before minus.
    pub tracks: Vec<String>,
    /// Tracks of each group: 1, or 2 where there is one for each strand.
    pub tracks_of_groups: Vec<usize>,
    /// Length of the profile along the middle of a sequence, in bp.
    pub output_length: usize,
    /// The control, where the run had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlCard>,
}

/// A second input of a model, f32 `[N, tracks, length]`; without it there are no counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlCard {
    /// 1, or 2 for plus and minus.
    pub tracks: usize,
    /// Bases around the middle of the sequence.
    pub length: usize,
}

impl ModelCard {
    /// Of the networks that a configuration describes; the checksum is that of the file, which is not written yet.
    pub fn new(config: &Config, task: &Task, classes: &Classes, length: usize, threshold: Option<f64>) -> Self {
        let strands = config.training.strands;
        let is_binary = task.kind == TaskKind::Binary;
        Self {
            format_version: tensor_file::FORMAT_VERSION,
            length,
            alphabet: ALPHABET.into(),
            task: task.kind,
            classes: classes.names.clone(),
            positive: is_binary.then(|| classes.positive_name().into()),
            threshold,
            strands: if strands == Strands::Augment { Strands::Single } else { strands },
            members: config.training.ensemble,
            calibration: Calibration { prior: Vec::new(), ..task.calibration.clone() },
            prior: task.calibration.prior.clone(),
            bins: task.bins,
            profile: task.profile.as_ref().map(|ProfileTask { shape, .. }| ProfileCard {
                groups: classes.names.clone(),
                tracks: shape.track_names(&classes.names),
                tracks_of_groups: shape.tracks.clone(),
                output_length: shape.length,
                control: (shape.control > 0)
                    .then(|| ControlCard { tracks: shape.control, length: shape.control_length() }),
            }),
            output: match task.kind {
                TaskKind::Binary => format!("[N], the probability of {}", classes.positive_name()),
                TaskKind::Multiclass => "[N, classes], the probability of each class; they add up to 1".into(),
                TaskKind::Multilabel => "[N, classes], the probability of each label".into(),
                TaskKind::Profile => "(profile logits [N, tracks, length], log counts [N, groups]); the softmax over the tracks and positions of a group is its profile, and its counts are exp(log counts) - 1".into(),
                TaskKind::Regression => match task.bins {
                    Some(Bins { count, bp }) => {
                        format!("[N, classes, {count}], the value of each column in bins of {bp} bp")
                    }
                    None => "[N, classes], the value of each column".into(),
                },
            },
            sha256: String::new(),
        }
    }
}
