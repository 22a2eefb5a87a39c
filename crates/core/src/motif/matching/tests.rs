//! P-values against every way to draw the columns, and planted words among decoys.

use super::*;
use crate::random::{self, Purpose};
use proptest::prelude::*;
use rand::RngExt;

/// Equally frequent bases.
const EVEN: [f64; 4] = [0.25; 4];

fn motif(id: &str, columns: Vec<[f64; 4]>) -> Motif {
    Motif { id: id.into(), name: String::new(), columns, sites: 0 }
}

/// A word, each letter with most of the probability.
fn word(bases: &str, purity: f64) -> Motif {
    let column = |base| {
        let mut column = [(1.0 - purity) / 3.0; 4];
        column["ACGT".find(base).unwrap()] = purity;
        column
    };
    motif(bases, bases.chars().map(column).collect())
}

fn random_motif(random: &mut random::Generator, width: usize) -> Vec<[f64; 4]> {
    (0..width)
        .map(|_| {
            let weights: [f64; 4] =
                std::array::from_fn(|_| -random.random::<f64>().max(1e-9).ln() * random.random::<f64>());
            let sum: f64 = weights.iter().sum();
            weights.map(|weight| weight / sum)
        })
        .collect()
}

/// The p-value of one target, by trying every column of the database at every place: no distribution is ever made.
/// None where too few columns count.
fn by_brute_force(query: &[[f64; 4]], targets: &[Motif], target: usize) -> Option<f64> {
    let strands = |motif: &Motif| [motif.columns.clone(), motif.reverse_complement().columns];
    let all: Vec<[f64; 4]> = targets.iter().flat_map(|motif| strands(motif).concat()).collect();
    let distance = |a: &[f64; 4], b: &[f64; 4]| (0..4).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt();
    // What a column has less than two bits of entropy: an eighth of two bits must be there for it to count.
    let tells =
        |column: &[f64; 4]| 2.0 + column.iter().map(|&p| if p > 0.0 { p * p.log2() } else { 0.0 }).sum::<f64>() >= 0.25;
    let counted: Vec<[f64; 4]> = query.iter().copied().filter(tells).collect();
    let every: Vec<f64> = counted.iter().flat_map(|a| all.iter().map(|b| distance(a, b)).collect::<Vec<_>>()).collect();
    let most = every.iter().copied().fold(0.0, f64::max);
    let least = every.iter().copied().fold(f64::INFINITY, f64::min);
    let score = |a: &[f64; 4], b: &[f64; 4]| ((most - distance(a, b)) / (most - least) * 100.0).round() as i64;

    let (wide, own) = (query.len() as i64, targets[target].columns.len() as i64);
    let needed = 5.min(counted.len() as i64).min(own);
    let (mut smallest, mut alignments) = (1.0f64, 0);
    for columns in strands(&targets[target]) {
        for offset in -own..=wide {
            let covered: Vec<i64> =
                (0..wide).filter(|i| (0..own).contains(&(i - offset)) && tells(&query[*i as usize])).collect();
            if (covered.len() as i64) < needed {
                continue;
            }
            alignments += 1;
            let sum: i64 = covered.iter().map(|&i| score(&query[i as usize], &columns[(i - offset) as usize])).sum();
            // Each way to put a column of the database under each column of the query that is covered.
            let ways = (all.len() as u64).pow(covered.len() as u32);
            let as_good = (0..ways)
                .filter(|way| {
                    let mut rest = *way;
                    let drawn: i64 = covered
                        .iter()
                        .map(|&i| {
                            let column = rest % all.len() as u64;
                            rest /= all.len() as u64;
                            score(&query[i as usize], &all[column as usize])
                        })
                        .sum();
                    drawn >= sum
                })
                .count();
            smallest = smallest.min(as_good as f64 / ways as f64);
        }
    }
    (alignments > 0).then(|| 1.0 - (1.0 - smallest).powi(alignments))
}

