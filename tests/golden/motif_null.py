"""P-values of scores against a null with a fitted tail, for crates/core/src/motif/null.rs and tail.rs.

An independent account of the method: leave-one-out standardization by target with NumPy, the greatest over targets, and a
generalized Pareto tail with its moments' estimates, whose survival function is SciPy's. Made with NumPy 2.4.6 and SciPy 1.17.1.
"""

import json
import pathlib

import numpy as np
import scipy
from scipy.stats import genpareto

COUNTED, SHARE = 10, 0.1
rng = np.random.default_rng(7)


def log_p(scores, target, score):
    n = len(scores)
    pooled = scores.var(axis=0).mean()

    def excess(values, others):
        return (values - others.mean(axis=0)) / np.sqrt(0.5 * (others.var(axis=0) + pooled))

    greatest = np.array([excess(scores[i], np.delete(scores, i, axis=0)).max() for i in range(n)])
    value = (score - scores[:, target].mean()) / np.sqrt(0.5 * (scores[:, target].var() + pooled))
    as_extreme = (greatest >= value).sum()
    if as_extreme >= COUNTED:
        return np.log((1 + as_extreme) / (1 + n))
    fitted = max(COUNTED, int(n * SHARE))
    ordered = np.sort(greatest)
    threshold = (ordered[n - fitted - 1] + ordered[n - fitted]) / 2
    above = ordered[n - fitted:] - threshold
    shape = max(0.0, 0.5 * (1 - above.mean() ** 2 / above.var(ddof=1)))
    tail = genpareto(shape, scale=above.mean() * (1 - shape)).logsf(value - threshold)
    return min(np.log((1 + fitted) / (1 + n)) + tail, np.log((1 + COUNTED) / (1 + n)))


golden = []
for n, targets, power in [(120, 6, 1.0), (300, 4, 1.5), (101, 3, 1.0)]:
    scores = np.round(rng.exponential(1.0, (n, targets)) ** power * np.linspace(0.5, 3, targets), 6)
    asked = [(t, s, float(log_p(scores, t, s))) for t in range(targets) for s in (0.0, 1.0, 3.0, 6.0, 12.0, 40.0)]
    golden.append({"scores": scores.tolist(), "asked": asked})
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in golden) + "\n]\n")
print(np.__version__, scipy.__version__)
