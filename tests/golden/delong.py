"""Golden values of DeLong's test: writes delong.csv and delong.json beside this file.

    python tests/golden/delong.py

Straight from the paper (DeLong, DeLong and Clarke-Pearson, 1988, equations 3 to 8): every positive is compared with every
negative, and the covariance matrix of the two areas is that of the placements. Areas come from scikit-learn, the p-value
from SciPy.
"""
import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn.metrics import roc_auc_score

HERE = pathlib.Path(__file__).parent


def delong(labels, both):
    positives, negatives = both[:, labels], both[:, ~labels]
    pairs = (positives[:, :, None] > negatives[:, None, :]) + 0.5 * (positives[:, :, None] == negatives[:, None, :])
    covariance = np.cov(pairs.mean(axis=2)) / labels.sum() + np.cov(pairs.mean(axis=1)) / (~labels).sum()
    areas = [roc_auc_score(labels, scores) for scores in both]
    contrast = np.array([-1.0, 1.0])
    difference, deviation = areas[1] - areas[0], float(np.sqrt(contrast @ covariance @ contrast))
    margin = stats.norm.ppf(0.975) * deviation
    return {
        "difference": difference,
        "low": difference - margin,
        "high": difference + margin,
        "p_value": 2 * stats.norm.sf(abs(difference) / deviation),
    }


def main():
    random = np.random.default_rng(11)
    golden = {"scikit_learn": sklearn.__version__, "scipy": scipy.__version__, "sets": {}}
    rows = ["set,label,first,second"]
    for name, count, share, strengths, digits in [
        ("alike", 300, 0.5, (1.0, 1.0), 12),
        ("second_better", 250, 0.4, (0.5, 1.5), 12),
        ("rare_and_tied", 400, 0.06, (1.2, 0.9), 1),
        ("far_apart", 600, 0.5, (0.1, 4.0), 12),
    ]:
        labels = random.random(count) < share
        shared = random.normal(size=count)
        both = np.array([np.round(strength * labels + shared + random.normal(size=count), digits) for strength in strengths])
        golden["sets"][name] = delong(labels, both)
        rows += [f"{name},{int(label)},{float(a)!r},{float(b)!r}" for label, a, b in zip(labels, *both)]
    (HERE / "delong.csv").write_text("\n".join(rows) + "\n")
    (HERE / "delong.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
