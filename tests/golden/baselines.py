"""Golden values of the linear baselines, from scikit-learn and NumPy: writes baselines.csv and baselines.json beside
this file.

    python tests/golden/baselines.py

Features are counted here by the plainest means, centred, and divided by the root mean square length of their rows. Each
penalty is fitted; the one with the lowest loss on the validation sequences gives the predictions for these.

A gapped k-mer is a word of some length with a choice of positions that count, as in gkm-SVM (Ghandi and others, 2014);
here all of them are listed, each with its count on both strands or on the given one.
"""
import collections
import itertools
import json
import pathlib

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

HERE = pathlib.Path(__file__).parent
PENALTIES = [100, 30, 10, 3, 1, 0.3]
COMPLEMENT = str.maketrans("ACGT", "TGCA")
TARGETS = {"logistic": ["label"], "softmax": ["class_0", "class_1", "class_2"], "identity": ["value", "other_value"],
           "log": ["count"]}


def other_strand(kmer):
    return kmer.translate(COMPLEMENT)[::-1]


def gc_share(sequence):
    known = [base for base in sequence if base != "N"]
    return [sum(base in "GC" for base in known) / len(known)]


def gapped_counts(sequence, length, informative, both_strands):
    strands = [sequence, other_strand(sequence)] if both_strands else [sequence]
    words = [strand[i : i + length] for strand in strands for i in range(len(strand) - length + 1)]
    words = [word for word in words if "N" not in word]
    found = collections.Counter()
    for places in itertools.combinations(range(length), informative):
        for word in words:
            found[places, "".join(word[place] for place in places)] += 1
    every = itertools.product(itertools.combinations(range(length), informative), itertools.product("ACGT", repeat=informative))
    return [found[places, "".join(bases)] for places, bases in every]


def counts(sequence, k, both_strands=True):
    kmers = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    if not both_strands:
        return [sum(found == kmer for found in kmers) for kmer in map("".join, itertools.product("ACGT", repeat=k))]
    canonical = [kmer for kmer in map("".join, itertools.product("ACGT", repeat=k)) if kmer <= other_strand(kmer)]
    return [sum(found in (kmer, other_strand(kmer)) for found in kmers) for kmer in canonical]


def simulated(random, n, length=60):
    """Sequences of varied GC content with some unknown bases, and targets that depend on words in them."""
    sequences, targets = [], {column: [] for columns in TARGETS.values() for column in columns}
    for _ in range(n):
        gc = random.uniform(0.3, 0.7)
        bases = random.choice(list("ACGTN"), length, p=[0.495 * (1 - gc), 0.495 * gc, 0.495 * gc, 0.495 * (1 - gc), 0.01])
        sequence = "".join(bases)
        sequences.append(sequence)
        words = sum(sequence.count(word) for word in ("TGA", "TCA", "GGC", "GCC"))
        signal = words - 4 + 3 * (gc - 0.5)
        targets["label"].append(int(random.random() < 1 / (1 + np.exp(-signal))))
        chosen = np.argmax(np.array([signal, 0, -signal]) + random.gumbel(size=3))
        for i in range(3):
            targets[f"class_{i}"].append(int(i == chosen))
        targets["value"].append(round(500 + 20 * signal + random.normal(0, 20), 3))
        targets["other_value"].append(round(0.001 * gc + random.normal(0, 0.0002), 6))
        targets["count"].append(int(random.poisson(np.exp(1 + 0.3 * signal))))
    return sequences, targets


def fitted(link, penalty, x, y, x_valid, y_valid):
    """Predictions for the validation sequences and their mean loss."""
    if link in ("logistic", "softmax"):
        model = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=100_000)
        model.fit(x, y[:, 0] if link == "logistic" else y.argmax(axis=1))
        p = model.predict_proba(x_valid)
        observed = np.column_stack([1 - y_valid, y_valid]) if link == "logistic" else y_valid
        return p[:, 1:] if link == "logistic" else p, -(observed * np.log(p)).sum(axis=1).mean()
    if link == "identity":
        mean, sd = y.mean(axis=0), y.std(axis=0)
        model = Ridge(alpha=penalty, solver="cholesky").fit(x, (y - mean) / sd)
        scores = model.predict(x_valid)
        return scores * sd + mean, 0.5 * ((scores - (y_valid - mean) / sd) ** 2).sum(axis=1).mean()
    mean = y.mean()
    model = PoissonRegressor(alpha=penalty / len(x), tol=1e-10, max_iter=100_000).fit(x, y[:, 0] / mean)
    rates = model.predict(x_valid)
    return (rates * mean)[:, None], (rates - y_valid[:, 0] / mean * np.log(rates)).mean()


def main():
    random = np.random.default_rng(11)
    splits = {"train": simulated(random, 300), "valid": simulated(random, 60)}
    columns = [column for columns in TARGETS.values() for column in columns]
    rows = [",".join(["split", "sequence", *columns])]
    for split, (sequences, targets) in splits.items():
        for i, sequence in enumerate(sequences):
            rows.append(",".join([split, sequence, *(str(targets[column][i]) for column in columns)]))

    golden = {"scikit_learn": sklearn.__version__, "numpy": np.__version__, "models": []}
    readers = [
        ("gc", {}, gc_share),
        (3, {}, lambda sequence: counts(sequence, 3)),
        (4, {}, lambda sequence: counts(sequence, 4)),
        (3, {"strands": "given"}, lambda sequence: counts(sequence, 3, False)),
        (5, {"informative": 3}, lambda sequence: gapped_counts(sequence, 5, 3, True)),
        (4, {"informative": 2}, lambda sequence: gapped_counts(sequence, 4, 2, True)),
        (4, {"informative": 3, "strands": "given"}, lambda sequence: gapped_counts(sequence, 4, 3, False)),
    ]
    for features, how, read in readers:
        x, x_valid = (np.array([read(s) for s in splits[split][0]], float) for split in ("train", "valid"))
        mean = x.mean(axis=0)
        scale = np.sqrt(((x - mean) ** 2).sum(axis=1).mean())
        x, x_valid = (x - mean) / scale, (x_valid - mean) / scale
        for link, names in TARGETS.items():
            y, y_valid = (
                np.column_stack([np.float32(splits[split][1][name]) for name in names]).astype(float)
                for split in ("train", "valid")
            )
            tried = [(fitted(link, penalty, x, y, x_valid, y_valid), penalty) for penalty in PENALTIES]
            (predictions, loss), penalty = min(tried, key=lambda one: one[0][1])
            print(features, how, link, penalty, loss)
            golden["models"].append({
                "features": features,
                **how,
                "link": link,
                "penalty": penalty,
                "predictions": [float(f"{value:.8g}") for value in predictions.ravel()],
            })
    (HERE / "baselines.csv").write_text("\n".join(rows) + "\n")
    (HERE / "baselines.json").write_text(json.dumps(golden, indent=None).replace('{"features"', '\n {"features"') + "\n")


main()
