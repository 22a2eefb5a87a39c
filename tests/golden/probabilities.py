"""Golden values of probability calibration: writes probabilities.csv and probabilities.json beside this file. Platt scaling is
scikit-learn's own (`_sigmoid_calibration`, with sample weights); temperature and vector scaling minimise the same loss
with SciPy; the debiased calibration error is that of the package uncertainty-calibration (Kumar, Liang and Ma, 2019),
in 15 bins of equal count.

    pip install numpy scipy scikit-learn uncertainty-calibration
    python tests/golden/probabilities.py

Weights bring each class to the share `prior`. Targets are Platt's from the weighted counts; those of several classes are
(n + 1) / (n + 2) for the true class and the rest for the others in proportion to their shares.
"""
import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy.optimize import minimize, minimize_scalar
from sklearn.calibration import _sigmoid_calibration

HERE = pathlib.Path(__file__).parent


def softplus(x):
    return np.logaddexp(0, x)


def two(logits, positive, prior):
    """Slope and intercept of Platt scaling, and the slope of temperature scaling."""
    n = len(logits)
    weights = np.where(positive, prior * n / positive.sum(), (1 - prior) * n / (n - positive.sum()))
    # scikit-learn's is 1 / (1 + exp(a f + b)); it stops at a gradient of 1e-6, so the minimum is polished below.
    a, b = _sigmoid_calibration(logits.copy(), positive.astype(int), weights)
    plus, minus = prior * n, (1 - prior) * n
    targets = np.where(positive, (plus + 1) / (plus + 2), 1 / (minus + 2))

    def loss(slope, intercept):
        z = slope * logits + intercept
        return (weights * (softplus(z) - targets * z)).sum() / n

    polished = minimize(lambda p: loss(*p), [-a, -b], method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-16, "maxiter": 10000})
    assert np.allclose(polished.x, [-a, -b], rtol=2e-3, atol=2e-3), (polished.x, -a, -b)
    slope = minimize_scalar(lambda s: loss(s, 0), bounds=(1e-3, 50), method="bounded", options={"xatol": 1e-12}).x
    return {"platt": polished.x.tolist(), "scikit_learn": [-a, -b], "temperature": 1 / slope}


def several(logits, classes, prior):
    """Scales and biases (adding up to 0) of vector scaling, and the temperature."""
    n, k = logits.shape
    counts = np.bincount(classes, minlength=k)
    weights = (prior / counts)[classes]
    targets = np.empty((k, k))
    for c in range(k):
        targets[c] = prior / (1 - prior[c]) / (prior[c] * n + 2)
        targets[c, c] = (prior[c] * n + 1) / (prior[c] * n + 2)
    targets = targets[classes]

    def loss(z):
        log_p = z - scipy.special.logsumexp(z, axis=1, keepdims=True)
        return -(weights[:, None] * targets * log_p).sum()

    found = minimize(lambda p: loss(logits * p[:k] + p[k:]), np.r_[np.ones(k), np.zeros(k)], method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    scale = minimize_scalar(lambda s: loss(logits * s), bounds=(1e-3, 50), method="bounded", options={"xatol": 1e-12}).x
    biases = found.x[k:] - found.x[k:].mean()
    return {"scales": found.x[:k].tolist(), "biases": biases.tolist(), "temperature": 1 / scale}


def debiased(scores, positive):
    """Root of the mean squared calibration error without the bias of its plug-in estimate, in 15 bins of equal count."""
    import calibration  # of the package uncertainty-calibration

    return float(calibration.lower_bound_scaling_ce(scores, positive.astype(int), p=2, debias=True, num_bins=15))


def main():
    random = np.random.default_rng(20)
    rows, sets = ["set,label,logits"], {}
    for name, n, share, stretch, shift, prior in [
        ("plain", 400, 0.5, 1.0, 0.0, 0.5),
        ("over_confident", 300, 0.3, 6.0, 0.0, 0.3),
        ("class_weights", 500, 0.2, 1.5, 3.0, 0.045),
        ("balanced_to_rare", 200, 0.5, 0.7, 0.5, 0.01),
        ("few", 12, 0.4, 2.0, 0.0, 0.2),
    ]:
        positive = random.random(n) < share
        honest = np.log(share / (1 - share)) + np.where(positive, 1, -1) + random.normal(0, 1.4, n)
        logits = (stretch * honest + shift).astype(np.float32)
        rows += [f"{name},{int(p)},{x}" for p, x in zip(positive, logits)]
        sets[name] = {"prior": prior} | two(logits.astype(float), positive, prior)
    separated = np.r_[np.linspace(2, 9, 20), np.linspace(-8, -1, 30)].astype(np.float32)
    rows += [f"separated,{int(i < 20)},{x}" for i, x in enumerate(separated)]
    sets["separated"] = {"prior": 0.4} | two(separated.astype(float), np.arange(50) < 20, 0.4)
    classes_of = {}
    for name, n, shares, prior in [
        ("three", 600, [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]),
        ("three_moved", 600, [0.34, 0.33, 0.33], [0.9, 0.07, 0.03]),
        ("six", 900, [0.3, 0.2, 0.2, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.2, 0.2, 0.3]),
    ]:
        k = len(shares)
        classes = random.choice(k, n, p=shares)
        honest = np.log(shares) + 1.5 * np.eye(k)[classes] + random.normal(0, 1.2, (n, k))
        logits = (honest * random.uniform(0.5, 3, k) + random.normal(0, 1, k)).astype(np.float32)
        rows += [f"{name},{c},{' '.join(str(x) for x in row)}" for c, row in zip(classes, logits)]
        classes_of[name] = {"prior": prior} | several(logits.astype(float), classes, np.array(prior))
    errors = {}
    for name, n, stretch in [("calibrated", 1000, 1.0), ("over_confident_scores", 1000, 2.0), ("small", 40, 1.3)]:
        honest = random.normal(0, 1.5, n)
        positive = random.random(n) < 1 / (1 + np.exp(-honest))
        scores = np.round(1 / (1 + np.exp(-stretch * honest)), 6)
        rows += [f"{name},{int(p)},{float(x)!r}" for p, x in zip(positive, scores)]
        errors[name] = debiased(scores, positive)
    scores = np.round(random.random(200), 1)
    positive = random.random(200) < scores**2
    rows += [f"tied,{int(p)},{float(x)!r}" for p, x in zip(positive, scores)]
    errors["tied"] = debiased(scores, positive)
    golden = {
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit_learn": sklearn.__version__,
        "two": sets,
        "several": classes_of,
        "debiased_calibration_error": errors,
    }
    (HERE / "probabilities.csv").write_text("\n".join(rows) + "\n")
    (HERE / "probabilities.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
