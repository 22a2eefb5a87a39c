"""Golden values of the metrics, from scikit-learn 1.x, SciPy and NumPy: writes beside this file metrics.csv and
metrics.json (one yes/no question), many.csv and many.json (classes, labels and real values).

    python tests/golden/metrics.py

The calibration error has no counterpart in scikit-learn: 15 equal-width bins of the positive probability, weighted by
their share of the examples. What scikit-learn scores as 0 or 1 by convention where it is undefined (the areas and the
F1 of a label without positives) is null and left out of the means.
"""
import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics as m

HERE = pathlib.Path(__file__).parent


def calibration_error(labels, scores, bins=15):
    which = np.minimum((scores * bins).astype(int), bins - 1)
    return sum(abs(scores[which == b].sum() - labels[which == b].sum()) for b in range(bins)) / len(labels)


def decisions(labels, scores, threshold):
    decided = scores >= threshold
    return {
        "accuracy": m.accuracy_score(labels, decided),
        "balanced_accuracy": m.balanced_accuracy_score(labels, decided),
        "mcc": m.matthews_corrcoef(labels, decided),
        "f1": m.f1_score(labels, decided),
    }


def yes_no():
    random = np.random.default_rng(7)
    sets = {}
    labels = random.random(500) < 0.5
    sets["balanced"] = (labels, 1 / (1 + np.exp(-random.normal(labels * 1.2 - 0.6, 1.0))), 0.43)
    labels = random.random(400) < 0.08
    sets["rare_and_tied"] = (labels, np.round(np.clip(random.normal(0.2 + 0.25 * labels, 0.15), 0, 1), 2), 0.3)
    labels = random.random(200) < 0.7
    sets["saturated"] = (labels, np.where(random.random(200) < 0.3, labels.astype(float), random.random(200)), 0.5)
    sets["all_called_negative"] = (np.array([True, False, False]), np.array([0.2, 0.1, 0.3]), 0.9)

    golden, rows = {"scikit_learn": sklearn.__version__, "numpy": np.__version__, "sets": {}}, ["set,label,score"]
    for name, (labels, scores, threshold) in sets.items():
        rows += [f"{name},{int(label)},{float(score)!r}" for label, score in zip(labels, scores)]
        values = {
            "auroc": m.roc_auc_score(labels, scores),
            "average_precision": m.average_precision_score(labels, scores),
            "brier_score": m.brier_score_loss(labels, scores),
            "log_loss": m.log_loss(labels, scores),
            "expected_calibration_error": calibration_error(labels, scores),
        }
        values |= decisions(labels, scores, threshold)
        values |= {f"{key}_at_half": value for key, value in decisions(labels, scores, 0.5).items()}
        golden["sets"][name] = {"threshold": threshold, "metrics": {key: float(value) for key, value in values.items()}}
    (HERE / "metrics.csv").write_text("\n".join(rows) + "\n")
    (HERE / "metrics.json").write_text(json.dumps(golden, indent=1) + "\n")


def classes(random):
    """Three classes, one of them rare; probabilities of two decimals, so with ties, some of them 0."""
    truth = random.choice(3, 300, p=[0.6, 0.36, 0.04])
    raw = np.exp(random.normal(2 * np.eye(3)[truth] + [0.5, 0, -0.5], 1.2))
    scores = np.round(raw / raw.sum(axis=1, keepdims=True), 2)
    scores[:, 2] = np.round(np.clip(1 - scores[:, 0] - scores[:, 1], 0, 1), 2)
    called = scores.argmax(axis=1)
    precision, recall, f1, _ = m.precision_recall_fscore_support(truth, called)
    parts = {
        name: {
            "auroc": m.roc_auc_score(truth == c, scores[:, c]),
            "average_precision": m.average_precision_score(truth == c, scores[:, c]),
            "precision": precision[c],
            "recall": recall[c],
            "f1": f1[c],
        }
        for c, name in enumerate(["common", "less_common", "rare"])
    }
    overall = {
        "macro_auroc": m.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
        "macro_average_precision": m.average_precision_score(truth, scores, average="macro"),
        "accuracy": m.accuracy_score(truth, called),
        "balanced_accuracy": m.balanced_accuracy_score(truth, called),
        "mcc": m.matthews_corrcoef(truth, called),
        "macro_f1": m.f1_score(truth, called, average="macro"),
        "log_loss": m.log_loss(truth, scores),
    }
    return truth[:, None], scores, overall, parts, m.confusion_matrix(truth, called).tolist()


