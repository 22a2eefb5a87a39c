"""Writes labels.csv and values.csv: random sequences with planted words, for the pages on labels and values.

    python docs/tasks/make_planted.py FOLDER

Needs numpy. has_tata and has_ctcf are 1 where the word stands in the sequence; liver is 1000 + 300 for each TATA word
with normal noise of 100; brain is a Poisson count with mean 3, or 8 where the CTCF word was planted.
"""
import pathlib
import sys

import numpy as np

TATA, CTCF = "TATAAAAG", "CCACCAGGGGGC"
random = np.random.default_rng(1)
labels, values = ["sequence,has_tata,has_ctcf,split"], ["sequence,liver,brain,split"]
for i in range(12_000):
    bases = ["ACGT"[k] for k in random.integers(0, 4, 120)]
    tata, ctcf = random.integers(0, 3), random.integers(0, 2)
    for word, count in ((TATA, tata), (CTCF, ctcf)):
        for _ in range(count):
            start = random.integers(0, 120 - len(word))
            bases[start:start + len(word)] = word
    sequence = "".join(bases)
    split = ("train", "train", "train", "train", "valid", "test")[i % 6]
    labels.append(f"{sequence},{int(TATA in sequence)},{int(CTCF in sequence)},{split}")
    values.append(f"{sequence},{1000 + 300 * tata + 100 * random.normal():.2f},{random.poisson(3 + 5 * ctcf)},{split}")
folder = pathlib.Path(sys.argv[1])
(folder / "labels.csv").write_text("\n".join(labels) + "\n")
(folder / "values.csv").write_text("\n".join(values) + "\n")
