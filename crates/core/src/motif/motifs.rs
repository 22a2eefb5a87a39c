//! Motifs of first-layer filters or from attributions: matrices from sites, enrichment between classes, matches to
//! known motifs, and the tables that hold them.

use anyhow::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::TaskKind;
use crate::dataset::Classes;
use crate::dataset::examples::Examples;
use crate::format::{self, thousands};
use crate::motif::enrichment::{self, Association, Group};
use crate::motif::known::{Known, KnownMatch, SIGNIFICANT};
use crate::motif::sites::{Bins, Division, Found, Sites};
use crate::sequence::motif::Motif;

/// Known motifs that a sentence names.
const MOST_NAMED: usize = 8;

/// Origin of motifs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Sites at which filters of the first layer fire.
    Filters,
    /// Seqlets: short stretches of high importance.
    Importance,
}

impl Origin {
    /// Name of one motif of this origin.
    pub fn word(self) -> &'static str {
        match self {
            Self::Filters => "filter",
            Self::Importance => "motif",
        }
    }

    /// Name of the quantity that defines sites.
    fn measure(self) -> &'static str {
        match self {
            Self::Filters => "largest_activation",
            Self::Importance => "largest_importance",
        }
    }
}

/// A filter, or a motif from attributions, with all results.
#[derive(Clone, Debug)]
pub struct FilterMotif {
    /// The motif, named like the filter; uninformative if the filter never fires.
    pub motif: Motif,
    /// Sites in the sequences, with the threshold that defines them.
    pub sites: Sites,
    /// Enrichment in each division, in the order of [`Motifs::divisions`].
    pub enrichments: Vec<Enrichment>,
    /// Matches to known motifs, best first.
    pub matches: Vec<KnownMatch>,
}

/// Enrichment of sites in the sequences of a class over the rest, at equal GC content.
#[derive(Clone, Copy, Debug)]
pub struct Enrichment {
    /// The sequences of the class, and the rest.
    pub groups: [Group; 2],
    /// Number of strata of GC content.
    pub strata: usize,
    /// Common odds ratio of the strata, and p-value.
    pub association: Association,
    /// Natural logarithm of the q-value (Benjamini and Hochberg) over all filters and divisions.
    pub log_q: f64,
}

/// All motifs of one origin, with the data they were compared with.
pub struct Motifs<'a> {
    /// Where the motifs come from.
    pub origin: Origin,
    /// The motifs.
    pub filters: Vec<FilterMotif>,
    /// Divisions of the sequences by class.
    pub divisions: Vec<Division>,
    /// Known motifs that these are compared with.
    pub database: &'a [Motif],
    /// What the matches come to; `None` without known motifs.
    pub matching: Option<Matching>,
    /// Whether both strands were searched.
    pub both_strands: bool,
    /// Number of sequences searched.
    pub sequences: u64,
    /// Bins of positions.
    pub bins: Bins,
    /// Frequencies of A, C, G and T.
    pub background: [f64; 4],
}

/// How many motifs match known ones, beside those of a network that was not trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// Number of known motifs.
    pub known_motifs: usize,
    /// Motifs that were compared: those with sites enough.
    pub compared: usize,
    /// Motifs whose best match has a calibrated q-value below 0.05.
    pub calibrated: usize,
    /// Motifs whose best match has a q-value of Tomtom below 0.05, over the known motifs alone.
    pub uncalibrated: usize,
    /// Filters of the untrained network that were compared.
    pub untrained_compared: usize,
    /// Filters of the untrained network whose best match has a q-value of Tomtom below 0.05.
    pub untrained_uncalibrated: usize,
    /// Copies of the motifs with shuffled columns.
    pub shuffled: usize,
    /// The known motifs that are matched beyond the untrained network, those of most motifs first.
    pub beyond_untrained: Vec<MatchedBy>,
}

/// A known motif that is matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchedBy {
    /// Name of the known motif.
    pub known: String,
    /// Its identifier.
    pub id: String,
    /// The motifs whose best match it is.
    pub motifs: Vec<String>,
}

