//! Planted words come back: each once, whole, on one strand; and chance does not.

use super::*;
use crate::genome::simulate;
use crate::sequence::alphabet;
use proptest::prelude::*;
use rand::RngExt;

/// How words are planted.
#[derive(Clone, Copy)]
struct Planting {
    /// Sequences, and their length in bp.
    n: usize,
    length: usize,
    /// Words in each sequence, on either strand and anywhere, so that they may overlap.
    each: usize,
    /// Share of bases that are replaced.
    replaced: f64,
    /// Scatter of importances, of which that of a base in a word is 1.
    noise: f32,
    /// Whether only the middle of a word is important, as a network may see it.
    middle: bool,
}

const PLANTING: Planting = Planting { n: 600, length: 100, each: 1, replaced: 0.03, noise: 0.25, middle: false };

fn encoded(word: &str) -> Vec<u8> {
    let mut codes = Vec::new();
    alphabet::encode(word.as_bytes(), &mut codes).unwrap();
    codes
}

fn reverse_complement(word: &str) -> String {
    let mut codes = encoded(word);
    alphabet::reverse_complement(&mut codes);
    alphabet::decode(&codes)
}

/// Sequences that hold words by turns, with the importance of each base.
fn planted(words: &[&str], how: Planting, both_strands: bool, seed: u64) -> Sequences {
    let Planting { n, length, each, replaced, noise, middle } = how;
    let mut random = random::generator(seed, Purpose::Simulate, 1, 2);
    let mut codes: Vec<u8> = (0..n * length).map(|_| random.random_range(0..4u8)).collect();
    let mut around = |middle: f32| {
        let scatter: f32 = (0..4).map(|_| random.random_range(-1.0..1.0f32)).sum::<f32>() * 0.87;
        middle + noise * scatter
    };
    let mut importance: Vec<f32> = (0..n * length).map(|_| around(0.0)).collect();
    let planted: Vec<f32> = (0..n * length).map(|_| around(1.0)).collect();
    for i in 0..n * each {
        let word = encoded(words[i % words.len()]);
        let start = i % n * length + random.random_range(0..=length - word.len());
        let reverse = both_strands && random.random::<bool>();
        for (at, &base) in word.iter().enumerate() {
            let place = start + if reverse { word.len() - 1 - at } else { at };
            let as_read = random.random::<f64>() >= replaced;
            let base = if as_read { base } else { (base + 1) % 4 };
            codes[place] = if reverse { 3 - base } else { base };
            let is_seen = !middle || (2..word.len() - 2).contains(&at);
            importance[place] = if !is_seen {
                importance[place]
            } else if as_read {
                planted[place]
            } else {
                -0.3
            };
        }
    }
    Sequences { length, codes, importance }
}

fn found(sequences: &Sequences, both_strands: bool) -> Vec<Sites> {
    let threshold = 4.0;
    let seqlets = sequences.seqlets(1.0, threshold);
    let clusters = clusters(&seqlets, both_strands, |seqlet| chooses(seqlet.sequence));
    let bins = Bins::new(sequences.length, sequences.length);
    let motifs = sequences.motifs(&clusters, &seqlets, &[0.25; 4]);
    motifs.iter().map(|placed| sequences.sites(placed, threshold, bins)).collect()
}

fn consensus(sites: &Sites) -> String {
    Motif::from_counts("m".into(), &sites.counts, sites.n).consensus()
}

/// Checks that each word is found once, whole on one strand, and nothing else.
fn check(words: &[&str], how: Planting, both_strands: bool, seed: u64) -> Result<(), String> {
    let sequences = planted(words, how, both_strands, seed);
    let found = found(&sequences, both_strands);
    let all: Vec<String> = found.iter().map(consensus).collect();
    if all.len() != words.len() {
        return Err(format!("{words:?} as {all:?}"));
    }
    for word in words {
        let strands = [(*word).to_owned(), reverse_complement(word)];
        let holds = |found: &&String| strands[..1 + usize::from(both_strands)].iter().any(|word| found.contains(word));
        if all.iter().filter(holds).count() != 1 {
            return Err(format!("{word} among {all:?}"));
        }
    }
    for sites in &found {
        if how.each == 1 && sites.n != sites.sequences.len() {
            return Err(format!("{} sites in {} sequences", sites.n, sites.sequences.len()));
        }
    }
    Ok(())
}

