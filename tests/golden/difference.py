"""Golden values of paired differences of metrics: writes difference.csv and difference.json beside this file.

    python tests/golden/difference.py

Values come from scikit-learn and SciPy on all examples. Intervals are those of the percentile bootstrap (Efron and
Tibshirani, 1993), of examples or of whole clusters of them, from ten times as many resamples as the program draws: ends
agree within a few hundredths of the width.
"""
import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import roc_auc_score

HERE = pathlib.Path(__file__).parent
RESAMPLES = 10_000


def auroc(positive, scores):
    ranks, n = rankdata(scores), positive.sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n))


def macro_auroc(labels, scores):
    return np.mean([auroc(labels == k, scores[:, k]) for k in range(scores.shape[1])])


def pearson(values, scores):
    return np.corrcoef(values, scores[:, 0])[0, 1]


def interval(metric, labels, both, clusters, random):
    members = [np.flatnonzero(clusters == cluster) for cluster in range(clusters.max() + 1)]
    draws = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([members[i] for i in random.integers(0, len(members), len(members))])
        first, second = (metric(labels[chosen], scores[chosen]) for scores in both)
        draws.append(second - first)
    return [float(end) for end in np.percentile(draws, [2.5, 97.5])]


def main():
    random = np.random.default_rng(12)
    golden = {"scikit_learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__, "sets": {}}
    rows, n = ["set,cluster,label,first_0,first_1,first_2,second_0,second_1,second_2"], 300
    for name, metric, clustered in [
        ("classes", "macro_auroc", False),
        ("classes_in_clusters", "macro_auroc", True),
        ("values", "pearson", False),
        ("values_in_clusters", "pearson", True),
    ]:
        clusters = np.repeat(np.arange(60), 5) if clustered else np.arange(n)
        # Examples of a cluster are near copies of each other.
        shared = random.normal(size=(clusters.max() + 1, 3))[clusters]
        if metric == "macro_auroc":
            labels = (shared[:, 0] > 0).astype(int) + (shared[:, 0] > 0.8)
            truth = np.eye(3)[labels]
        else:
            labels = np.round(shared[:, 0], 6)
            truth = np.repeat(shared[:, :1], 3, axis=1)
        noise = [random.normal(size=(clusters.max() + 1, 3))[clusters] for _ in range(2)]
        both = [np.round(strength * truth + noise + 0.1 * random.normal(size=(n, 3)), 6)
                for strength, noise in zip((0.8, 1.1), noise)]
        if metric == "macro_auroc":
            values = [np.mean([roc_auc_score(labels == k, scores[:, k]) for k in range(3)]) for scores in both]
            function = macro_auroc
        else:
            values = [pearsonr(labels, scores[:, 0])[0] for scores in both]
            function = pearson
        low, high = interval(function, labels, both, clusters, random)
        golden["sets"][name] = {"metric": metric, "difference": float(values[1] - values[0]), "low": low, "high": high}
        print(name, golden["sets"][name])
        rows += [f"{name},{cluster},{label}," + ",".join(f"{value!r}" for value in map(float, [*first, *second]))
                 for cluster, label, first, second in zip(clusters, labels, *both)]
    (HERE / "difference.csv").write_text("\n".join(rows) + "\n")
    (HERE / "difference.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
