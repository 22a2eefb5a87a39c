//! A training loop and a loss of one's own: focal loss (Lin and others, 2017) on simulated genomes.
//! `cargo run --release --example custom_loop`

use anyhow::Result;
use strandnet::Device;
use strandnet::config::{Architecture, Config};
use strandnet::dataset::{self, LoadRequest};
use strandnet::evaluate;
use strandnet::model::Network;
use strandnet::progress::Progress;
use strandnet::task::Task;
use strandnet::train::gradient::{BatchGradient, Context, GradientMethod};
use strandnet::train::learner::{self, Learner};
use strandnet::train::loader::Batch;
use tch::Kind;

/// Cross-entropy in which sequences that are called right already count less.
#[derive(Debug)]
struct FocalLoss {
    gamma: f64,
    positive: f64,
}

impl GradientMethod for FocalLoss {
    fn gradient(&mut self, context: &Context, batch: Batch, seed: i64) -> Result<BatchGradient> {
        let batch = batch.on(context.network.device());
        let forward = context.network.train_on(&batch.codes, seed); // logits [n, 1]
        let is_positive = batch.labels.eq(self.positive);
        let right = forward.logits.where_self(&is_positive, &-&forward.logits); // logit of the true class
        let weight = (-&right).sigmoid().pow_tensor_scalar(self.gamma);
        let loss = -(weight * right.log_sigmoid()).mean(Kind::Float);
        Ok(context.backward_from(forward, &loss, None))
    }
}

fn main() -> Result<()> {
    let mut config = Config::default();
    config.model.arch = Architecture::Shallow;
    (config.training.lr, config.training.warmup) = (1e-3, 0.0);
    (config.data.fragments, config.data.test_fragments) = (20_000, 1000);
    let data = dataset::load(&LoadRequest::new(&config.data, 1, &Progress::Quiet))?;
    let training = &config.training;
    let task = Task::new(data.kind, &data.classes, None, &training.class_weights, &data.train)?;
    let network = Network::new(&config.model, data.train.length, task.outputs(), training.strands, Device::Cpu, 1)?;

    let mut learner = Learner::new(network, training, &task, data.train.len())?
        .with_method(FocalLoss { gamma: 2.0, positive: data.classes.positive as f64 });
    for epoch in 1..=10 {
        let totals = learner.train_epoch(&data.train, learner::order(training, 1, epoch))?;
        let scores = evaluate::predictions_of(&learner.network, &task, &data.valid)?;
        let auroc = task.selection(&data.valid, &scores);
        println!("epoch {epoch}  focal loss {:.4}  validation AUROC {auroc:.4}", totals.mean_loss());
    }
    Ok(())
}
