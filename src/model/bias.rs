//! A frozen network of what an enzyme prefers, added to one that predicts profiles, so that this learns the rest: to the logits of
//! the profile, and to the counts once its log counts are moved to the depth of the data (as in ChromBPNet).

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use tch::{Device, Tensor};

use super::Network;
use super::ensemble::{self, Ensemble};
use crate::device;
use strandnet_core::dataset::examples::Examples;
use strandnet_core::evaluate::{self, Strand};
use strandnet_core::run::{BIAS_JSON, BIAS_WEIGHTS, Provenance, RUN_JSON, RunFolder, WEIGHTS, bias};
use strandnet_core::sequence::profile::ProfileShape;
use strandnet_core::task::Task;

/// The bias model of a run.
#[derive(Debug)]
pub struct Bias {
    ensemble: Ensemble,
    shape: ProfileShape,
    /// What is added to the log counts of each group.
    shift: Vec<f64>,
}

impl Bias {
    /// Opens the finished run that `--bias` names, for networks of a task, whose groups have these names, and a length.
    ///
    /// # Errors
    /// It is no finished run of a bias model, or predicts other tracks or from another length.
    pub fn open(run: &Path, task: &Task, groups: &[String], length: usize, device: Device) -> Result<Self> {
        let (folder, provenance) = RunFolder::open_finished(run)?;
        let shown = run.display();
        if !provenance.task()?.profile.as_ref().is_some_and(|profile| profile.of_background) {
            bail!("--bias {shown}: is no bias model, expected a run of --task profile --arch bias; train one");
        }
        if provenance.classes != groups {
            let (own, groups) = (provenance.classes.join(", "), groups.join(", "));
            bail!("--bias {shown}: predicts {own}, expected {groups}; name the tracks alike and in the same order");
        }
        Self::new(&provenance, &folder.file(WEIGHTS), task, length, vec![0.0; groups.len()], device)
            .with_context(|| format!("--bias {shown}"))
    }

    /// The bias model that was copied into a run; nothing where it has none.
    ///
    /// # Errors
    /// Its files are damaged.
    pub fn of_run(folder: &RunFolder, task: &Task, length: usize, device: Device) -> Result<Option<Rc<Self>>> {
        let Some(own) = bias::of_run(folder, task, length)? else { return Ok(None) };
        let bias = Self::new(&own.provenance, &own.weights, task, length, own.shift, device)?;
        Ok(Some(Rc::new(bias)))
    }

    fn new(
        provenance: &Provenance,
        weights: &Path,
        task: &Task,
        length: usize,
        shift: Vec<f64>,
        device: Device,
    ) -> Result<Self> {
        let shape = bias::shape_for(provenance, task, length, &shift)?;
        let mut networks = {
            let outputs = provenance.task()?.network_outputs();
            ensemble::load(&provenance.config, length, outputs, device, weights)?
        };
        networks.iter_mut().for_each(|network| network.store.freeze());
        let networks = networks.into_iter().map(Network::finished).collect::<Result<_>>()?;
        Ok(Self { ensemble: Ensemble::new(networks), shape, shift })
    }

    /// Moves the log counts of each group so that their mean over the background of some examples, for which it gives `logits` as it
    /// was opened, is what was observed there.
    ///
    /// # Errors
    /// There is no background.
    pub fn fitted_to(mut self, examples: &Examples, logits: &[f32]) -> Result<Self> {
        let Some(profiles) = &examples.profiles else { bail!("--bias goes with --task profile; remove it") };
        let (values, groups) = (self.shape.values(), self.shape.groups());
        let (mut off, mut n) = (vec![0.0; groups], 0.0);
        for (i, found) in logits.chunks(self.shape.outputs()).enumerate().filter(|(i, _)| !profiles.is_peak(*i)) {
            let each = examples.labels_of(i).iter().zip(&found[values..]);
            off.iter_mut().zip(each).for_each(|(off, (own, found))| *off += f64::from(own - found));
            n += 1.0;
        }
        if n == 0.0 {
            bail!("there is no background, to whose counts --bias is fitted; add --negatives gc-matched");
        }
        self.shift = off.into_iter().map(|off| off / n).collect();
        Ok(self)
    }

    /// What is added to the log counts of each group.
    pub fn shift(&self) -> &[f64] {
        &self.shift
    }

    /// What it gives alone, `[n, tracks * length + groups]`, at the depth of the data.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn logits_of(&self, examples: &Examples) -> Result<Vec<f32>> {
        let mut logits = evaluate::logits_of(&self.ensemble, examples, Strand::AsGiven)?;
        let values = self.shape.values();
        for row in logits.chunks_mut(self.shape.outputs()) {
            row[values..].iter_mut().zip(&self.shift).for_each(|(log, shift)| *log += *shift as f32);
        }
        Ok(logits)
    }

    /// What the model alone gives for codes `[n, length]`.
    pub fn score(&self, codes: &[u8]) -> Tensor {
        ensemble::logits(&self.ensemble, codes)
    }

    /// The same for one-hot sequences, all by libtorch.
    pub fn logits_of_one_hot(&self, one_hot: &Tensor) -> Tensor {
        ensemble::logits_of_one_hot(&self.ensemble, one_hot)
    }

    /// Logits of a network together with what the model alone gives for the same sequences.
    pub fn added_to(&self, logits: &Tensor, own: &Tensor) -> Tensor {
        let (values, groups) = (self.shape.values() as i64, self.shape.groups() as i64);
        let profile = logits.narrow(1, 0, values) + own.narrow(1, 0, values);
        let shift: Vec<f32> = self.shift.iter().map(|&shift| shift as f32).collect();
        let own_counts = own.narrow(1, values, groups) + device::to_device(&shift, logits.device());
        let log_counts = logits.narrow(1, values, groups).logaddexp(&own_counts);
        Tensor::cat(&[profile, log_counts], 1)
    }
}

/// Copies the run of a bias model into that of the network which it is added to.
///
/// # Errors
/// A file cannot be read or written.
pub fn copy_into(run: &RunFolder, bias: &Path) -> Result<()> {
    let (folder, _) = RunFolder::open_finished(bias)?;
    for (from, to) in [(RUN_JSON, BIAS_JSON), (WEIGHTS, BIAS_WEIGHTS)] {
        let path = folder.file(from);
        let bytes = std::fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
        run.write(to, &bytes)?;
    }
    Ok(())
}
