//! The layers of a network as a table.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::config::{Strands, name_of};
use crate::format::thousands;
use crate::network::plan::{Plan, Step};
use crate::run::FORMAT_VERSION;

/// A row for each layer, with the layers of a residual block under it, and the totals.
pub fn table(plan: &Plan, strands: Strands) -> String {
    let mut rows: Vec<Row> =
        vec![["layer", "kind", "output", "parameters", "multiply-adds", "sees", "block"].map(str::to_owned)];
    rows.push(cells("input", "one-hot", &format!("4 x {}", plan.length), 0, 0, "1 bp", ""));
    for step in &plan.steps {
        push(&mut rows, step, 0, &plan.blocks[step.block]);
    }
    let reads = strands_read(strands);
    let (parameters, multiply_adds) = (plan.parameters(), reads * plan.multiply_adds());
    rows.push(cells("total", "", "", parameters, multiply_adds, "", &format!("{} blocks", plan.blocks.len())));
    let mut text = aligned(&rows);
    text.push_str(match strands {
        Strands::Single | Strands::Augment => "one strand of a sequence is scored\n",
        Strands::Average | Strands::Shared => {
            "the total of multiply-adds is for both strands of a sequence, which are scored alike\n"
        }
        Strands::Equivariant => {
            "outputs are those of each strand; parameters are shared and multiply-adds are for both strands\n"
        }
    });
    text
}

/// The same for programs: the layers, with those inside residual blocks within them, and the totals.
pub fn json(plan: &Plan, strands: Strands) -> Value {
    let reads = strands_read(strands);
    json!({
        "format_version": FORMAT_VERSION,
        "length": plan.length,
        "strands": name_of(&strands),
        "parameters": plan.parameters(),
        "multiply_adds": reads * plan.multiply_adds(),
        "blocks": plan.blocks,
        "layers": plan.steps.iter().map(|step| layer_json(step, plan)).collect::<Vec<_>>(),
    })
}

fn layer_json(step: &Step, plan: &Plan) -> Value {
    let mut output = vec![step.output.channels];
    output.extend(step.output.positions);
    json!({
        "name": step.name,
        "kind": step.layer.kind(),
        "block": plan.blocks[step.block],
        "output": output,
        "parameters": step.parameters,
        "multiply_adds": step.multiply_adds,
        "receptive_field": step.receptive_bp,
        "layers": step.inner.iter().map(|step| layer_json(step, plan)).collect::<Vec<_>>(),
    })
}

/// How many strands of a sequence are read for its score.
fn strands_read(strands: Strands) -> usize {
    if matches!(strands, Strands::Average | Strands::Shared) { 2 } else { 1 }
}

type Row = [String; 7];

fn push(rows: &mut Vec<Row>, step: &Step, depth: usize, block: &str) {
    let name = format!("{}{}", "  ".repeat(depth), if step.name.is_empty() { "-" } else { &step.name });
    let sees = format!("{} bp", thousands(step.receptive_bp));
    let output = step.output.to_string();
    rows.push(cells(&name, step.layer.kind(), &output, step.parameters, step.multiply_adds, &sees, block));
    for step in &step.inner {
        push(rows, step, depth + 1, block);
    }
}

fn cells(
    name: &str,
    kind: &str,
    output: &str,
    parameters: usize,
    multiply_adds: usize,
    sees: &str,
    block: &str,
) -> Row {
    let count = |count| if count == 0 { String::new() } else { thousands(count) };
    [name.into(), kind.into(), output.into(), count(parameters), count(multiply_adds), sees.into(), block.into()]
}

/// Numbers are right-aligned and words left-aligned.
fn aligned(rows: &[Row]) -> String {
    let widths: [usize; 7] = std::array::from_fn(|i| rows.iter().map(|row| row[i].len()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ =
                if (2..6).contains(&i) { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