#[test]
fn planted_words_come_back_once_whole_and_on_one_strand() {
    let of_species: Vec<String> = simulate::species().iter().flat_map(|species| species.words()).collect();
    let of_species: Vec<&str> = of_species.iter().map(String::as_str).collect();
    for (i, words) in [
        &["GATTACAGC"][..],
        &["CACGTGACC", "TTGACAGATC"],
        &of_species,
        &["CCGCGAGGGGGCAGTA"],              // as wide as CTCF
        &["TTCAGCACCATGGACAGCGCC"],         // as wide as a seqlet
        &["GGTCACGTGACC"],                  // a palindrome
        &["GATAAGATTATC", "TGACTCATT"],     // nearly one
        &["AGGTCATGACCT", "AGGTCAAAGGTCA"], // repeats of one half, on either strand
        &["AAGAGGAAGTG", "CCACCAGGTGGCGC"],
        &["TGACGTCATC", "TTGCGCAACC", "CCATATTAGG", "ATGCAAATCC"],
    ]
    .into_iter()
    .enumerate()
    {
        for (noise, middle) in [(0.1, false), (0.35, false), (0.2, words.iter().all(|word| word.len() > 12))] {
            let how = Planting { noise, middle, n: 400 * words.len(), ..PLANTING };
            check(words, how, true, i as u64).unwrap_or_else(|error| panic!("noise {noise}, middle {middle}: {error}"));
        }
    }
    check(&["GATTACAGC", "CCACGTTGA"], Planting { n: 800, ..PLANTING }, false, 1).unwrap();
}

#[test]
fn a_motif_that_is_wider_than_a_core_has_one_site_where_it_stands_once() {
    let sequences = planted(&["CCGCGAGGGGGCAGTA"], Planting { n: 372, ..PLANTING }, true, 9);
    let motifs = found(&sequences, true);
    assert_eq!(motifs.len(), 1);
    let sites = &motifs[0];
    assert!(sites.n == sites.sequences.len() && (330..=372).contains(&sites.n), "{}", sites.n);
    assert!(sites.reverse > sites.n / 3 && sites.reverse < 2 * sites.n / 3, "{}", sites.reverse);
    assert_eq!(sites.places.iter().sum::<u64>(), sites.n);
    // No column is a blend of both strands.
    let motif = Motif::from_counts("m".into(), &sites.counts, sites.n);
    assert!(motif.columns.iter().filter(|column| column.iter().any(|&p| p > 0.85)).count() >= 16, "{motif:?}");
}

/// A network with few filters may see two words mainly by what they share.
#[test]
fn words_that_the_network_confuses_are_two_motifs() {
    let words = ["ATTGCCGATAACTG", "TTGACATACCTG"];
    let how = Planting { n: 800, ..PLANTING };
    let mut sequences = planted(&words, how, true, 3);
    // Their last eight bases are ATAACTG and ATACCTG: what is important of both.
    for sequence in 0..how.n {
        let range = sequence * how.length..(sequence + 1) * how.length;
        let codes = &sequences.codes[range.clone()];
        let mut shared = vec![0.1f32; how.length];
        for word in ["GATAACTG", "CATACCTG"] {
            for word in [word.to_owned(), reverse_complement(word)] {
                let word = encoded(&word);
                for at in (0..=how.length - word.len()).filter(|&at| codes[at..at + word.len()] == word) {
                    shared[at..at + word.len()].fill(1.0);
                }
            }
        }
        sequences.importance[range].iter_mut().zip(shared).for_each(|(importance, share)| *importance *= share);
    }
    let all: Vec<String> = found(&sequences, true).iter().map(consensus).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    for word in words {
        assert!([word.to_owned(), reverse_complement(word)].iter().any(|word| all.contains(word)), "{all:?}");
    }
}

#[test]
fn several_words_in_a_sequence_are_several_sites() {
    let how = Planting { each: 2, n: 300, length: 200, ..PLANTING };
    let sequences = planted(&["GATTACAGC"], how, true, 4);
    let motifs = found(&sequences, true);
    assert_eq!(motifs.len(), 1);
    assert!(motifs[0].n > 480 && motifs[0].sequences.len() <= 300, "{}", motifs[0].n);
}

