"""Golden values of profile metrics: writes profile.json beside this file.

    python tests/golden/profile.py

Counts of a few loci with logits, and what SciPy makes of them: the multinomial distribution, the Jensen-Shannon distance with its
natural logarithm, and both correlations, base by base and of sums over ten bases.
"""
import json
import pathlib

import numpy as np
import scipy
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax
from scipy.stats import multinomial, pearsonr, spearmanr

HERE = pathlib.Path(__file__).parent
STRETCH = 10


def locus(random, bases, reads, follows):
    logits = random.normal(size=bases).astype(np.float32)
    weights = np.exp(log_softmax(follows * logits.astype(float)))
    counts = random.multinomial(reads, weights / weights.sum())
    log = log_softmax(logits.astype(float))
    p, observed = np.exp(log), counts / counts.sum()
    binned = [values[: bases // STRETCH * STRETCH].reshape(-1, STRETCH).sum(1) for values in (counts, p)]
    return {
        "counts": counts.tolist(),
        "logits": logits.tolist(),
        "multinomial_nll": -multinomial.logpmf(counts, reads, p / p.sum()),
        "gain": float((counts * log).sum() / reads + np.log(bases)),
        "jensen_shannon_distance": float(jensenshannon(observed, p)),
        "pearson": pearsonr(counts, p)[0],
        "spearman": spearmanr(counts, p)[0],
        "pearson_binned": pearsonr(*binned)[0],
        "spearman_binned": spearmanr(*binned)[0],
    }


def main():
    random = np.random.default_rng(1)
    loci = [locus(random, *shape) for shape in
            ((40, 5, 1.0), (40, 200, 1.0), (97, 131, 0.5), (500, 131, 1.0), (500, 20_000, 1.0), (500, 131, -1.0))]
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    text = json.dumps({"versions": versions, "stretch": STRETCH, "loci": loci})
    (HERE / "profile.json").write_text(text.replace('{"counts"', '\n{"counts"') + "\n")


main()
