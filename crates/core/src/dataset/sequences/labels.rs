//! The task that labels ask for, the names of its classes, and labels as numbers.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{MAX_CLASSES, Missing, TaskKind};
use crate::dataset::class_labels::{self, ClassIndex};
use crate::dataset::examples::log_counts;
use crate::dataset::sequences::{Entry, Label};
use crate::dataset::{Classes, LoadRequest};
use crate::format::{list_first, thousands};
use crate::sequence::profile::ProfileShape;

/// The task and the names of its classes, labels or values.
pub(super) fn task_and_classes(
    entries: &[Entry],
    columns: Vec<String>,
    request: &LoadRequest,
) -> Result<(TaskKind, Classes)> {
    let source = entries.first().map_or("the data", |entry| &entry.origin.source);
    let (config, by_columns) = (request.config, !columns.is_empty());
    if let Some((kind, classes)) = request.task {
        let values = matches!(kind, TaskKind::Multilabel | TaskKind::Regression | TaskKind::Profile);
        if values != by_columns || (values && columns != classes.names) {
            let found = if by_columns { columns.join(", ") } else { "classes".into() };
            bail!(
                "{source}: holds {found}, expected {} as the run learned; name the columns alike",
                classes.names.join(", ")
            );
        }
        return Ok((kind, classes.clone()));
    }
    if by_columns {
        let kind = config.task_kind().unwrap_or(TaskKind::Multilabel);
        return Ok((kind, Classes::named(columns)));
    }
    let of_flags = config.flag_classes();
    let classes = if !config.classes.is_empty() {
        Classes::first_positive(config.classes.clone())
    } else if !of_flags.is_empty() {
        Classes::named(of_flags.into_iter().map(str::to_owned).collect())
    } else {
        let mut seen = HashSet::new();
        let labels = entries.iter().filter_map(|entry| match &entry.label {
            Label::Class(name) => seen.insert(Arc::as_ptr(name)).then_some(&**name),
            Label::Values(_) | Label::Bins(_) | Label::Profile { .. } => None,
        });
        let classes = Classes::from_labels(labels);
        if let Some((first, second)) = class_labels::alike(&classes.names) {
            let of =
                |name: &str| entries.iter().find(|entry| matches!(&entry.label, Label::Class(own) if **own == *name));
            let place = of(second).map_or_else(|| source.to_string(), |entry| entry.origin.describe());
            bail!(
                "{place}: found the label '{second}', which differs only in case from '{first}', expected one spelling; correct it, or list both in --classes"
            );
        }
        classes
    };
    let (n, shown) = (classes.names.len(), list_first(&classes.names, 8));
    if n < 2 {
        bail!("{source}: holds 1 class ({shown}), expected two or more; check the labels");
    }
    if n > MAX_CLASSES {
        bail!(
            "{source}: holds {n} classes ({shown}), expected at most {MAX_CLASSES}; for numbers use --task regression"
        );
    }
    let kind = match config.task {
        Some(TaskKind::Binary) if n > 2 => {
            bail!("{source}: holds {n} classes ({shown}), expected two for --task binary; remove --task")
        }
        Some(kind @ (TaskKind::Binary | TaskKind::Multiclass)) => kind,
        _ if n == 2 => TaskKind::Binary,
        _ => TaskKind::Multiclass,
    };
    Ok((kind, classes))
}

