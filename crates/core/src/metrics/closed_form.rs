//! Intervals of proportions and of the AUROC from formulas, for examples that are independent of each other.

use crate::metrics::estimate::{Interval, Method};
use crate::metrics::{Z_95, t_95};

/// Below this product of the smaller class, the AUROC and what it lacks to 1, so few pairs are in the wrong order that
/// DeLong's variance is mostly chance. In docs/statistics.md simulations show what it was chosen by.
const FEWEST_WRONG: f64 = 0.25;

/// From this ratio of the classes on, the variance rests on the smaller one, and is known as badly as that is small.
const UNEVEN: f64 = 4.0;

/// The 95 % interval of a share (Wilson, 1927).
pub(crate) fn wilson(part: u64, whole: u64) -> Interval {
    let (n, share) = (whole as f64, part as f64 / whole as f64);
    let scale = 1.0 + Z_95 * Z_95 / n;
    let middle = (share + Z_95 * Z_95 / (2.0 * n)) / scale;
    let half = Z_95 / scale * (share * (1.0 - share) / n + Z_95 * Z_95 / (4.0 * n * n)).sqrt();
    // Rounding must not put the share itself outside.
    Interval::around(share, (middle - half, middle + half), (0.0, 1.0), Method::Wilson)
}

/// The 95 % interval of the AUROC of examples by falling score, with whether each is the last of its ties: symmetric on
/// the scale of logits with DeLong's variance (Pepe, 2003), with Student's t where one class is much the smaller, or by Newcombe's score method where the AUROC is nearly 0 or 1
/// for examples so few. `None` if a class is missing.
pub(crate) fn auroc(positive: &[bool], last_of_equals: &[bool]) -> Option<Interval> {
    let m = positive.iter().filter(|&&positive| positive).count() as f64;
    let n = positive.len() as f64 - m;
    if m == 0.0 || n == 0.0 {
        return None;
    }
    // Of both classes the sum and the sum of squares of their placements: the share of the other class on the wrong side.
    let (mut of_positives, mut of_negatives) = ([0.0; 2], [0.0; 2]);
    let (mut positives_before, mut negatives_before, mut start) = (0.0, 0.0, 0);
    for end in (0..positive.len()).filter(|&place| last_of_equals[place]) {
        let equals = &positive[start..=end];
        let new_positives = equals.iter().filter(|&&positive| positive).count() as f64;
        let new_negatives = equals.len() as f64 - new_positives;
        let above = (negatives_before + new_negatives / 2.0) / n;
        let below = (m - positives_before - new_positives / 2.0) / m;
        for (added, count, placement) in
            [(&mut of_positives, new_positives, above), (&mut of_negatives, new_negatives, below)]
        {
            added[0] += count * placement;
            added[1] += count * placement * placement;
        }
        (positives_before, negatives_before) = (positives_before + new_positives, negatives_before + new_negatives);
        start = end + 1;
    }
    let auroc = 1.0 - of_positives[0] / m;
    let part = |[sum, squares]: [f64; 2], count: f64| (squares - sum * sum / count) / (count - 1.0) / count;
    let (a, b) = if m > 1.0 && n > 1.0 { (part(of_positives, m), part(of_negatives, n)) } else { (0.0, 0.0) };
    let variance = a + b;
    let within = auroc * (1.0 - auroc);
    Some(if variance > 0.0 && within * m.min(n) >= FEWEST_WRONG {
        // The degrees of freedom of a sum of two variances (Satterthwaite, 1946).
        let freedom = variance * variance / (a * a / (m - 1.0) + b * b / (n - 1.0));
        let width = if m.max(n) > UNEVEN * m.min(n) { t_95(freedom) } else { Z_95 };
        let (logit, margin) = ((auroc / (1.0 - auroc)).ln(), width * variance.sqrt() / within);
        let share = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        Interval::around(auroc, (share(logit - margin), share(logit + margin)), (0.0, 1.0), Method::LogitDelong)
    } else {
        Interval::around(auroc, newcombe(auroc, m, n), (0.0, 1.0), Method::Newcombe)
    })
}

/// All areas that are no further from the one found than 1.96 of their own standard errors, with the variance of Hanley
/// and McNeil (1982) for exponential scores and classes of equal size (Newcombe, 2006, method 5).
fn newcombe(found: f64, positives: f64, negatives: f64) -> (f64, f64) {
    let less_one = f64::midpoint(positives, negatives) - 1.0;
    let is_beyond = |area: f64| {
        let of_pairs = (1.0 - area) / (2.0 - area) + area / (1.0 + area);
        let variance = area * (1.0 - area) * (1.0 + less_one * of_pairs) / (positives * negatives);
        (found - area).abs() > Z_95 * variance.sqrt()
    };
    // Halved until nothing changes.
    let edge = |mut beyond: f64| {
        let mut inside = found;
        for _ in 0..60 {
            let middle = f64::midpoint(beyond, inside);
            *(if is_beyond(middle) { &mut beyond } else { &mut inside }) = middle;
        }
        inside
    };
    (edge(0.0), edge(1.0))
}
