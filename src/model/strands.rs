//! Filters tied between the strands. A batch of sequences becomes a batch twice as large: first what is seen along the
//! strand as given, then what is seen along the other one, each in its own direction. Layers that look at one strand at a
//! time need not know. Those that mix channels read both and treat them alike, in two computations of the same shape: so
//! a sequence and its reverse complement change places in everything that follows, to the last bit.

use tch::Tensor;

/// Which strands a layer that mixes channels reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Strands are not tied.
    Plain,
    /// Each strand reads its own features.
    Own,
    /// Each strand reads its own features and, behind them, the other's, reversed to its own direction.
    Both,
}

impl Reading {
    pub fn of(tied: bool, both: bool) -> Self {
        match (tied, both) {
            (false, _) => Self::Plain,
            (true, false) => Self::Own,
            (true, true) => Self::Both,
        }
    }

    /// Applies `layer` to what is read; in training, where the last bits do not matter, to both strands at once.
    pub fn apply(self, xs: &Tensor, training: bool, layer: impl Fn(&Tensor) -> Tensor) -> Tensor {
        match self {
            Self::Plain => return layer(xs),
            Self::Own if training => return layer(xs),
            Self::Both if training => {
                let (one, other) = halves(xs);
                let reversed = Tensor::cat(&[other, one], 0).flip([2]);
                return layer(&Tensor::cat(&[xs, &reversed], 1));
            }
            Self::Own | Self::Both => {}
        }
        let (one, other) = halves(xs);
        let outputs = match self {
            // Copies, because matrix products may round differently where memory is aligned differently.
            Self::Plain | Self::Own => [&one, &other].map(|strand| layer(&Tensor::cat(&[strand], 0))),
            Self::Both => [(&one, &other), (&other, &one)].map(|(a, b)| layer(&Tensor::cat(&[a, &b.flip([2])], 1))),
        };
        Tensor::cat(&outputs, 0)
    }
}

/// The reverse complement of one-hot `[batch, 4, length]`: both the rows A, C, G, T and the sequence reversed round.
pub fn reverse_complement(one_hot: &Tensor) -> Tensor {
    one_hot.flip([1, 2])
}

/// Both strands of one-hot sequences: `[batch, 4, length]` to `[2 * batch, 4, length]`.
pub fn both(one_hot: &Tensor) -> Tensor {
    Tensor::cat(&[one_hot, &reverse_complement(one_hot)], 0)
}

/// The mean over the strands: `[2 * batch, outputs]` to `[batch, outputs]`; `flipped` brings those of the other strand into the
/// direction of the first.
pub fn mean(logits: &Tensor, flipped: impl Fn(Tensor) -> Tensor) -> Tensor {
    let (one, other) = halves(logits);
    (one + flipped(other)) * 0.5
}

/// Numbers `[batch, numbers]` of which the first stretches, of these lengths, run the other way on the other strand: each of them
/// reversed, and the rest as they are.
pub fn mirrored(numbers: Tensor, stretches: &[usize]) -> Tensor {
    let Some(&first) = stretches.first() else { return numbers };
    let covered = stretches.iter().sum::<usize>() as i64;
    let rest = numbers.size()[1] - covered;
    let of = |start: i64, length: i64| numbers.narrow(1, start, length);
    let mut parts: Vec<Tensor> = if stretches.iter().all(|&length| length == first) {
        vec![of(0, covered).reshape([-1, stretches.len() as i64, first as i64]).flip([2]).flatten(1, -1)]
    } else {
        let starts = stretches.iter().scan(0, |start, &length| {
            *start += length as i64;
            Some(*start - length as i64)
        });
        starts.zip(stretches).map(|(start, &length)| of(start, length as i64).flip([1])).collect()
    };
    parts.push(of(covered, rest));
    Tensor::cat(&parts, 1)
}

/// What was seen along each strand. `chunk` is traced as it is, so it holds at any batch size.
fn halves(xs: &Tensor) -> (Tensor, Tensor) {
    let mut halves = xs.chunk(2, 0).into_iter();
    halves.next().zip(halves.next()).expect("two strands")
}