def mean_of_defined(parts, name):
    defined = [part[name] for part in parts.values() if part[name] is not None]
    return np.mean(defined)


def labels(random):
    """Four labels, the last without positives."""
    truth = random.random((300, 4)) < [0.5, 0.2, 0.05, 0.0]
    scores = np.round(1 / (1 + np.exp(-random.normal(2.4 * truth - 1.4, 1.2))), 2)
    parts = {}
    for c, name in enumerate(["half", "fifth", "rare", "never"]):
        positive, score = truth[:, c], scores[:, c]
        parts[name] = {
            "auroc": m.roc_auc_score(positive, score) if positive.any() else None,
            "average_precision": m.average_precision_score(positive, score) if positive.any() else None,
            "accuracy_at_half": m.accuracy_score(positive, score >= 0.5),
            "f1_at_half": m.f1_score(positive, score >= 0.5) if positive.any() else None,
            "log_loss": m.log_loss(positive, score, labels=[False, True]),
        }
    overall = {
        "macro_auroc": m.roc_auc_score(truth[:, :3], scores[:, :3], average="macro"),
        "macro_average_precision": m.average_precision_score(truth[:, :3], scores[:, :3], average="macro"),
        "accuracy_at_half": np.mean((scores >= 0.5) == truth),
        "macro_f1_at_half": m.f1_score(truth[:, :3], scores[:, :3] >= 0.5, average="macro"),
        "log_loss": mean_of_defined(parts, "log_loss"),
    }
    return truth.astype(int), scores, overall, parts, None


def values(random):
    """Two columns with ties."""
    truth = np.round(random.normal([0, 50], [1, 8], (200, 2)), 1)
    scores = np.round(random.normal(truth * [0.8, 0.3] + [0.1, 33], [0.7, 5]), 1)
    parts = {
        name: {
            "pearson": stats.pearsonr(truth[:, c], scores[:, c]).statistic,
            "spearman": stats.spearmanr(truth[:, c], scores[:, c]).statistic,
            "r2": m.r2_score(truth[:, c], scores[:, c]),
            "rmse": m.root_mean_squared_error(truth[:, c], scores[:, c]),
            "mae": m.mean_absolute_error(truth[:, c], scores[:, c]),
        }
        for c, name in enumerate(["small", "large"])
    }
    overall = {name: mean_of_defined(parts, name) for name in ["pearson", "spearman"]} | {
        "r2": m.r2_score(truth, scores),
        "rmse": m.root_mean_squared_error(truth, scores),
        "mae": m.mean_absolute_error(truth, scores),
    }
    return truth, scores, overall, parts, None


def many():
    plain = lambda metrics: {name: None if value is None else float(value) for name, value in metrics.items()}
    versions = {"scikit_learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__}
    golden, rows = versions | {"sets": {}}, ["set,truth,scores"]
    for i, make in enumerate([classes, labels, values]):
        truth, scores, overall, parts, confusion = make(np.random.default_rng(11 + i))
        text = lambda row: " ".join(repr(value) for value in row.tolist())
        rows += [f"{make.__name__},{text(t)},{text(s)}" for t, s in zip(truth, scores)]
        parts = {name: plain(metrics) for name, metrics in parts.items()}
        golden["sets"][make.__name__] = {"metrics": plain(overall), "parts": parts, "confusion": confusion}
    (HERE / "many.csv").write_text("\n".join(rows) + "\n")
    (HERE / "many.json").write_text(json.dumps(golden, indent=1) + "\n")


yes_no()
many()
