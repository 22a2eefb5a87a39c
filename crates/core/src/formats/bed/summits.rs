//! Whether column 10 of a region file holds summits, as in narrowPeak: decided by what the whole file holds.

use crate::config::Center;
use crate::format::{counted, thousands};
use crate::formats::bed::Region;
use crate::formats::bed::line::{Line, whole_number};

/// Words for a missing value.
const MISSING: [&str; 9] = ["", ".", "NA", "N/A", "nan", "NaN", "None", "null", "*"];

/// Share of lines, one in so many, that may hold something else than a number where summits are expected.
const ONE_IN_UNREADABLE: usize = 10;

/// Share of lines, one in so many, that may hold a number beyond the region: in a column of counts there are more.
const ONE_IN_BEYOND: usize = 50;

/// How far from one half the mean place of summits may lie in long files, as a share of the region. Called peaks have it
/// within a few percent; counts lie near 0.
const FARTHEST_MEAN: f64 = 0.35;

/// What windows around the regions of a file are centred on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Centring {
    /// Regions in the file.
    pub regions: usize,
    /// Regions with a summit; none where all are centred on the middle.
    pub on_summits: usize,
    /// Why the middle was chosen, or which summits cannot be read.
    note: Option<String>,
}

impl Centring {
    /// The summit found in a region's line, if windows are to be centred on it.
    pub(super) fn summit_of(&self, region: &Region) -> Option<usize> {
        region.summit.filter(|_| self.on_summits > 0)
    }

    /// As a part of a message: `centred on summits, column 10, of 420 regions`.
    pub fn describe(&self) -> String {
        let Self { regions, on_summits, note } = self;
        let all = counted(*regions as u64, "region");
        let note = note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
        match regions - on_summits {
            0 => format!("centred on summits, column 10, of {all}"),
            _ if *on_summits == 0 => format!("centred on the middle of {all}{note}"),
            others => {
                let (some, others) = (thousands(*on_summits), thousands(others));
                format!("centred on summits, column 10, of {some} of {all} and on the middle of {others}{note}")
            }
        }
    }
}

/// What speaks for and against summits in column 10, gathered line by line.
#[derive(Default)]
pub(super) struct Evidence {
    /// Lines with a tenth column.
    lines: usize,
    /// Lines whose offset lies inside the region, and the total of its place in the region, 0 to 1.
    inside: usize,
    places: f64,
    /// Lines whose column 10 says that no summit is known.
    unknown: usize,
    /// Lines whose column 10 is no offset of any region, and the first of them.
    unreadable: Count,
    /// Lines whose column 10 is an offset beyond the region.
    beyond: Count,
    /// Lines with something else than numbers in columns 7 to 9.
    words: usize,
    /// Lines with positions of the region in columns 7 and 8, where BED has what is drawn thick.
    thick: usize,
}

/// A number of lines, and the first of them.
#[derive(Default)]
struct Count {
    lines: usize,
    first: u64,
}

impl Count {
    fn add(&mut self, line: u64) {
        if self.lines == 0 {
            self.first = line;
        }
        self.lines += 1;
    }
}

impl Evidence {
    /// Adds a line and returns the position that it may name as the summit of its region.
    pub fn add(&mut self, line: &Line, region: &Region) -> Option<usize> {
        if line.column(10).is_empty() {
            return None;
        }
        self.lines += 1;
        self.words += usize::from(![7, 8, 9].into_iter().all(|number| is_statistic(line.text(number), number)));
        self.thick += usize::from(is_drawn_thick(line, region));
        let text = line.text(10);
        if MISSING.contains(&text) || text.parse::<f64>() == Ok(-1.0) {
            self.unknown += 1;
            return None;
        }
        let length = region.end - region.start;
        match whole_number(text) {
            Some(offset) if offset < length => {
                self.inside += 1;
                self.places += (offset as f64 + 0.5) / length as f64;
                Some(region.start + offset)
            }
            Some(_) => {
                self.beyond.add(region.line);
                None
            }
            None => {
                self.unreadable.add(region.line);
                None
            }
        }
    }

