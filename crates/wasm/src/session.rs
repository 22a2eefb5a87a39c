//! A network and a sequence, and what the network says of it.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use strandnet_core::attribute::target::{Explained, Explainer};
use strandnet_core::attribute::{gradients, mutagenesis};
use strandnet_core::export::embedded::Embedded;
use strandnet_core::network::inference::Ensemble;
use strandnet_core::scorer::Scorer;
use strandnet_core::sequence::alphabet;

/// What follows the name of a group of tracks where its profile is explained.
const PROFILE: &str = ":profile";

/// A network with the sequence that it is asked about.
#[derive(Debug)]
pub struct Session {
    embedded: Embedded,
    networks: Ensemble,
    targets: Vec<Explained>,
    /// Codes of the sequence; of a shorter one, between unknown bases.
    codes: Vec<u8>,
    /// Where in them the sequence is.
    own: Range<usize>,
    /// First position of each window.
    starts: Vec<usize>,
}

impl Session {
    /// The network that a description in JSON and the bytes of its weights make.
    ///
    /// # Errors
    /// Either is damaged, or they do not fit together.
    pub fn new(description: &[u8], weights: &[u8]) -> Result<Self> {
        let embedded: Embedded = serde_json::from_slice(description)
            .context("the description of the network is damaged; export it again")?;
        let networks = embedded.ensemble(weights)?;
        let names = embedded.classes.names.iter();
        let names: Vec<String> = match embedded.task.profile {
            Some(_) => names.flat_map(|name| [name.clone(), format!("{name}{PROFILE}")]).collect(),
            None => names.cloned().collect(),
        };
        let targets = names.iter().map(|name| Explained::new(&embedded.task, &embedded.classes, Some(name)));
        let targets = targets.collect::<Result<_>>()?;
        Ok(Self { embedded, networks, targets, codes: Vec::new(), own: 0..0, starts: Vec::new() })
    }

    /// Descriptions of what can be explained: of each class, label, column or group, of which profiles have two.
    pub fn targets(&self) -> Vec<String> {
        self.targets.iter().map(Explained::description).collect()
    }

    fn length(&self) -> usize {
        self.networks.length()
    }

    /// Takes letters as the sequence and returns the number of its windows.
    ///
    /// # Errors
    /// It is empty, a letter is no base, or the stride is 0.
    pub fn set_sequence(&mut self, letters: &[u8], stride: usize) -> Result<usize> {
        self.codes.clear();
        self.starts.clear();
        alphabet::encode(letters, &mut self.codes)?;
        if self.codes.is_empty() {
            bail!("the sequence is empty, expected at least one base");
        }
        if stride == 0 {
            bail!("the stride is 0, expected 1 base or more");
        }
        let (bases, length) = (self.codes.len(), self.length());
        self.own = 0..bases;
        if bases < length {
            let mut padded = Vec::new();
            let before = alphabet::fit(&self.codes, length, &mut padded);
            (self.codes, self.own) = (padded, before..before + bases);
        }
        self.starts = (0..=self.codes.len() - length).step_by(stride).collect();
        Ok(self.starts.len())
    }

    /// The codes of a window.
    fn window(&self, window: usize) -> Result<&[u8]> {
        let start = *self.starts.get(window).context("there is no such window")?;
        Ok(&self.codes[start..start + self.length()])
    }

    /// Where in a window the sequence is: all of it, but for padding.
    fn own_of(&self, window: usize) -> Result<Range<usize>> {
        let start = *self.starts.get(window).context("there is no such window")?;
        Ok(self.own.start.max(start) - start..self.own.end.min(start + self.length()) - start)
    }

    /// Whether a window holds more unknown bases than are scored, padding aside.
    fn has_too_many_unknown(&self, start: usize) -> bool {
        let end = (start + self.length()).min(self.own.end);
        self.embedded.limit().is_exceeded_by(&self.codes[start.max(self.own.start)..end])
    }

    /// Predictions of windows, `[count, outputs]`, as `predict` gives them; NaN where there is none.
    ///
    /// # Errors
    /// There are fewer windows, or a prediction is not finite.
    pub fn score(&self, first: usize, count: usize, reverse: bool) -> Result<Vec<f64>> {
        let starts = self.starts.get(first..first + count).context("there are no such windows")?;
        let scored: Vec<usize> = starts.iter().copied().filter(|&start| !self.has_too_many_unknown(start)).collect();
        let logits = if scored.is_empty() {
            Vec::new()
        } else if reverse {
            let mut codes: Vec<u8> =
                scored.iter().flat_map(|&start| &self.codes[start..start + self.length()]).copied().collect();
            codes.chunks_mut(self.length()).for_each(alphabet::reverse_complement);
            self.networks.score(&codes)?.into_logits()
        } else {
            // Only what these windows need: the rest of the sequence may be long.
            let (from, to) = (scored[0], scored[scored.len() - 1] + self.length());
            let starts: Vec<usize> = scored.iter().map(|start| start - from).collect();
            self.networks.submit_windows(&self.codes[from..to], &starts)?.wait()?.into_logits()
        };
        let predictions = self.embedded.task.activate(&logits)?;
        let outputs = self.embedded.task.outputs();
        let mut rows = predictions.chunks(outputs);
        let row = |start: &usize| match self.has_too_many_unknown(*start) {
            true => vec![f64::NAN; outputs],
            false => rows.next().map(<[f64]>::to_vec).unwrap_or_default(),
        };
        Ok(starts.iter().flat_map(row).collect())
    }

    /// All numbers that are predicted for a window.
    ///
    /// # Errors
    /// There is no such window, or a prediction is not finite.
    pub fn details(&self, window: usize) -> Result<Vec<f64>> {
        let numbers = self.embedded.task.activate_each(self.networks.score(self.window(window)?)?.logits())?;
        Ok(match &self.embedded.task.profile {
            Some(profile) => {
                (0..profile.shape.groups()).flat_map(|group| profile.expected_counts(&numbers, group)).collect()
            }
            None => numbers,
        })
    }

    fn explainer(&self, target: usize) -> Result<Explainer<'_>> {
        let explained = self.targets.get(target).context("there is no such output")?;
        Ok(Explainer { scorer: &self.networks, explained })
    }

    /// What is explained for a window, and gradient x input of each of its bases, padding aside.
    ///
    /// # Errors
    /// There is no such window or output, or a number is not finite.
    pub fn gradients(&self, window: usize, target: usize) -> Result<Vec<f64>> {
        let (explainer, codes) = (self.explainer(target)?, self.window(window)?);
        let importance = gradients::importance(&gradients::saliency_times_input(&explainer, codes)?);
        let mut numbers = explainer.score(codes)?;
        numbers.extend(importance[self.own_of(window)?].iter().copied().map(f64::from));
        Ok(numbers)
    }

    /// How substitutions change what is explained, `[positions, 4]`; positions are those of the bases, padding aside.
    ///
    /// # Errors
    /// As [`Session::gradients`].
    pub fn mutagenesis(&self, window: usize, target: usize, positions: Range<usize>) -> Result<Vec<f64>> {
        let (explainer, codes) = (self.explainer(target)?, self.window(window)?);
        let own = self.own_of(window)?;
        if positions.start > positions.end || positions.end > own.len() {
            bail!("there are no such positions");
        }
        let positions = own.start + positions.start..own.start + positions.end;
        let score = explainer.score(codes)?[0];
        let changes = mutagenesis::changes_within(&explainer, codes, score, positions.clone())?;
        let at = |position: usize| (0..4).map(move |base| base * codes.len() + position);
        Ok(positions.flat_map(at).map(|place| f64::from(changes[place])).collect())
    }
}
