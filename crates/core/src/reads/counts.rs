//! Counts of places in a genome, gathered in any order and handed on sorted: by group, chromosome and kind. Places wait in memory up to
//! a limit and in sorted temporary files beyond it, which are merged in the end, so memory is bounded whatever the number of reads.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow, bail};

use crate::genome::Chromosome;

/// Kinds of places: first bases of reads on either strand or, of coverage, where reads of either strand begin and end.
pub const KINDS: usize = 4;

/// Places that are sorted at once; 32 MiB.
const AT_ONCE: usize = if cfg!(test) { 64 } else { 1 << 22 };

/// Bytes of a sorted place with its count.
const BYTES: usize = 12;

/// Where in the numbering of all places each chromosome begins.
#[derive(Clone, Debug)]
pub struct Layout {
    /// `[chromosomes + 1]`, for one kind.
    offsets: Vec<u64>,
    lengths: Vec<usize>,
}

impl Layout {
    /// Numbers the places of these chromosomes; the end of a chromosome is one.
    ///
    /// # Errors
    /// There are too many places.
    pub fn new(chromosomes: &[Chromosome]) -> Result<Self> {
        let mut offsets = vec![0u64];
        for chromosome in chromosomes {
            let next = offsets[offsets.len() - 1].checked_add(KINDS as u64 * (chromosome.length as u64 + 1));
            let Some(next) = next.filter(|next| *next < 1 << 44) else {
                bail!("{}: the genome has more bases up to this chromosome than can be counted", chromosome.name)
            };
            offsets.push(next);
        }
        Ok(Self { offsets, lengths: chromosomes.iter().map(|chromosome| chromosome.length).collect() })
    }

    /// All places of a group.
    fn span(&self) -> u64 {
        self.offsets[self.offsets.len() - 1]
    }

    /// The number of a place.
    #[inline]
    pub fn key(&self, group: usize, chromosome: usize, kind: usize, position: usize) -> u64 {
        let length = self.lengths[chromosome] as u64 + 1;
        group as u64 * self.span() + self.offsets[chromosome] + kind as u64 * length + position as u64
    }
}

/// Places, sorted, with how often each was counted.
struct Sorted {
    places: Vec<u64>,
    counts: Vec<u32>,
}

impl Sorted {
    fn new(mut places: Vec<u64>) -> Self {
        places.sort_unstable();
        let mut counts = Vec::with_capacity(places.len());
        let mut next = 0;
        while let Some(&place) = places.get(next) {
            let same = places[next..].iter().take_while(|other| **other == place).count();
            places[counts.len()] = place;
            counts.push(same as u32);
            next += same;
        }
        places.truncate(counts.len());
        if places.capacity() > 2 * places.len() {
            places.shrink_to_fit();
        }
        counts.shrink_to_fit();
        Self { places, counts }
    }

    fn bytes(&self) -> usize {
        size_of::<u64>() * self.places.capacity() + size_of::<u32>() * self.counts.capacity()
    }
}

/// Where sorted places wait.
enum Run {
    Memory(Sorted),
    Disk(BufReader<File>),
}

/// What is gathered.
pub struct Counts {
    layout: Layout,
    waiting: Vec<u64>,
    /// Places of a file that a thread of its own sorts while others are gathered.
    sorting: Option<(usize, JoinHandle<Sorted>)>,
    /// Sorted runs, each with the file that its places are of.
    runs: Vec<(usize, Run)>,
    held: usize,
    /// Bytes of runs that are held in memory.
    memory: usize,
}

impl Counts {
    /// Nothing counted yet; up to `memory` bytes are held in memory.
    pub fn new(layout: Layout, memory: u64) -> Self {
        let memory = usize::try_from(memory).unwrap_or(usize::MAX);
        Self { layout, waiting: Vec::new(), sorting: None, runs: Vec::new(), held: 0, memory }
    }