/// The class that a filter's sites are enriched in.
pub struct EnrichedIn<'a> {
    /// Name of the class.
    pub class: &'a str,
    /// Name of the rest, against which the class is tested.
    pub rest: &'a str,
    /// Share of the class's sequences that have a site.
    pub share: f64,
    /// Share of the remaining sequences that have a site.
    pub share_of_rest: f64,
    /// Odds of a site in the class over the odds in the rest, at equal GC content.
    pub odds_ratio: f64,
    /// Natural logarithm of the two-sided p-value.
    pub log_p: f64,
    /// Natural logarithm of the q-value over all filters and divisions.
    pub log_q: f64,
}

impl<'a> Motifs<'a> {
    /// Analyses the sites found for each of `names`; `divisions` hold the classes of the sequences.
    pub fn of(
        origin: Origin,
        names: &[String],
        found: Found,
        divisions: Vec<Division>,
        both_strands: bool,
        known: Option<&Known<'a>>,
    ) -> Self {
        let Found { sites, sequences, strata, bins, background } = found;
        let count = strata.iter().flatten().map(|&stratum| usize::from(stratum) + 1).max().unwrap_or(0);
        let motif = |(name, sites): (&String, &Sites)| Motif::from_counts(name.clone(), &sites.counts, sites.n);
        let all: Vec<Motif> = names.iter().zip(&sites).map(motif).collect();
        let matches = known.map(|known| known.matches(&all, &background)).unwrap_or_default();
        let (shuffled, uncalibrated) = (matches.shuffled, matches.uncalibrated);
        let mut of_motifs = matches.of_motifs;
        of_motifs.resize(all.len(), Vec::new());
        let of = |((motif, sites), matches): ((Motif, Sites), Vec<KnownMatch>)| {
            let enrichments =
                divisions.iter().map(|division| Enrichment::of(&sites, division, &strata, count)).collect();
            FilterMotif { enrichments, motif, sites, matches }
        };
        let each: Vec<_> = all.into_iter().zip(sites).zip(of_motifs).collect();
        let mut filters: Vec<FilterMotif> = each.into_par_iter().map(of).collect();
        // Filters that never fire are not tested, so they do not count.
        let asked = || filters.iter().filter(|filter| filter.sites.n > 0).flat_map(|filter| &filter.enrichments);
        let log_q = enrichment::benjamini_hochberg(&asked().map(|found| found.association.log_p).collect::<Vec<_>>());
        let fired = filters.iter_mut().filter(|filter| filter.sites.n > 0);
        for (enrichment, log_q) in fired.flat_map(|filter| &mut filter.enrichments).zip(log_q) {
            enrichment.log_q = log_q;
        }
        let matching = known.map(|known| Matching { shuffled, uncalibrated, ..Matching::of(known, &filters) });
        let database = known.map_or(&[][..], |known| known.motifs);
        Self { origin, filters, divisions, database, matching, both_strands, sequences, bins, background }
    }

    /// The filters that fire.
    pub fn firing(&self) -> impl Iterator<Item = &FilterMotif> {
        self.filters.iter().filter(|filter| filter.sites.n > 0)
    }

    /// The filters that fire, by p-value of their enrichment, or by number of sites if there are no classes.
    pub fn ranked(&self) -> Vec<&FilterMotif> {
        let mut ranked: Vec<&FilterMotif> = self.firing().collect();
        let log_p = |filter: &FilterMotif| self.enriched_in(filter).map_or(0.0, |enriched| enriched.log_p);
        ranked.sort_by(|a, b| log_p(a).total_cmp(&log_p(b)).then(b.sites.n.cmp(&a.sites.n)));
        ranked
    }