    /// What to centre `regions` regions on.
    ///
    /// # Errors
    /// `center` asks for summits, and no line has one.
    pub fn decide(&self, center: Option<Center>, regions: usize) -> Result<Centring, String> {
        let middle = |note: Option<String>| Ok(Centring { regions, on_summits: 0, note });
        match center {
            Some(Center::Middle) => middle(None),
            Some(Center::Summit) if self.inside == 0 => Err(format!(
                "holds no summit in {}, expected its offset from the start of the region in column 10, as in narrowPeak; use --center middle",
                counted(regions as u64, "region")
            )),
            Some(Center::Summit) => Ok(self.on_summits(regions)),
            None => match self.against() {
                Some(reason) => middle(Some(reason)),
                None if self.inside == 0 => middle(None),
                None => Ok(self.on_summits(regions)),
            },
        }
    }

    fn on_summits(&self, regions: usize) -> Centring {
        let misfits = self.unreadable.lines + self.beyond.lines;
        let first =
            [&self.unreadable, &self.beyond].into_iter().filter(|count| count.lines > 0).map(|count| count.first).min();
        let note = first.map(|first| {
            let lines = counted(misfits as u64, "line");
            format!("column 10 is no offset inside the region in {lines}, first in line {first}")
        });
        Centring { regions, on_summits: self.inside, note }
    }

    /// Why column 10 does not hold summits, if something says so.
    fn against(&self) -> Option<String> {
        let (lines, read) = (self.lines, self.inside + self.unreadable.lines + self.beyond.lines);
        if lines == 0 || read == 0 {
            return None;
        }
        if self.words * ONE_IN_UNREADABLE > lines {
            return Some("columns 7 to 9 are not those of narrowPeak, so column 10 is no summit".into());
        }
        if (lines - self.thick) * ONE_IN_UNREADABLE <= lines {
            return Some("columns 7 and 8 are positions, as in BED, so column 10 is no summit".into());
        }
        let few = usize::from(read >= ONE_IN_UNREADABLE);
        let misfits = self.unreadable.lines + self.beyond.lines;
        if self.unreadable.lines * ONE_IN_UNREADABLE > read || self.beyond.lines > few.max(read / ONE_IN_BEYOND) {
            return Some(format!(
                "column 10 is no offset inside the region in {} of {} lines",
                thousands(misfits),
                thousands(lines)
            ));
        }
        // Beyond what the mean of evenly spread places comes to by chance: their deviation is 0.29.
        let farthest = FARTHEST_MEAN.max(2.5 * 0.29 / (self.inside as f64).sqrt());
        let mean = self.places / self.inside.max(1) as f64;
        ((mean - 0.5).abs() > farthest).then(|| {
            format!(
                "column 10 lies at {:.0} % of the region on average, where counts lie and summits do not; if they are, use --center summit",
                100.0 * mean
            )
        })
    }
}

/// Whether columns 7 to 9 are those of BED: positions of the region, and a colour.
fn is_drawn_thick(line: &Line, region: &Region) -> bool {
    let colour = line.text(9);
    let of_region = region.start..=region.end;
    let thick = [7, 8].map(|number| whole_number(line.text(number)).filter(|place| of_region.contains(place)));
    matches!(thick, [Some(from), Some(to)] if from <= to) && (["", ".", "0"].contains(&colour) || colour.contains(','))
}

/// Whether a column may be narrowPeak's signal (7), or its p- or q-value as -log10, of which -1 is unknown (8 and 9).
fn is_statistic(text: &str, number: usize) -> bool {
    if MISSING.contains(&text) {
        return true;
    }
    text.parse::<f64>().is_ok_and(|value| number == 7 || value >= -1.0)
}