    /// How places are numbered.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Counts a place of a file.
    ///
    /// # Errors
    /// There is no room for temporary files.
    #[inline]
    pub fn push(&mut self, file: usize, key: u64) -> Result<()> {
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(AT_ONCE);
        }
        self.waiting.push(key);
        if self.waiting.len() >= AT_ONCE { self.end_of_run(file) } else { Ok(()) }
    }

    /// Has what waits sorted; to be called at the end of each file.
    ///
    /// # Errors
    /// As [`Counts::push`].
    pub fn end_of_run(&mut self, file: usize) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.keep_sorted()?;
        let places = std::mem::take(&mut self.waiting);
        self.sorting = Some((file, thread::spawn(|| Sorted::new(places))));
        Ok(())
    }

    /// Keeps what was sorted last, in memory while there is room.
    fn keep_sorted(&mut self) -> Result<()> {
        let Some((file, sorting)) = self.sorting.take() else { return Ok(()) };
        let sorted = sorting.join().map_err(|_| anyhow!("a thread that sorts counts has ended"))?;
        if self.held + sorted.bytes() <= self.memory {
            self.held += sorted.bytes();
            self.runs.push((file, Run::Memory(sorted)));
        } else {
            self.runs.push((file, Run::Disk(written(&sorted).map_err(|error| no_room(&error))?)));
        }
        Ok(())
    }

    /// Hands on all places in order, group after group: `each(group, chromosome, kind, position, count)`. Those of a file and kind are
    /// moved by `shift(file, kind)` first, and those that this moves off their chromosome are handed to `lost(file, kind, count)`.
    ///
    /// # Errors
    /// A temporary file cannot be read again, or `each` fails.
    pub fn drain(
        mut self,
        shift: impl Fn(usize, usize) -> i64,
        mut lost: impl FnMut(usize, usize, u32),
        mut each: impl FnMut(usize, usize, usize, usize, u32) -> Result<()>,
    ) -> Result<()> {
        self.keep_sorted()?;
        let runs = std::mem::take(&mut self.runs);
        let mut cursors: Vec<Cursor> = runs.into_iter().map(|(file, run)| Cursor { file, run, next: 0 }).collect();
        let mut heap = BinaryHeap::new();
        let mut sections = Sections { layout: &self.layout, current: Section::default() };
        let advance = |index: usize,
                       cursors: &mut Vec<Cursor>,
                       sections: &mut Sections,
                       lost: &mut dyn FnMut(usize, usize, u32)| {
            let cursor = &mut cursors[index];
            while let Some((key, count)) = cursor.step()? {
                let section = sections.of(key);
                let moved = (key - section.first) as i64 + shift(cursor.file, section.kind);
                // Of coverage, which is not shifted, the end of a chromosome is a place too.
                let most = section.length as i64 - i64::from(section.kind < 2);
                if (0..=most).contains(&moved) {
                    return Ok(Some((section.first + moved as u64, count)));
                }
                lost(cursor.file, section.kind, count);
            }
            anyhow::Ok(None)
        };
        for index in 0..cursors.len() {
            if let Some((key, count)) = advance(index, &mut cursors, &mut sections, &mut lost)? {
                heap.push(Reverse((key, index, count)));
            }
        }
        let mut place: Option<(u64, u32)> = None;
        let mut hand_on = |(key, count): (u64, u32), sections: &mut Sections| {
            let Section { group, chromosome, kind, first, .. } = sections.of(key);
            each(group, chromosome, kind, (key - first) as usize, count)
        };
        let mut placed = Sections { layout: &self.layout, current: Section::default() };
        while let Some(mut next) = heap.peek_mut() {
            let Reverse((key, index, count)) = *next;
            match &mut place {
                Some((same, sum)) if *same == key => *sum = sum.saturating_add(count),
                _ => {
                    if let Some(done) = place.replace((key, count)) {
                        hand_on(done, &mut placed)?;
                    }
                }
            }
            match advance(index, &mut cursors, &mut sections, &mut lost)? {
                Some((key, count)) => *next = Reverse((key, index, count)),
                None => drop(PeekMut::pop(next)),
            }
        }
        if let Some(done) = place {
            hand_on(done, &mut placed)?;
        }
        Ok(())
    }
}