    /// The class in which a filter's sites are most significantly enriched.
    pub fn enriched_in(&self, filter: &FilterMotif) -> Option<EnrichedIn<'_>> {
        let each = self.divisions.iter().zip(&filter.enrichments);
        let of = each.filter_map(|(division, found)| {
            let Division { name, other: rest, .. } = division;
            let &Enrichment { groups: [one, other], association: Association { odds_ratio, log_p }, log_q, .. } = found;
            let found = |class, rest, share, share_of_rest, odds_ratio| EnrichedIn {
                class,
                rest,
                share,
                share_of_rest,
                odds_ratio,
                log_p,
                log_q,
            };
            match odds_ratio < 1.0 {
                false => Some(found(name, rest, one.share(), other.share(), odds_ratio)),
                // With two classes, depletion in one is enrichment in the other; with several, it is enrichment in some
                // other class.
                true if self.divisions.len() > 1 => None,
                true => Some(found(rest, name, other.share(), one.share(), 1.0 / odds_ratio)),
            }
        });
        of.min_by(|a, b| a.log_p.total_cmp(&b.log_p))
    }

    /// The most similar known motif.
    pub fn best_match<'b>(&self, filter: &'b FilterMotif) -> Option<(&'a Motif, &'b KnownMatch)> {
        filter.matches.first().map(|found| (&self.database[found.alignment.target], found))
    }

    /// The motifs that have sites, with the best match as their second name.
    pub fn named(&self) -> impl Iterator<Item = Motif> {
        self.firing().map(|filter| {
            let name = self.best_match(filter).map_or_else(String::new, |(known, _)| label(known).to_owned());
            Motif { name, ..filter.motif.clone() }
        })
    }

    /// `motifs.tsv`: a row for each filter.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn table(&self) -> Result<Vec<u8>> {
        let mut out = Table::new(&[
            self.origin.word(),
            "consensus",
            "information_bits",
            "sites",
            "reverse_sites",
            "sequences",
            "share_of_sequences",
            self.origin.measure(),
            "threshold",
            "enriched_in",
            "share_of_class",
            "share_of_rest",
            "odds_ratio",
            "p_value",
            "q_value",
            "best_match",
            "best_match_id",
            "best_match_strand",
            "best_match_p_value",
            "best_match_q_value",
            "best_match_tomtom_p_value",
            "best_match_tomtom_q_value",
            "shown_as",
        ])?;
        let folds = self.folded();
        for filter in &self.filters {
            let FilterMotif { motif, sites, .. } = filter;
            let fires = sites.n > 0;
            let if_fires = |text: String| if fires { text } else { String::new() };
            let mut row = vec![
                motif.id.clone(),
                if_fires(motif.consensus()),
                if_fires(format!("{:.2}", motif.information().iter().sum::<f64>())),
                sites.n.to_string(),
                sites.reverse.to_string(),
                sites.sequences.len().to_string(),
                format!("{:.4}", sites.sequences.len() as f64 / self.sequences.max(1) as f64),
                format!("{:.4}", sites.largest),
                if_fires(format!("{:.4}", sites.threshold)),
            ];
            match self.enriched_in(filter).filter(|_| fires) {
                Some(found) => row.extend([
                    found.class.to_owned(),
                    format!("{:.4}", found.share),
                    format!("{:.4}", found.share_of_rest),
                    format!("{:.3}", found.odds_ratio),
                    format::p_value(found.log_p),
                    format::p_value(found.log_q),
                ]),
                None => row.extend([const { String::new() }; 6]),
            }
            match self.best_match(filter) {
                Some((known, found)) => row.extend([
                    label(known).to_owned(),
                    known.id.clone(),
                    strand(found.alignment.reverse).into(),
                    format::p_value(found.log_p),
                    format::p_value(found.log_q),
                    format::p_value(found.alignment.log_p),
                    format::p_value(found.alignment.log_q),
                ]),
                None => row.extend([const { String::new() }; 7]),
            }
            let shown = folds.iter().find(|fold| fold.holds(&motif.id));
            row.push(shown.map_or_else(String::new, |fold| fold.shown.motif.id.clone()));
            out.row(&row)?;
        }
        out.finish()
    }

    /// `enrichment.tsv`: a row for each filter that fires and each class.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn enrichment_table(&self) -> Result<Vec<u8>> {
        let mut out = Table::new(&[
            self.origin.word(),
            "class",
            "rest",
            "class_with",
            "class_without",
            "rest_with",
            "rest_without",
            "gc_strata",
            "odds_ratio",
            "p_value",
            "q_value",
        ])?;
        for filter in self.firing() {
            for (division, found) in self.divisions.iter().zip(&filter.enrichments) {
                let [one, other] = found.groups;
                out.row(&[
                    filter.motif.id.clone(),
                    division.name.clone(),
                    division.other.clone(),
                    one.with.to_string(),
                    one.without.to_string(),
                    other.with.to_string(),
                    other.without.to_string(),
                    found.strata.to_string(),
                    format!("{:.3}", found.association.odds_ratio),
                    format::p_value(found.association.log_p),
                    format::p_value(found.log_q),
                ])?;
            }
        }
        out.finish()
    }

    /// `positions.tsv`: the number of sites centred in each bin of the sequence, in bp if all sequences have one
    /// length, otherwise in shares of the length.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn positions_table(&self) -> Result<Vec<u8>> {
        let unit = match self.bins {
            Bins::Bases { .. } => ["start_bp", "end_bp"],
            Bins::Shares(_) => ["start_share", "end_share"],
        };
        let mut out = Table::new(&[self.origin.word(), unit[0], unit[1], "sites"])?;
        for filter in self.firing() {
            for (bin, sites) in filter.sites.places.iter().enumerate() {
                out.row(&[
                    filter.motif.id.clone(),
                    self.bins.start(bin).to_string(),
                    self.bins.start(bin + 1).to_string(),
                    sites.to_string(),
                ])?;
            }
        }
        out.finish()
    }

    /// `matches.tsv`: the best matches of each filter that fires.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn matches_table(&self) -> Result<Vec<u8>> {
        let mut out = Table::new(&[
            self.origin.word(),
            "match",
            "match_id",
            "strand",
            "offset",
            "overlap",
            "p_value",
            "q_value",
            "tomtom_p_value",
            "tomtom_e_value",
            "tomtom_q_value",
            "filter_consensus",
            "match_consensus",
        ])?;
        for filter in self.firing() {
            for KnownMatch { alignment, log_p, log_q } in &filter.matches {
                let known = &self.database[alignment.target];
                let oriented = if alignment.reverse { known.reverse_complement() } else { known.clone() };
                out.row(&[
                    filter.motif.id.clone(),
                    label(known).to_owned(),
                    known.id.clone(),
                    strand(alignment.reverse).into(),
                    alignment.offset.to_string(),
                    alignment.overlap.to_string(),
                    format::p_value(*log_p),
                    format::p_value(*log_q),
                    format::p_value(alignment.log_p),
                    expected(alignment.log_e(self.database.len())),
                    format::p_value(alignment.log_q),
                    filter.motif.consensus(),
                    oriented.consensus(),
                ])?;
            }
        }
        out.finish()
    }
}

