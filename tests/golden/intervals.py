"""Golden values of closed-form intervals and of the AUROC in blocks: writes intervals.csv and intervals.json beside this file.

    python tests/golden/intervals.py

Wilson's interval is statsmodels'; the logit interval of the AUROC (Pepe, 2003, section 5.2.5) is computed from all pairs of a
positive and a negative; Newcombe's (2006, method 5) is solved with SciPy's brentq; the variance in blocks is Obuchowski's
(1997, equation 2), cluster by cluster as the paper has it.
"""
import json
import pathlib

import numpy as np
import scipy
import statsmodels
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

HERE = pathlib.Path(__file__).parent
Z = stats.norm.ppf(0.975)


def pairs(labels, scores):
    positives, negatives = scores[labels], scores[~labels]
    return (positives[:, None] > negatives[None, :]) + 0.5 * (positives[:, None] == negatives[None, :])


def logit_delong(labels, scores):
    won = pairs(labels, scores)
    area = won.mean()
    m, n = won.shape
    parts = np.array([won.mean(axis=1).var(ddof=1) / m, won.mean(axis=0).var(ddof=1) / n])
    variance = parts.sum()
    freedom = variance**2 / (parts**2 / (np.array([m, n]) - 1)).sum()  # Satterthwaite, 1946
    width = stats.t.ppf(0.975, freedom) if max(m, n) > 4 * min(m, n) else Z
    margin = width * np.sqrt(variance) / (area * (1 - area))
    return [float(end) for end in scipy.special.expit(scipy.special.logit(area) + margin * np.array([-1, 1]))]


def newcombe(labels, scores):
    won = pairs(labels, scores)
    found, (m, n) = won.mean(), won.shape
    star = (m + n) / 2 - 1

    def excess(area):
        variance = area * (1 - area) * (1 + star * ((1 - area) / (2 - area) + area / (1 + area))) / (m * n)
        return abs(found - area) - Z * np.sqrt(variance)

    low = optimize.brentq(excess, 1e-12, found - 1e-12) if found > 0 else 0.0
    high = optimize.brentq(excess, found + 1e-12, 1 - 1e-12) if found < 1 else 1.0
    return [low, high]


def obuchowski(labels, blocks, placements):
    """Variance of the mean placement: `placements` are V10 of positives and V01 of negatives, in the order of labels."""
    names = sorted(set(blocks))
    m, n = labels.sum(), (~labels).sum()
    means = {True: placements[labels].mean(), False: placements[~labels].mean()}
    s10 = s01 = s11 = 0.0
    i10 = i01 = 0
    for name in names:
        inside = blocks == name
        of_positives = (placements[inside & labels] - means[True]).sum()
        of_negatives = (placements[inside & ~labels] - means[False]).sum()
        i10 += int((inside & labels).any())
        i01 += int((inside & ~labels).any())
        s10 += of_positives**2
        s01 += of_negatives**2
        s11 += of_positives * of_negatives
    total = len(names)
    return i10 / (i10 - 1) * s10 / m**2 + i01 / (i01 - 1) * s01 / n**2 + 2 * total / (total - 1) * s11 / (m * n)


def placements(labels, scores):
    won = pairs(labels, scores)
    found = np.empty(len(labels))
    found[labels], found[~labels] = won.mean(axis=1), won.mean(axis=0)
    return found, won.mean()


def main():
    random = np.random.default_rng(20)
    golden = {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "sets": {}}
    rows = ["set,label,first,second,block"]
    for name, count, share, strength, digits, size in [
        ("balanced", 400, 0.5, 1.0, 12, 8),
        ("rare_and_tied", 500, 0.1, 1.2, 1, 5),
        ("nearly_perfect", 60, 0.3, 4.2, 12, 2),
        ("blocks_of_one_class", 300, 0.5, 0.8, 12, 10),
    ]:
        blocks = np.arange(count) // size
        labels = blocks % 2 == 0 if name == "blocks_of_one_class" else random.random(count) < share
        shared = random.normal(size=blocks.max() + 1)[blocks]
        first, second = (np.round(strength * labels + part * shared + random.normal(size=count), digits) for part in (0.7, 0.2))
        ours, area = placements(labels, first)
        theirs, other = placements(labels, second)
        variance = obuchowski(labels, blocks, theirs - ours)
        right = int(((first >= 0.5) == labels).sum())
        golden["sets"][name] = {
            "auroc": float(area),
            "logit_delong": logit_delong(labels, first),
            "newcombe": newcombe(labels, first),
            "accuracy": right / count,
            "wilson": [float(end) for end in proportion_confint(right, count, method="wilson")],
            "block_standard_error": float(np.sqrt(obuchowski(labels, blocks, ours))),
            "block_difference": float(other - area),
            "block_p_value": float(2 * stats.norm.sf(abs(other - area) / np.sqrt(variance))),
        }
        rows += [f"{name},{int(l)},{float(a)!r},{float(b)!r},{k}" for l, a, b, k in zip(labels, first, second, blocks)]
    (HERE / "intervals.csv").write_text("\n".join(rows) + "\n")
    (HERE / "intervals.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