#[test]
fn p_values_are_those_of_every_way_to_draw_the_columns() {
    let mut compared = 0;
    for (seed, query, widths) in [
        (1, 3, &[3, 2, 2][..]),
        (2, 4, &[2, 3, 4]),
        (3, 2, &[5, 3, 6]),
        (4, 5, &[3, 2]),
        (5, 1, &[4, 1]),
        (6, 6, &[2, 2]),
    ] {
        let mut random = random::generator(seed, Purpose::Search, 0, 0);
        let targets: Vec<Motif> = widths
            .iter()
            .enumerate()
            .map(|(i, &width)| motif(&i.to_string(), random_motif(&mut random, width)))
            .collect();
        let mut query = random_motif(&mut random, query);
        if query.len() > 3 {
            query[1] = [0.3, 0.2, 0.2, 0.3];
        }
        let matches = Database::new(&targets).matches(&query, &EVEN);
        for target in 0..targets.len() {
            let found = matches.iter().find(|found| found.target == target);
            let expected = by_brute_force(&query, &targets, target);
            assert_eq!(found.is_some(), expected.is_some(), "seed {seed}");
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            let p = found.log_p.exp();
            compared += 1;
            assert!((p - expected).abs() < 1e-9 * expected.max(1e-3), "seed {seed}: {p} and {expected}");
        }
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn a_motif_finds_itself_on_either_strand_and_where_it_stands() {
    let mut random = random::generator(7, Purpose::Search, 0, 0);
    let targets: Vec<Motif> = (0..30)
        .map(|i| motif(&format!("decoy{i}"), random_motif(&mut random, 8 + i % 7)))
        .chain([word("GATTACAGCTT", 0.9)])
        .collect();
    let database = Database::new(&targets);
    let mut query = random_motif(&mut random, 4);
    query.extend(word("GATTACAGCTT", 0.8).columns);
    query.extend([[0.25; 4]; 3]);
    for reverse in [false, true] {
        let query = if reverse { motif("", query.clone()).reverse_complement().columns } else { query.clone() };
        let best = &database.matches(&query, &EVEN)[0];
        assert_eq!((best.target, best.reverse), (30, reverse));
        assert!(best.overlap == 11, "{best:?}");
        assert_eq!(best.offset, if reverse { 3 } else { 4 });
        assert!(best.log_q.exp() < 1e-4, "{best:?}");
        assert!((best.log_e(31) - best.log_p - 31f64.ln()).abs() < 1e-12);
    }
    // Only its first part: the target runs off the end of the query.
    let best = &database.matches(&word("CCGATTACA", 0.9).columns, &EVEN)[0];
    assert_eq!((best.target, best.offset, best.overlap), (30, 2, 7));
    let best = &database.matches(&word("ACAGCTTCC", 0.9).columns, &EVEN)[0];
    assert_eq!((best.target, best.offset, best.overlap), (30, -4, 7));
}

#[test]
fn what_tells_nothing_matches_nothing() {
    let targets = [word("GATTACA", 1.0), word("CCCTGAG", 1.0)];
    assert!(Database::new(&targets).matches(&[[0.25; 4]; 10], &EVEN).is_empty());
    // A known motif with a stretch that tells nothing is not like everything that has one.
    let mut stretch = word("GATTACA", 0.9).columns;
    stretch.extend([[0.25; 4]; 12]);
    let mut random = random::generator(9, Purpose::Search, 0, 0);
    let targets: Vec<Motif> = (0..40)
        .map(|i| motif(&i.to_string(), random_motif(&mut random, 10)))
        .chain([motif("stretch", stretch)])
        .collect();
    let mut query = vec![[0.26, 0.24, 0.25, 0.25]; 15];
    query.extend(word("CCTGG", 0.8).columns);
    let best = &Database::new(&targets).matches(&query, &EVEN)[0];
    assert!(best.log_q > 0.05f64.ln(), "{best:?}");
    assert!(Database::new(&[]).matches(&word("GATTACA", 1.0).columns, &EVEN).is_empty());
}

#[test]
fn columns_count_by_what_they_say_beyond_the_composition() {
    let rich = [0.1, 0.4, 0.4, 0.1];
    assert!(is_informative(&rich, &EVEN) && !is_informative(&rich, &rich));
    assert!(!is_informative(&EVEN, &EVEN) && is_informative(&EVEN, &rich));
    // In sequences rich in G and C, a stretch that has their composition is like no motif, and a word still is.
    let targets = [word("GCGCGC", 0.9), word("GATTACAG", 0.9)];
    let database = Database::new(&targets);
    assert!(database.matches(&[rich; 8], &rich).is_empty());
    let mut query = vec![rich; 4];
    query.extend(word("GATTACAG", 0.9).columns);
    let best = &database.matches(&query, &rich)[0];
    assert_eq!((best.target, best.offset, best.overlap), (1, 4, 8));
}

/// If queries are put together from columns drawn from the database, as the method supposes, p-values of a target that is
/// one of them are no smaller than chance has it.
#[test]
fn p_values_of_random_queries_are_not_too_small() {
    let mut random = random::generator(8, Purpose::Search, 0, 0);
    let targets: Vec<Motif> = (0..60).map(|i| motif(&i.to_string(), random_motif(&mut random, 10))).collect();
    let database = Database::new(&targets);
    let (mut small, mut all) = (0, 0);
    for _ in 0..40 {
        for found in database.matches(&random_motif(&mut random, 12), &EVEN) {
            small += usize::from(found.log_p.exp() <= 0.05);
            all += 1;
        }
    }
    let share = small as f64 / all as f64;
    assert!(share < 0.06 && share > 0.02, "{share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_strand_of_a_query_does_not_matter(seed in 0u64..1_000_000, width in 1usize..12) {
        let mut random = random::generator(seed, Purpose::Search, 0, 0);
        let targets: Vec<Motif> = (0..4).map(|i| motif(&i.to_string(), random_motif(&mut random, 3 + 2 * i))).collect();
        let query = motif("", random_motif(&mut random, width));
        let database = Database::new(&targets);
        let by_target = |columns: &[[f64; 4]]| {
            let mut matches = database.matches(columns, &EVEN);
            matches.sort_by_key(|found| found.target);
            matches.into_iter().map(|found| found.log_p).collect::<Vec<_>>()
        };
        for (one, other) in by_target(&query.columns).into_iter().zip(by_target(&query.reverse_complement().columns)) {
            prop_assert!((one - other).abs() < 1e-6 * one.abs().max(1.0), "{one} {other}");
            prop_assert!(one <= 0.0);
        }
    }
}
