//! Prints what tract gives for ONNX models: a list with, for each, its outputs row by row or why it has none.
//!
//!     strandnet-tract QUESTIONS.json
//!
//! A question is `{"model", "sequences", "control"}`; control may be null.

use serde::{Deserialize, Serialize};
use tract_onnx::prelude::*;

#[derive(Deserialize)]
struct Question {
    model: String,
    sequences: Vec<String>,
    control: Option<Vec<Vec<Vec<f32>>>>,
}

#[derive(Serialize)]
struct Answer {
    outputs: Vec<Output>,
    /// Whether the number of sequences was known before.
    batch_is_fixed: bool,
    fault: Option<String>,
}

#[derive(Serialize)]
struct Output {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Question {
    fn inputs(&self) -> TVec<Tensor> {
        let length = self.sequences[0].len();
        let bases: Vec<&[u8]> = self.sequences.iter().map(|bases| bases.as_bytes()).collect();
        let one_hot = |(i, row, at): (usize, usize, usize)| f32::from(bases[i][at] == b"ACGT"[row]);
        let mut inputs = tvec![tract_ndarray::Array3::from_shape_fn((bases.len(), 4, length), one_hot).into()];
        if let Some(control) = &self.control {
            let sizes = (control.len(), control[0].len(), control[0][0].len());
            inputs.push(tract_ndarray::Array3::from_shape_fn(sizes, |(i, track, at)| control[i][track][at]).into());
        }
        inputs
    }

    fn outputs(&self, batch_is_fixed: bool) -> TractResult<Vec<Output>> {
        let mut model = tract_onnx::onnx().model_for_path(&self.model)?;
        let inputs = self.inputs();
        if batch_is_fixed {
            for (i, input) in inputs.iter().enumerate() {
                model.set_input_fact(i, f32::fact(input.shape()).into())?;
            }
        }
        let outputs = model.into_optimized()?.into_runnable()?.run(inputs.into_iter().map(TValue::from).collect())?;
        let output = |output: &TValue| {
            let values = output.to_array_view::<f32>()?;
            Ok(Output { shape: output.shape().to_vec(), values: values.iter().copied().collect() })
        };
        outputs.iter().map(output).collect()
    }

    /// The same; where tract panics, an error.
    fn outputs_or_fault(&self, batch_is_fixed: bool) -> Result<Vec<Output>, String> {
        match std::panic::catch_unwind(|| self.outputs(batch_is_fixed)) {
            Ok(outputs) => outputs.map_err(|error| format!("{error:#}")),
            Err(_) => Err("tract panics".into()),
        }
    }

    fn answer(&self) -> Answer {
        let free = self.outputs_or_fault(false);
        let batch_is_fixed = free.is_err();
        match free.or_else(|_| self.outputs_or_fault(true)) {
            Ok(outputs) => Answer { outputs, batch_is_fixed, fault: None },
            Err(fault) => Answer { outputs: Vec::new(), batch_is_fixed, fault: Some(fault) },
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected a file of questions")?;
    let questions: Vec<Question> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let answers: Vec<Answer> = questions.iter().map(Question::answer).collect();
    println!("{}", serde_json::to_string(&answers)?);
    Ok(())
}
