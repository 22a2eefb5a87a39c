"""Metrics of arrays with 95 % intervals, as `strandnet evaluate` gives them.

binary, multiclass, multilabel and regression give all metrics as a dict from name to Estimate; those of several classes, labels or
columns also hold each one's under "classes". The others give one metric of two classes. An Estimate has value, low, high and method,
and float() gives its value.

Intervals come from the bootstrap, or from a closed form where there is one. Examples of equal `blocks`, integers [n], are drawn
together: windows of one stretch of a chromosome depend on each other. The same seed gives the same intervals. intervals=False leaves
them out, which is a thousand times faster.
"""
from . import _core

__all__ = [
    "accuracy", "auprc", "auroc", "balanced_accuracy", "binary", "brier_score", "expected_calibration_error", "f1", "log_loss", "mcc",
    "multiclass", "multilabel", "regression",
]


def _array(values, kind, axes, what):
    import numpy

    array = numpy.asarray(values)
    if axes == 2 and array.ndim == 1:
        array = array[:, None]
    if array.ndim != axes:
        raise ValueError(f"{what} has {array.ndim} axes, expected {axes}; reshape it")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} is {array.dtype}, expected numbers; convert it")
    if kind == "bool" and not numpy.isin(array, (0, 1)).all():
        raise ValueError(f"{what} holds other numbers than 0 and 1, expected those alone; correct it")
    if kind == "int64" and not numpy.equal(array, numpy.floor(array)).all():
        raise ValueError(f"{what} holds fractions, expected numbers of classes; correct it")
    return numpy.ascontiguousarray(array, kind)


def _blocks(blocks):
    return None if blocks is None else _array(blocks, "int64", 1, "blocks").tolist()


def _names(names, count, what):
    names = [f"{what}{i}" for i in range(count)] if names is None else list(names)
    if len(names) != count:
        raise ValueError(f"there are {len(names)} names, expected {count}, one for each column; give as many")
    return names


def binary(labels, scores, threshold=0.5, blocks=None, seed=1, intervals=True):
    """Metrics of two classes: labels of 0 and 1 and probabilities of 1, both [n]. An example counts as 1 from `threshold` on."""
    labels, scores = _array(labels, "bool", 1, "labels"), _array(scores, "float64", 1, "scores")
    return _core.binary(labels, scores, threshold, _blocks(blocks), seed, intervals)


def multiclass(labels, scores, names=None, blocks=None, seed=1, intervals=True):
    """Metrics of several classes: numbers of classes [n] and probabilities [n, classes]."""
    labels, scores = _array(labels, "int64", 1, "labels"), _array(scores, "float64", 2, "scores")
    return _core.multiclass(labels, scores, _names(names, scores.shape[1], "class"), _blocks(blocks), seed, intervals)


def multilabel(labels, scores, names=None, blocks=None, seed=1, intervals=True):
    """Metrics of several labels: 0, 1 or NaN where one is missing, and probabilities, both [n, labels]."""
    labels, scores = _array(labels, "float64", 2, "labels"), _array(scores, "float64", 2, "scores")
    return _core.multilabel(labels, scores, _names(names, scores.shape[1], "label"), _blocks(blocks), seed, intervals)


def regression(values, predictions, names=None, blocks=None, seed=1, intervals=True):
    """Metrics of values, NaN where one is missing, and predictions, both [n, columns] or [n]."""
    values, predictions = _array(values, "float64", 2, "values"), _array(predictions, "float64", 2, "predictions")
    return _core.regression(values, predictions, _names(names, predictions.shape[1], "column"), _blocks(blocks), seed, intervals)


def _of(name, sentence):
    def metric(labels, scores, threshold=0.5, blocks=None, seed=1, intervals=True):
        return binary(labels, scores, threshold, blocks, seed, intervals)[name]

    metric.__doc__ = f"{sentence} of labels of 0 and 1 and probabilities of 1, both [n], as an Estimate."
    return metric


def _named(name, found, sentence):
    metric = _of(found, sentence)
    metric.__name__ = metric.__qualname__ = name
    return metric


auroc = _named("auroc", "auroc", "The area under the ROC curve")
auprc = _named("auprc", "average_precision", "The area under the precision-recall curve (average precision)")
accuracy = _named("accuracy", "accuracy", "The accuracy at a threshold")
balanced_accuracy = _named("balanced_accuracy", "balanced_accuracy", "The mean of sensitivity and specificity at a threshold")
mcc = _named("mcc", "mcc", "The Matthews correlation at a threshold")
f1 = _named("f1", "f1", "The F1 score at a threshold")
brier_score = _named("brier_score", "brier_score", "The mean squared error of the probabilities")
log_loss = _named("log_loss", "log_loss", "The log loss")
expected_calibration_error = _named("expected_calibration_error", "expected_calibration_error", "The expected calibration error")