/// A sorted run that is being read.
struct Cursor {
    file: usize,
    run: Run,
    next: usize,
}

impl Cursor {
    fn step(&mut self) -> Result<Option<(u64, u32)>> {
        match &mut self.run {
            Run::Memory(Sorted { places, counts }) => {
                let found = places.get(self.next).map(|place| (*place, counts[self.next]));
                self.next += 1;
                Ok(found)
            }
            Run::Disk(file) => {
                let mut bytes = [0; BYTES];
                match file.read_exact(&mut bytes) {
                    Ok(()) => {
                        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
                        Ok(Some((u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes([i, j, k, l]))))
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(no_room(&error)),
                }
            }
        }
    }
}

/// A chromosome and kind of a group.
#[derive(Clone, Copy, Default)]
struct Section {
    group: usize,
    chromosome: usize,
    kind: usize,
    length: usize,
    /// The number of its first place, and that behind its last.
    first: u64,
    end: u64,
}

/// Finds the section of a place; most places are of the same one as that before.
struct Sections<'a> {
    layout: &'a Layout,
    current: Section,
}

impl Sections<'_> {
    fn of(&mut self, key: u64) -> Section {
        if !(self.current.first..self.current.end).contains(&key) {
            let Layout { offsets, lengths } = self.layout;
            let (group, within) = (key / self.layout.span(), key % self.layout.span());
            let chromosome = offsets.partition_point(|&offset| offset <= within) - 1;
            let length = lengths[chromosome];
            let kind = (within - offsets[chromosome]) / (length as u64 + 1);
            let first = group * self.layout.span() + offsets[chromosome] + kind * (length as u64 + 1);
            self.current = Section {
                group: group as usize,
                chromosome,
                kind: kind as usize,
                length,
                first,
                end: first + length as u64 + 1,
            };
        }
        self.current
    }
}

fn written(sorted: &Sorted) -> std::io::Result<BufReader<File>> {
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for (key, count) in sorted.places.iter().zip(&sorted.counts) {
        file.write_all(&key.to_le_bytes())?;
        file.write_all(&count.to_le_bytes())?;
    }
    let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(BufReader::new(file))
}

fn no_room(error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "counts cannot be kept in a temporary file ({error}); set TMPDIR to a folder with room for it, or raise --memory"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn places_come_back_sorted_and_shifted_whatever_the_memory(
            places in prop::collection::vec((0usize..2, 0usize..3, 0usize..2, 0usize..4, 0usize..20), 0..400),
            memory in prop::sample::select(vec![0u64, 500, 1 << 20]),
            shifts in prop::array::uniform2(-5i64..=5),
        ) {
            let chromosomes = [20, 35].map(|length| Chromosome { name: length.to_string(), length });
            let mut counts = Counts::new(Layout::new(&chromosomes).unwrap(), memory);
            let shift = |file: usize, kind: usize| if kind < 2 { shifts[file] } else { 0 };
            let (mut expected, mut off) = (BTreeMap::new(), 0);
            for file in 0..2 {
                for &(_, group, chromosome, kind, position) in places.iter().filter(|place| place.0 == file) {
                    counts.push(file, counts.layout().key(group, chromosome, kind, position)).unwrap();
                    let moved = position as i64 + shift(file, kind);
                    if (0..chromosomes[chromosome].length as i64 + i64::from(kind >= 2)).contains(&moved) {
                        *expected.entry((group, chromosome, kind, moved as usize)).or_insert(0) += 1;
                    } else {
                        off += 1;
                    }
                }
                counts.end_of_run(file).unwrap();
            }
            let (mut found, mut lost) = (Vec::new(), 0);
            let each = |group, chromosome, kind, position, count| {
                found.push(((group, chromosome, kind, position), count));
                Ok(())
            };
            counts.drain(shift, |_, _, count| lost += count, each).unwrap();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(lost, off);
        }
    }
}
