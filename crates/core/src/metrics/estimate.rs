//! A metric's value, its 95 % interval, and the method that the interval comes from.

use std::fmt;

/// Fewest examples, and fewest of each class, for which an interval is given: with fewer, none keeps its promise.
pub const FEWEST_EXAMPLES: usize = 10;

/// Fewest blocks of dependent examples for which an interval is given.
pub const FEWEST_BLOCKS: usize = 5;

/// Fewest chromosomes for which an interval by chromosome is given: of two there is no telling how they vary.
pub const FEWEST_CHROMOSOMES: usize = 3;

/// A metric with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value on all examples.
    pub value: f64,
    /// Its interval, which holds the value, or why there is none.
    pub interval: Result<Interval, NoInterval>,
}

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was computed.
    pub method: Method,
}

/// How an interval was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// DeLong's variance of the AUROC on the scale of logits (Pepe, 2003).
    LogitDelong,
    /// The AUROC's score interval (Newcombe, 2006, method 5), where nearly all pairs are in the right order.
    Newcombe,
    /// The score interval of a proportion (Wilson, 1927).
    Wilson,
    /// Bootstrap, bias-corrected and accelerated (Efron, 1987), with quantiles of Student's t (Hesterberg, 2015).
    Bootstrap,
    /// The value and the bootstrap's standard error, where resamples are too biased for their quantiles.
    NormalBootstrap,
    /// Bootstrap of whole blocks of dependent examples, bias-corrected and accelerated.
    BlockBootstrap,
    /// The value and the block bootstrap's standard error.
    NormalBlockBootstrap,
}

/// Why a metric has no interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoInterval {
    /// There are only so many examples.
    Examples(usize),
    /// A class has only so many examples.
    OfClass(usize),
    /// The examples lie in only so many blocks.
    Blocks(usize),
    /// The examples of a class lie in only so many blocks.
    BlocksOfClass(usize),
    /// The examples lie on only so many chromosomes.
    Chromosomes(usize),
    /// The resamples do not define the metric.
    Undefined,
    /// All resamples have the same value, as where every example is called rightly, so they say nothing of its error.
    Constant,
}

impl Estimate {
    /// The interval as a pair; both ends are the value where there is none.
    pub fn ends(&self) -> (f64, f64) {
        self.interval.map_or((self.value, self.value), |Interval { low, high, .. }| (low, high))
    }

    /// The same value, without its interval where a class is too small for one.
    pub(crate) fn unless(self, reason: Option<NoInterval>) -> Self {
        match reason {
            Some(reason) => Self { interval: Err(reason), ..self },
            None => self,
        }
    }
}

impl Interval {
    /// An interval around a value, within the bounds of the metric.
    pub(crate) fn around(value: f64, (low, high): (f64, f64), bounds: (f64, f64), method: Method) -> Self {
        Self { low: low.max(bounds.0).min(value), high: high.min(bounds.1).max(value), method }
    }
}

impl Method {
    /// The name in `metrics.json`.
    pub fn name(self) -> &'static str {
        match self {
            Method::LogitDelong => "logit-delong",
            Method::Newcombe => "newcombe",
            Method::Wilson => "wilson",
            Method::Bootstrap => "bca-bootstrap",
            Method::NormalBootstrap => "normal-bootstrap",
            Method::BlockBootstrap => "bca-block-bootstrap",
            Method::NormalBlockBootstrap => "normal-block-bootstrap",
        }
    }

    /// The method of a name; `None` for that of a newer version.
    pub fn named(name: &str) -> Option<Self> {
        use Method::{Bootstrap, LogitDelong, Newcombe, NormalBlockBootstrap, NormalBootstrap, Wilson};
        [LogitDelong, Newcombe, Wilson, Bootstrap, NormalBootstrap, Method::BlockBootstrap, NormalBlockBootstrap]
            .into_iter()
            .find(|method| method.name() == name)
    }

    /// The method in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Method::LogitDelong => "DeLong's variance on the logit scale",
            Method::Newcombe => "Newcombe's score interval",
            Method::Wilson => "Wilson's score interval",
            Method::Bootstrap => "bias-corrected and accelerated bootstrap",
            Method::NormalBootstrap => "standard error of the bootstrap",
            Method::BlockBootstrap => "bias-corrected and accelerated block bootstrap",
            Method::NormalBlockBootstrap => "standard error of the block bootstrap",
        }
    }
}

impl fmt::Display for NoInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        match *self {
            NoInterval::Examples(n) => {
                write!(f, "{n} example{}, and an interval needs {FEWEST_EXAMPLES} or more", plural(n))
            }
            NoInterval::OfClass(n) => {
                write!(f, "a class has {n} example{}, and an interval needs {FEWEST_EXAMPLES} or more", plural(n))
            }
            NoInterval::Blocks(n) => {
                write!(
                    f,
                    "the examples lie in {n} block{}, and an interval needs {FEWEST_BLOCKS} or more; a shorter --block-length makes more",
                    plural(n)
                )
            }
            NoInterval::BlocksOfClass(n) => {
                write!(
                    f,
                    "a class lies in {n} block{}, and an interval needs {FEWEST_BLOCKS} or more; a shorter --block-length makes more",
                    plural(n)
                )
            }
            NoInterval::Chromosomes(n) => {
                write!(
                    f,
                    "the examples lie on {n} chromosome{}, and an interval by chromosome needs {FEWEST_CHROMOSOMES} or more",
                    plural(n)
                )
            }
            NoInterval::Undefined => write!(f, "too few resamples define it"),
            NoInterval::Constant => {
                write!(f, "every resample of the examples has this value, so its error is not known")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name() {
        for name in ["logit-delong", "newcombe", "wilson", "bca-bootstrap", "normal-bootstrap"] {
            assert_eq!(Method::named(name).map(Method::name), Some(name));
        }
        for name in ["bca-block-bootstrap", "normal-block-bootstrap"] {
            assert_eq!(Method::named(name).map(Method::name), Some(name));
        }
        assert_eq!(Method::named("of a newer version"), None);
    }

    #[test]
    fn an_interval_holds_its_value_and_stays_within_bounds() {
        let interval = Interval::around(0.9, (0.95, 1.2), (0.0, 1.0), Method::Bootstrap);
        assert_eq!((interval.low, interval.high), (0.9, 1.0));
    }
}