/// Leaves out examples without a value in any column, and says how many values are missing in the others.
pub(super) fn leave_out_unlabelled(entries: &mut [Entry], columns: &[String], request: &LoadRequest) -> Result<()> {
    let (mut missing, mut empty, mut kept) = (vec![0usize; columns.len()], 0, 0);
    for Entry { label, split, origin, .. } in entries.iter_mut().filter(|entry| entry.split.is_some()) {
        let Label::Values(values) = label else { continue };
        let first = values.iter().position(|value| value.is_nan());
        if let (Some(column), Missing::Error) = (first, request.config.missing) {
            bail!(
                "{}: column '{}' has no value, expected one under --missing error; give one or remove the line",
                origin.describe(),
                columns.get(column).map_or("", String::as_str)
            );
        }
        if values.iter().all(|value| value.is_nan()) {
            (*split, empty) = (None, empty + 1);
            continue;
        }
        kept += 1;
        missing.iter_mut().zip(values.iter()).for_each(|(count, value)| *count += usize::from(value.is_nan()));
    }
    let (all, progress) = (missing.iter().sum::<usize>(), request.progress);
    if empty > 0 {
        progress.say(&format!(
            "{} of {} examples have no value in any column and are left out",
            thousands(empty),
            thousands(empty + kept)
        ));
    }
    if all > 0 {
        let named = missing.iter().zip(columns).filter(|(count, _)| **count > 0);
        let named: Vec<String> = named.map(|(count, name)| format!("{name} {}", thousands(*count))).collect();
        progress.say(&format!(
            "{} of {} values are missing and are left out of loss and metrics ({})",
            thousands(all),
            thousands(kept * columns.len()),
            list_first(&named, 8)
        ));
    }
    Ok(())
}

/// Labels as numbers, `[n, width]`.
pub(super) fn number_labels(
    entries: &[Entry],
    (kind, profile): (TaskKind, Option<&ProfileShape>),
    classes: &Classes,
    request: &LoadRequest,
) -> Result<Vec<f32>> {
    let index = ClassIndex::new(&classes.names);
    let (mut labels, mut alike) = (Vec::new(), Vec::new());
    for Entry { label, origin, .. } in entries {
        match label {
            Label::Class(name) => {
                // A run's own classes may be written in another case in the table of a later test.
                let in_another_case = || {
                    request.task.and_then(|_| index.find_alike(name)).inspect(|&class| {
                        let read = format!("'{name}' as {}", classes.names[class]);
                        if !alike.contains(&read) {
                            alike.push(read);
                        }
                    })
                };
                match index.find(name).or_else(in_another_case) {
                    Some(class) => labels.push(class as f32),
                    None => {
                        let case = match index.find_alike(name) {
                            Some(class) => format!(", which differs only in case from '{}'", classes.names[class]),
                            None => String::new(),
                        };
                        bail!(
                            "{}: found the label '{name}'{case}, expected {}; correct or remove it",
                            origin.describe(),
                            list_first(&classes.names, 8).replace(", ", " or ")
                        )
                    }
                }
            }
            Label::Values(values) => {
                if values.len() != classes.names.len() {
                    bail!(
                        "{}: found {} labels, expected {}; correct the line",
                        origin.describe(),
                        values.len(),
                        classes.names.len()
                    );
                }
                if kind == TaskKind::Multilabel
                    && let Some(wrong) = values.iter().find(|value| ![0.0, 1.0].contains(*value) && !value.is_nan())
                {
                    bail!(
                        "{}: found the label {wrong}, expected 0 or 1 for --task multilabel; correct it or use --task regression",
                        origin.describe()
                    );
                }
                labels.extend_from_slice(values);
            }
            Label::Bins(values) => {
                let columns = classes.names.len();
                if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
                    bail!(
                        "{}: found {} values of bins, expected as many of each of {columns} columns; correct the line",
                        origin.describe(),
                        values.len()
                    );
                }
                let mean = |bins: &[f32]| bins.iter().map(|&value| f64::from(value)).sum::<f64>() / bins.len() as f64;
                labels.extend(values.chunks(values.len() / columns).map(|bins| mean(bins) as f32));
            }
            Label::Profile { counts, .. } => labels.extend(profile.iter().flat_map(|shape| log_counts(shape, counts))),
        }
    }
    if !alike.is_empty() {
        request
            .progress
            .warn(&format!("labels are in another case than the run's classes: {} read", list_first(&alike, 8)));
    }
    Ok(labels)
}