impl FilterMotif {
    /// The best match, if its calibrated q-value is below [`SIGNIFICANT`].
    pub fn significant_match(&self) -> Option<&KnownMatch> {
        self.matches.first().filter(|best| best.log_q < SIGNIFICANT.ln())
    }
}

impl Enrichment {
    /// Counts the sequences of a division by stratum, and tests whether sites are associated with it.
    fn of(sites: &Sites, division: &Division, strata: &[Option<u16>], count: usize) -> Self {
        let mut tables = vec![[Group::default(); 2]; count];
        for (sequence, (belongs, stratum)) in division.belongs.iter().zip(strata).enumerate() {
            if let (Some(belongs), Some(stratum)) = (belongs, stratum) {
                tables[usize::from(*stratum)][usize::from(!belongs)].count(sites.sequences.contains(sequence));
            }
        }
        Self {
            groups: enrichment::pooled(&tables),
            strata: tables.iter().filter(|table| table.iter().any(|group| !group.is_empty())).count(),
            association: enrichment::mantel_haenszel(&tables),
            log_q: 0.0,
        }
    }
}

impl Matching {
    fn of(known: &Known, filters: &[FilterMotif]) -> Self {
        let mut beyond_untrained: Vec<MatchedBy> = Vec::new();
        for filter in filters {
            let Some(found) = filter.significant_match() else { continue };
            let motif = &known.motifs[found.alignment.target];
            match beyond_untrained.iter_mut().find(|matched| matched.id == motif.id) {
                Some(matched) => matched.motifs.push(filter.motif.id.clone()),
                None => beyond_untrained.push(MatchedBy {
                    known: label(motif).to_owned(),
                    id: motif.id.clone(),
                    motifs: vec![filter.motif.id.clone()],
                }),
            }
        }
        beyond_untrained.sort_by_key(|matched| std::cmp::Reverse(matched.motifs.len()));
        Self {
            known_motifs: known.motifs.len(),
            compared: filters.iter().filter(|filter| !filter.matches.is_empty()).count(),
            calibrated: beyond_untrained.iter().map(|matched| matched.motifs.len()).sum(),
            uncalibrated: 0,
            untrained_compared: known.untrained,
            untrained_uncalibrated: known.untrained_matching,
            shuffled: 0,
            beyond_untrained,
        }
    }