/// A network that learned that a word speaks against a class often gives the bases beside it a little importance for it.
#[test]
fn what_stands_beside_a_strong_word_is_no_motif_of_the_other_sign() {
    let words = ["TGAACTGGCATA", "GATTACAGCTTGAC"];
    let mut sequences = planted(&words, Planting { n: 800, noise: 0.1, ..PLANTING }, true, 6);
    let length = sequences.length;
    for importance in sequences.importance.chunks_mut(length) {
        let word: Vec<usize> = (0..length).filter(|&at| importance[at] > 0.6).collect();
        let (first, last) = (word[0], word[word.len() - 1]);
        for (at, importance) in importance.iter_mut().enumerate() {
            let is_beside = (first.saturating_sub(9)..last + 10).contains(&at) && !(first..=last).contains(&at);
            *importance = if is_beside { *importance - 0.5 } else { 5.0 * *importance };
        }
    }
    let [raising, lowering] = sequences.of_both_signs([20.0, 3.5], true, &[0.25; 4]);
    assert_eq!((raising.len(), lowering.len()), (2, 0));
    let alone = sequences.seqlets(-1.0, 3.5);
    assert!(!sequences.motifs(&clusters(&alone, true, |_| true), &alone, &[0.25; 4]).is_empty(), "nothing to drop");
}

/// A word that lowers the target is a motif, also in the sequences that hold one that raises it.
#[test]
fn words_of_either_sign_are_motifs() {
    let raising = planted(&["TGAACTGGCATA"], Planting { n: 400, noise: 0.1, ..PLANTING }, true, 7);
    let lowering = planted(&["GATTACAGCTTGAC"], Planting { n: 400, noise: 0.1, ..PLANTING }, true, 8);
    let join = |a: &[u8], b: &[u8]| a.chunks(100).zip(b.chunks(100)).flat_map(|(a, b)| [a, b].concat()).collect();
    let importance = raising.importance.chunks(100).zip(lowering.importance.chunks(100));
    let both = Sequences {
        length: 200,
        codes: join(&raising.codes, &lowering.codes),
        importance: importance
            .flat_map(|(a, b)| a.iter().copied().chain(b.iter().map(|b| -b)).collect::<Vec<_>>())
            .collect(),
    };
    assert_eq!(both.of_both_signs([4.0; 2], true, &[0.25; 4]).map(|motifs| motifs.len()), [1, 1]);
}

/// Sites that are alike in single bases only, as where much stands beside sites of the other sign.
#[test]
fn sites_that_share_no_word_are_no_motif() {
    let mut sequences = planted(&["GATTACAGC"], PLANTING, true, 3);
    let mut random = random::generator(9, Purpose::Simulate, 0, 0);
    for (code, importance) in sequences.codes.iter_mut().zip(&sequences.importance) {
        let is_kept = *importance > 0.6 && *code == 0;
        *code = if is_kept { 0 } else { random.random_range(0..4) };
    }
    let all: Vec<String> = found(&sequences, true).iter().map(consensus).collect();
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn chance_is_no_motif() {
    let mut random = random::generator(5, Purpose::Discovery, 0, 0);
    let n = 300 * 60;
    let noise = Sequences {
        length: 60,
        codes: (0..n).map(|_| random.random_range(0..4u8)).collect(),
        importance: (0..n).map(|_| random.random_range(-1.0..1.0)).collect(),
    };
    let seqlets = noise.seqlets(1.0, noise.strongest(1.0));
    assert!(seqlets.len() <= 20, "{}", seqlets.len());
    assert!(clusters(&seqlets, true, |_| true).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn words_of_any_letters_come_back(
        words in prop::collection::vec("[ACGT]{9,16}", 1..4),
        seed in 0u64..1000,
    ) {
        // Words that share much are one motif to anyone: two letters in three wherever six or more of them lie side by side.
        let alike = |a: &[u8], b: &[u8]| {
            let letters = a.len().min(b.len());
            let same = (0..letters).filter(|&i| a[i] == b[i]).count();
            letters >= 6 && 3 * same >= 2 * letters
        };
        let shares = |a: &str, b: &str| {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            (0..a.len()).any(|i| alike(&a[i..], b)) || (0..b.len()).any(|i| alike(a, &b[i..]))
        };
        let distinct = words.iter().enumerate().all(|(i, a)| {
            let halves = [&a[..a.len() / 2], &a[a.len() / 2..]];
            let letters = |half: &str| half.bytes().collect::<std::collections::BTreeSet<u8>>().len();
            halves.iter().all(|half| letters(half) >= 3)
                && words[..i].iter().all(|b| !shares(a, b) && !shares(&reverse_complement(a), b))
        });
        prop_assume!(distinct);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let how = Planting { n: 300 * words.len(), ..PLANTING };
        prop_assert_eq!(check(&words, how, true, seed), Ok(()));
    }
}
