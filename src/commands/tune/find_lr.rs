//! `tune --find-lr`: the learning-rate range test on the training data.

use anyhow::Result;

use crate::cli::tune::Tune;
use crate::commands::{data_of, print};
use crate::device;
use crate::train::{Setup, lr_range};
use strandnet_core::config::{Config, Faults};
use strandnet_core::figures;
use strandnet_core::progress::Progress;
use strandnet_core::run::{Contents, OutputFolder, RATES_CSV, RATES_PNG};
use strandnet_core::task::Task;
use strandnet_core::training::memory;
use strandnet_core::tune::range;
use strandnet_core::tune::range::{Curve, Suggestion};

/// Steps where the user does not say: enough for 25 in each factor of ten.
const STEPS: u32 = 200;

pub fn run(command: &Tune, config: &Config, progress: Progress) -> Result<()> {
    let (from, to) = command.rates()?;
    if let Some(fault) = config.training.batch_size.fault_of_auto("a range test") {
        return Err(Faults(vec![fault]).into());
    }
    if config.training.accumulate > 1 {
        return Err(Faults(vec![format!(
            "--accumulate is {}, expected 1 for a range test, which takes a step at every batch; leave it out and give the larger --batch-size",
            config.training.accumulate
        )])
        .into());
    }
    let steps = command.steps.unwrap_or(STEPS) as usize;
    let machine = device::for_training(&config.training)?;
    let out =
        command.out.as_ref().map(|path| OutputFolder::create(path, Contents::RateRange, command.force)).transpose()?;
    progress.say(&machine.description);
    let data = data_of(config, &progress)?;
    let training = &config.training;
    let task = Task::new(data.kind, &data.classes, config.loss(), &training.class_weights, &data.train)?
        .trained_by(training)?
        .of_architecture(config.model.arch);
    memory::check(config, task.network_outputs(), &data, device::kind(machine.device))?;

    let mut curve = Curve::default();
    let bar = progress.bar((steps * training.batch_size.fragments()) as u64);
    let setup = Setup {
        config,
        task: &task,
        data: &data,
        device: machine.device,
        bias: None,
        group: None,
        folder: None,
        progress,
    };
    lr_range::test(setup, &range::rates(from, to, steps), &mut curve, &bar)?;
    bar.finish();

    let suggestion = curve.suggestion(steps);
    let mut text = describe(&curve, suggestion, steps, (from, to));
    if let Some(folder) = out {
        let (out, replaced) = folder.keep()?;
        out.write(RATES_CSV, &curve.to_csv(steps))?; // first: by it --force knows the folder
        figures::tuning::rates(&curve, steps, suggestion)?.write(&out, RATES_PNG)?;
        replaced.discard();
        text.push_str(&format!("{}\n", out.path.display()));
    }
    print(&text)
}

/// What the curve says, for people.
fn describe(curve: &Curve, suggestion: Option<Suggestion>, steps: usize, (from, to): (f64, f64)) -> String {
    let taken = curve.steps.len();
    let end = curve.steps.last().map_or(from, |(rate, _)| *rate);
    let mut text = format!("learning rates {from:e} to {end:.1e}, {taken} steps");
    text.push_str(if taken < steps { ", until training diverged\n" } else { "\n" });
    match suggestion {
        None => text.push_str(&format!(
            "no rate to suggest: the loss fell no more than by chance; try more --steps, larger batches, or other rates than {from:e} to {to:e}\n"
        )),
        Some(Suggestion { least, rate, steepest, still_falling }) => {
            text.push_str(&format!("  lowest loss at         {least:.1e}\n"));
            text.push_str(&format!("  steepest loss at       {steepest:.1e}\n"));
            text.push_str(&format!("suggested: --lr {rate:.1e}, a tenth of the rate with the lowest loss"));
            text.push_str(if still_falling {
                "; it was still falling at the last rate, so raise --to\n"
            } else {
                ": there the loss is about to rise\n"
            });
        }
    }
    text
}
