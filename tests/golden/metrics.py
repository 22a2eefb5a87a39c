"""Golden values of the metrics, from scikit-learn 1.x and NumPy: writes metrics.csv and metrics.json beside this file.

    python tests/golden/metrics.py

The calibration error has no counterpart in scikit-learn: 15 equal-width bins of the positive probability, weighted by
their share of the examples.
"""
import json
import pathlib

import numpy as np
import sklearn
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


def main():
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


main()
