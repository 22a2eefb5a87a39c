//! Profiles: signal base by base along the middle of a sequence, in groups of one track or of one for each strand.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Width of the convolution that gives a profile, in bp.
pub const HEAD_WIDTH: usize = 75;

/// The tracks of a profile and their length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileShape {
    /// Tracks of each group: 1, or 2 for the plus and the minus strand.
    pub tracks: Vec<usize>,
    /// Length of the profile along the middle of a sequence, in bp.
    pub length: usize,
    /// Tracks of the control: none, 1, or 2 for the plus and the minus strand.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub control: usize,
    /// Which counts of a control tell the log counts.
    #[serde(default, skip_serializing_if = "ControlCounts::is_default")]
    pub control_counts: ControlCounts,
}

/// Which counts of a control tell the log counts, through their logarithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlCounts {
    /// 1 + those that the convolution of the profile reads, as in bpnet-lite
    #[default]
    Read,
    /// 1 + half of those along the profile: basepairmodels adds 2 to all of them, which is the same but for a constant
    Profile,
}

impl ControlCounts {
    /// What the counts are divided by before 1 is added.
    pub fn unit(self) -> f32 {
        match self {
            Self::Read => 1.0,
            Self::Profile => 2.0,
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// A track among those of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileTrack {
    /// Its group.
    pub group: usize,
    /// Which of the tracks of the group it is: 1 is the minus strand.
    pub strand: usize,
    /// How many tracks the group has.
    pub strands: usize,
}

impl ProfileShape {
    /// The track at a place among all.
    pub fn track(&self, place: usize) -> ProfileTrack {
        let mut before = 0;
        for (group, &strands) in self.tracks.iter().enumerate() {
            if place < before + strands {
                return ProfileTrack { group, strand: place - before, strands };
            }
            before += strands;
        }
        ProfileTrack { group: 0, strand: 0, strands: 1 }
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.tracks.len()
    }

    /// Number of tracks of all groups.
    pub fn all_tracks(&self) -> usize {
        self.tracks.iter().sum()
    }

    /// Numbers of a profile, `[tracks, length]`.
    pub fn values(&self) -> usize {
        self.all_tracks() * self.length
    }

    /// Numbers that a network gives for a sequence: logits of the profile, `[tracks, length]`, and behind them the log counts of each group.
    pub fn outputs(&self) -> usize {
        self.values() + self.groups()
    }

    /// Length of a control track: what the convolution of the profile reads, in bp.
    pub fn control_length(&self) -> usize {
        self.length + HEAD_WIDTH - 1
    }

    /// Which positions of a control track tell the log counts.
    pub fn control_counted(&self) -> Range<usize> {
        match self.control_counts {
            ControlCounts::Read => 0..self.control_length(),
            ControlCounts::Profile => HEAD_WIDTH / 2..HEAD_WIDTH / 2 + self.length,
        }
    }

    /// Numbers of a control, `[control, control_length]`.
    pub fn control_values(&self) -> usize {
        self.control * self.control_length()
    }

    /// Parameters of a control's part in a network: those of a convolution, and a weight for the log counts of each group.
    pub fn control_parameters(&self) -> usize {
        if self.control == 0 { 0 } else { self.all_tracks() * self.control * HEAD_WIDTH + self.groups() }
    }

    /// Numbers of what is learned of a sequence: its counts, `[tracks, length]`, those of the control, and whether it is a peak.
    pub fn row(&self) -> usize {
        self.values() + self.control_values() + 1
    }

    /// Where the values of each group are in a profile `[tracks, length]`. Read backwards they are those of the other strand: the
    /// strands of a group change places, and each runs the other way.
    pub fn of_groups(&self) -> impl Iterator<Item = Range<usize>> + Clone + '_ {
        let mut start = 0;
        self.tracks.iter().map(move |tracks| {
            let range = start..start + tracks * self.length;
            start = range.end;
            range
        })
    }

    /// Lengths of the stretches that are reversed for the other strand: those of the groups.
    pub fn stretches(&self) -> Vec<usize> {
        self.of_groups().map(|range| range.len()).collect()
    }

    /// The same of what is learned of a sequence: behind the groups the control.
    pub fn stretches_of_row(&self) -> Vec<usize> {
        let control = (self.control > 0).then(|| self.control_values());
        self.of_groups().map(|range| range.len()).chain(control).collect()
    }

    /// Names of the tracks: that of the group, with the strand behind it where there are two.
    pub fn track_names(&self, groups: &[String]) -> Vec<String> {
        let of_group = |(name, &tracks): (&String, &usize)| match tracks {
            1 => vec![name.clone()],
            _ => vec![format!("{name}_plus"), format!("{name}_minus")],
        };
        groups.iter().zip(&self.tracks).flat_map(of_group).collect()
    }
}

/// Reverses each of the stretches that lie one after another at the beginning of `row`; the rest stays.
pub fn reverse_stretches(row: &mut [f32], stretches: &[usize]) {
    let mut rest = row;
    for &length in stretches {
        let (stretch, others) = rest.split_at_mut(length);
        stretch.reverse();
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_strand_of_a_pair_of_tracks_is_read_backwards() {
        let shape = ProfileShape { tracks: vec![1, 2], length: 3, control: 0, ..ProfileShape::default() };
        assert_eq!((shape.groups(), shape.all_tracks(), shape.values(), shape.outputs()), (2, 3, 9, 11));
        assert_eq!(shape.of_groups().collect::<Vec<_>>(), [0..3, 3..9]);
        assert_eq!(shape.track_names(&["a".into(), "b".into()]), ["a", "b_plus", "b_minus"]);
        let mut row = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 7.0];
        reverse_stretches(&mut row, &shape.stretches());
        assert_eq!(row, [3.0, 2.0, 1.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 7.0]);
        let with_control = ProfileShape { control: 2, ..shape.clone() };
        assert_eq!((shape.row(), with_control.row()), (10, 10 + 2 * 77));
        assert_eq!((shape.stretches_of_row(), with_control.stretches_of_row()), (vec![3, 6], vec![3, 6, 154]));
        assert_eq!(with_control.outputs(), shape.outputs());
    }
}