    /// What the matches come to, for people: a sentence or two. `noun` is the plural of what was compared.
    pub fn summary(&self, noun: &str) -> String {
        let share = |part: usize, all: usize| format!("{} of {}", thousands(part), thousands(all));
        let mut text = format!(
            "{} {noun} match known motifs at q < 0.05 beyond the untrained network and shuffled columns; by Tomtom's q alone it would be {}, and {} filters of the untrained network",
            share(self.calibrated, self.compared),
            thousands(self.uncalibrated),
            share(self.untrained_uncalibrated, self.untrained_compared)
        );
        if !self.beyond_untrained.is_empty() {
            let names = self.beyond_untrained.iter().map(|matched| match matched.motifs.len() {
                1 => matched.known.clone(),
                count => format!("{} ({count})", matched.known),
            });
            text.push_str(&format!(": {}", format::list_first(&names.collect::<Vec<_>>(), MOST_NAMED)));
        }
        text
    }
}

/// Divisions of examples by label; divisions with an empty side are left out.
pub fn divisions(kind: TaskKind, classes: &Classes, examples: &Examples, chosen: &[usize]) -> Vec<Division> {
    let all_of = |is: &dyn Fn(usize) -> bool| chosen.iter().map(|&i| Some(is(i))).collect::<Vec<_>>();
    let known = |column: usize, is: &dyn Fn(f32) -> bool| {
        let values = chosen.iter().map(|&i| examples.labels_of(i)[column]);
        values.map(|value| (!value.is_nan()).then(|| is(value))).collect::<Vec<_>>()
    };
    let division = |name: String, other: String, belongs| Division { name, other, belongs };
    let each = classes.names.iter().enumerate();
    let found: Vec<Division> = match kind {
        TaskKind::Binary => {
            let belongs = all_of(&|i| examples.class_of(i) == classes.positive);
            vec![division(classes.positive_name().into(), classes.negative_name().into(), belongs)]
        }
        TaskKind::Multiclass => each
            .map(|(class, name)| {
                division(name.clone(), "the others".into(), all_of(&|i| examples.class_of(i) == class))
            })
            .collect(),
        TaskKind::Multilabel => each
            .map(|(label, name)| division(name.clone(), format!("not {name}"), known(label, &|value| value > 0.5)))
            .collect(),
        TaskKind::Regression | TaskKind::Profile => each
            .map(|(column, name)| {
                let values = chosen.iter().map(|&i| examples.labels_of(i)[column]);
                let mut values: Vec<f32> = values.filter(|value| !value.is_nan()).collect();
                values.sort_by(f32::total_cmp);
                let median = values.get(values.len() / 2).copied().unwrap_or(0.0);
                let belongs = known(column, &|value| value >= median);
                division(format!("high {name}"), format!("low {name}"), belongs)
            })
            .collect(),
    };
    let divides = |division: &Division| [true, false].iter().all(|side| division.belongs.contains(&Some(*side)));
    found.into_iter().filter(divides).collect()
}

/// Name of a known motif.
pub fn label(known: &Motif) -> &str {
    if known.name.is_empty() { &known.id } else { &known.name }
}

fn strand(reverse: bool) -> &'static str {
    if reverse { "-" } else { "+" }
}

/// Formats an expected number, which may be above 1.
fn expected(log: f64) -> String {
    if log > 0.0 { format!("{:.2}", log.exp()) } else { format::p_value(log) }
}

/// Formats rows as tab-separated text.
struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn new(columns: &[&str]) -> Result<Self> {
        let mut out = csv::WriterBuilder::new().delimiter(b'\t').from_writer(Vec::new());
        out.write_record(columns)?;
        Ok(Self(out))
    }

    fn row(&mut self, row: &[String]) -> Result<()> {
        Ok(self.0.write_record(row)?)
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.into_inner().map_err(|error| error.into_error())?)
    }
}
