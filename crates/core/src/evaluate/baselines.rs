//! Baselines for a network: GC content alone and k-mer counts, fitted on the same training examples and evaluated on
//! the same test examples.

use anyhow::Result;

use crate::baselines::{self, Features, Fitted, Link, Sequences};
use crate::config::{Loss, TaskKind};
use crate::dataset::Dataset;
use crate::dataset::examples::Examples;
use crate::evaluate;
use crate::format::thousands;
use crate::metrics::{Report, Resampling};
use crate::progress::Progress;
use crate::task::Task;

/// The longest k for which most k-mers occur in a few thousand sequences.
const K: usize = 6;

/// Largest number of training examples for a baseline; more take minutes and change little.
const MOST_EXAMPLES: usize = 200_000;

/// A baseline with its metrics on the test split.
pub struct BaselineResult {
    /// `6-mers` or `GC`.
    pub name: String,
    /// Description of the fitted model.
    pub description: String,
    /// Metrics on the test split.
    pub report: Report,
}

/// Fits both baselines and evaluates them on the test split. For binary tasks the threshold is chosen on the validation
/// split, as for a network.
///
/// # Errors
/// The examples cannot be read, or a fit fails.
pub fn evaluate(
    task: &Task,
    data: &Dataset,
    resampling: &Resampling,
    progress: Progress,
) -> Result<Vec<BaselineResult>> {
    let link = match (task.kind, task.loss) {
        (TaskKind::Binary | TaskKind::Multilabel, _) => Link::Logistic,
        (TaskKind::Multiclass, _) => Link::Softmax,
        (TaskKind::Regression, Loss::Poisson) => Link::Log,
        (TaskKind::Regression, _) => Link::Identity,
    };
    let (train, step) = (data.train.len(), data.train.len().div_ceil(MOST_EXAMPLES).max(1));
    if step > 1 {
        progress.say(&format!("baselines learn from every {step}th of {} training examples", thousands(train)));
    }
    let (train_codes, train_targets) = gather(task, &data.train, step)?;
    let (valid_codes, valid_targets) = gather(task, &data.valid, 1)?;
    let (test_codes, _) = gather(task, &data.test, 1)?;
    let length = data.train.length;
    let of = |codes| Sequences { codes, length };
    let mut results = Vec::new();
    for (name, features) in [(format!("{K}-mers"), Features::Kmers(K)), ("GC".into(), Features::Gc)] {
        let fitted: Fitted = baselines::fit(
            features,
            link,
            task.outputs(),
            (of(&train_codes), &train_targets),
            (of(&valid_codes), &valid_targets),
        )?;
        let report = |examples: &Examples, codes, threshold| {
            evaluate::report(task, &data.classes, examples, &fitted.predict(&of(codes)), threshold, resampling)
        };
        let threshold = if task.kind == TaskKind::Binary {
            evaluate::best_threshold(task, &data.valid, &fitted.predict(&of(&valid_codes)))
        } else {
            None
        };
        let report = report(&data.test, &test_codes, threshold);
        results.push(BaselineResult { name, description: fitted.describe(), report });
    }
    Ok(results)
}

/// Codes `[n, length]` and targets `[n, outputs]` of every `step`th example.
fn gather(task: &Task, examples: &Examples, step: usize) -> Result<(Vec<u8>, Vec<f32>)> {
    let (mut codes, mut targets) = (Vec::new(), Vec::new());
    for i in (0..examples.len()).step_by(step) {
        examples.read(i..i + 1, &mut codes)?;
        match task.kind {
            TaskKind::Binary => targets.push(f32::from(u8::from(examples.class_of(i) == task.positive))),
            TaskKind::Multiclass => {
                targets.extend((0..task.count).map(|class| f32::from(u8::from(class == examples.class_of(i)))));
            }
            TaskKind::Multilabel | TaskKind::Regression => targets.extend_from_slice(examples.labels_of(i)),
        }
    }
    Ok((codes, targets))
}
