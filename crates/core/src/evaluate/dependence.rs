//! Which test examples depend on each other, so that intervals allow for it: windows that lie close together on a
//! chromosome, or near copies where there are no coordinates.

use anyhow::Result;

use crate::dataset::duplicates;
use crate::dataset::examples::Examples;
use crate::format::thousands;
use crate::genome::interval::Place;
use crate::metrics::Blocks;
use crate::metrics::blocks::{BlockKind, FEW_BLOCKS};

/// Most examples among which near copies are looked for: they take a few seconds. The intervals of larger sets are narrow
/// in any case.
const MOST_COMPARED: usize = 200_000;

/// The blocks of examples: stretches of `length` bp where any has coordinates, by the middle of each; otherwise clusters
/// of near copies if there are any. An example without coordinates among others is a block of its own. Windows of two
/// genomes at the same place share a block, which takes nothing from the validity of an interval.
///
/// # Errors
/// The examples cannot be read.
pub fn blocks_of(examples: &Examples, length: u64) -> Result<Blocks> {
    let key = |chromosome: &str, start: usize, end: usize| {
        let name = chromosome.strip_prefix("chr").unwrap_or(chromosome).to_owned();
        (name, ((start + end) / 2) as u64 / length.max(1))
    };
    let places = || examples.origins.iter().map(|origin| origin.place.as_ref());
    if places().any(|place| place.is_some()) {
        let keys = places().map(|place| place.map(|p| key(&p.chromosome, p.range.start, p.range.end)));
        return Ok(Blocks::of_keys(keys, BlockKind::Coordinates { length }));
    }
    let n = examples.len();
    if n == 0 || n > MOST_COMPARED {
        return Ok(Blocks::each(n));
    }
    let codes = examples.all_codes()?;
    Ok(blocks_of_near_copies(&codes.chunks(examples.length).collect::<Vec<_>>()))
}

/// The chromosomes of examples, which vary more from one to another than stretches of them do; `None` where one has no coordinates.
pub fn chromosomes_of(examples: &Examples) -> Option<Blocks> {
    let of = |place: &Place| place.chromosome.strip_prefix("chr").unwrap_or(&place.chromosome).to_owned();
    let names: Option<Vec<String>> = examples.origins.iter().map(|origin| origin.place.as_ref().map(of)).collect();
    Some(Blocks::of_keys(names?.into_iter().map(Some), BlockKind::Chromosomes))
}

/// Clusters of sequences that are near copies; each sequence is its own block where there are none.
pub fn blocks_of_near_copies(sequences: &[&[u8]]) -> Blocks {
    let blocks = Blocks::of_keys(duplicates::clusters(sequences).into_iter().map(Some), BlockKind::NearCopies);
    if blocks.count() < sequences.len() { blocks } else { Blocks::each(sequences.len()) }
}

/// A warning of too few blocks for good intervals of the test.
pub fn few_blocks(blocks: &Blocks) -> Option<String> {
    let summary = blocks.summary().filter(|summary| summary.count < FEW_BLOCKS)?;
    Some(format!(
        "the {} test examples lie in {}, fewer than {FEW_BLOCKS}, so intervals are rough; test on more sequence",
        thousands(blocks.examples()),
        summary.describe()
    ))
}

/// The blocks of rows of `predictions.csv`, by their chromosome, start and end; `None` if none has coordinates.
pub fn blocks_of_rows<'a>(rows: impl Iterator<Item = &'a [String; 4]> + Clone, length: u64) -> Option<Blocks> {
    let key = |[chromosome, start, end, _]: &[String; 4]| {
        let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
        let name = chromosome.strip_prefix("chr").unwrap_or(chromosome).to_owned();
        Some((name, (start + end) / 2 / length.max(1)))
    };
    let keys = rows.map(key);
    let has_places = keys.clone().any(|key| key.is_some());
    has_places.then(|| Blocks::of_keys(keys, BlockKind::Coordinates { length }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dataset::examples::Name;
    use crate::random::{Purpose, generator};
    use rand::RngExt;

    /// Sequences of 60 bp at places, or without.
    fn examples(places: &[Option<(&str, usize)>], codes: &[u8]) -> Examples {
        let mut examples = Examples::from_codes(codes, 60, &vec![0.0; places.len()]);
        for (origin, place) in examples.origins.iter_mut().zip(places) {
            origin.name = Name::Line(1);
            origin.place = place.map(|(chromosome, start)| Place {
                chromosome: Arc::from(chromosome),
                range: start..start + 60,
                reverse: false,
            });
        }
        examples
    }

    fn random_codes(n: usize) -> Vec<u8> {
        let mut random = generator(1, Purpose::Simulate, 0, 0);
        (0..n * 60).map(|_| random.random_range(0..4)).collect()
    }

    #[test]
    fn windows_of_a_stretch_are_one_block_whatever_the_chromosome_is_called() {
        let places =
            [Some(("chr1", 0)), Some(("1", 400)), Some(("chr1", 960)), Some(("chr1", 971)), Some(("2", 0)), None, None];
        let blocks = blocks_of(&examples(&places, &random_codes(7)), 1000).unwrap();
        let of: Vec<usize> = (0..7).map(|i| blocks.of(i)).collect();
        assert_eq!(of, [0, 0, 0, 1, 2, 3, 4], "by the middle of a window; each without a place is alone");
        assert_eq!(blocks.summary().unwrap().describe(), "5 blocks of 1 kb");
        let rows: Vec<[String; 4]> = places
            .iter()
            .map(|place| match place {
                Some((chromosome, start)) => {
                    [chromosome.to_string(), start.to_string(), (start + 60).to_string(), "+".into()]
                }
                None => Default::default(),
            })
            .collect();
        let again = blocks_of_rows(rows.iter(), 1000).unwrap();
        assert_eq!((0..7).map(|i| again.of(i)).collect::<Vec<_>>(), of, "as read from the table of predictions");
        assert_eq!(blocks_of_rows(rows[5..].iter(), 1000), None);
        assert_eq!(chromosomes_of(&examples(&places, &random_codes(7))), None);
        let chromosomes = chromosomes_of(&examples(&places[..5], &random_codes(5))).unwrap();
        assert_eq!((0..5).map(|i| chromosomes.of(i)).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn without_places_near_copies_are_one_block_and_otherwise_each_example_is() {
        let mut codes = random_codes(5);
        assert!(blocks_of(&examples(&[None; 5], &codes), 1000).unwrap().are_examples());
        codes.copy_within(0..60, 120); // the first again
        let mut reverse = codes[60..120].to_vec();
        crate::sequence::alphabet::reverse_complement(&mut reverse);
        reverse[30] = (reverse[30] + 1) % 4; // the second on the other strand, but for one base
        codes[180..240].copy_from_slice(&reverse);
        let blocks = blocks_of(&examples(&[None; 5], &codes), 1000).unwrap();
        assert_eq!((0..5).map(|i| blocks.of(i)).collect::<Vec<_>>(), [0, 1, 0, 1, 2]);
        assert_eq!(blocks.kind(), BlockKind::NearCopies);
    }
}
