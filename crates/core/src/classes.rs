//! Names of the classes, labels or columns of a task.

use serde::{Deserialize, Serialize};

/// Names of the classes (or of label columns), in the order used throughout a run, and which class is the positive one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    /// Names by class index or label column, as in the labels of examples.
    pub names: Vec<String>,
    /// Index of the positive class.
    pub positive: usize,
}

impl Classes {
    /// Classes in their order. Of 0 and 1 (or -1 and 1), 1 is positive, otherwise the first.
    pub fn named(names: Vec<String>) -> Self {
        let numbers: Vec<Option<f64>> = names.iter().map(|name| name.parse().ok()).collect();
        let positive = match numbers[..] {
            [Some(low), Some(high)] if high == 1.0 && (low == 0.0 || low == -1.0) => 1,
            _ => 0,
        };
        Self { names, positive }
    }

    /// Name of the class whose probability a binary network predicts.
    pub fn positive_name(&self) -> &str {
        &self.names[self.positive]
    }

    /// The other of two classes.
    pub fn negative_name(&self) -> &str {
        &self.names[1 - self.positive]
    }
}
