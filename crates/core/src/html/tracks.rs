//! A chart of one metric for several networks and baselines.

use crate::config::TaskKind;
use crate::format;
use crate::html::metric_text::title;
use crate::metrics::{Estimate, NoInterval};

/// Estimates of one metric on a common scale.
pub struct Tracks {
    pub metric: String,
    /// The ends of the scale.
    pub from: String,
    pub to: String,
    pub tracks: Vec<Track>,
}

/// A value with its interval; positions are percentages of the scale.
pub struct Track {
    pub name: String,
    pub text: String,
    pub value: f64,
    pub low: f64,
    pub width: f64,
}

impl Tracks {
    /// A track for each defined estimate and one for chance, on a scale from chance, or the lowest value, to 1.
    pub fn above_chance(metric: &str, found: Vec<(String, Option<Estimate>)>, kind: TaskKind) -> Self {
        let chance = if kind.predicts_values() { 0.0 } else { 0.5 };
        let chance = alone(chance);
        let found = defined(found.into_iter().chain([("chance".to_owned(), Some(chance))]));
        let from = found.iter().map(|(_, estimate)| estimate.ends().0).fold(chance.value, f64::min);
        Self::on(metric, found, from, 1.0)
    }

    /// A track for each defined estimate, on a scale that just fits all intervals.
    pub fn close_up(metric: &str, found: Vec<(String, Option<Estimate>)>) -> Self {
        let found = defined(found);
        let low = found.iter().map(|(_, estimate)| estimate.ends().0).fold(f64::INFINITY, f64::min);
        let high = found.iter().map(|(_, estimate)| estimate.ends().1).fold(f64::NEG_INFINITY, f64::max);
        let margin = ((high - low) * 0.05).max(1e-3);
        Self::on(metric, found, low - margin, high + margin)
    }

    fn on(metric: &str, found: Vec<(String, Estimate)>, from: f64, to: f64) -> Self {
        let place = |value: f64| ((value - from) / (to - from) * 100.0).clamp(0.0, 100.0);
        let tracks = found.into_iter().map(|(name, estimate)| {
            let (value, (low, high)) = (estimate.value, estimate.ends());
            let interval = if low < high {
                format!(" ({} to {})", format::metric(low), format::metric(high))
            } else {
                String::new()
            };
            let text = format!("{}{interval}", format::metric(value));
            Track { name, text, value: place(value), low: place(low), width: place(high) - place(low) }
        });
        let end = |value: f64| format!("{value:.*}", if to - from < 0.1 { 3 } else { 2 });
        Self { metric: title(metric), from: end(from), to: end(to), tracks: tracks.collect() }
    }
}

/// A value that needs no interval.
pub fn alone(value: f64) -> Estimate {
    Estimate { value, interval: Err(NoInterval::Undefined) }
}

fn defined(found: impl IntoIterator<Item = (String, Option<Estimate>)>) -> Vec<(String, Estimate)> {
    found.into_iter().filter_map(|(name, estimate)| Some((name, estimate?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Interval, Method};

    #[test]
    fn the_scale_holds_chance_and_every_interval() {
        let estimate =
            |value, low, high| Some(Estimate { value, interval: Ok(Interval { low, high, method: Method::Wilson }) });
        let found =
            || vec![("a".into(), estimate(0.75, 0.7, 0.8)), ("b".into(), None), ("c".into(), estimate(0.5, 0.4, 0.6))];
        let names = |tracks: &Tracks| tracks.tracks.iter().map(|track| track.name.clone()).collect::<Vec<_>>();
        let tracks = Tracks::above_chance("macro_auroc", found(), TaskKind::Multiclass);
        assert_eq!([&tracks.metric, &tracks.from, &tracks.to], ["Macro AUROC", "0.40", "1.00"]);
        assert_eq!(names(&tracks), ["a", "c", "chance"]);
        assert_eq!((tracks.tracks[1].low, tracks.tracks[2].text.as_str()), (0.0, "0.5000"));
        assert!((tracks.tracks[0].low + tracks.tracks[0].width - 100.0 * 0.4 / 0.6).abs() < 1e-9);
        let close = Tracks::close_up("auroc", found());
        assert_eq!(
            (names(&close), close.from.as_str(), close.to.as_str()),
            (vec!["a".into(), "c".into()], "0.38", "0.82")
        );
        assert!(Tracks::close_up("auroc", Vec::new()).tracks.is_empty());
    }
}
