"""Convolutional networks on DNA: scores, attributions and effects of variants of a trained run, windows of genomes, labelled batches
for PyTorch, and metrics with intervals. On the CPU and without PyTorch; the command `strandnet` trains.

    import strandnet

    model = strandnet.load("run")
    scores = model.predict(["ACGT" * 32])                                            # f64 [n] or [n, outputs]
    effects = model.score_variants("variants.vcf", "hg38.fa.gz")                     # a dict of columns
    genome = strandnet.Genome("hg38.fa.gz")
    codes = genome.windows("chr1", [10_000, 20_000], 128)                            # u8 [2, 128]
    model = strandnet.from_chrombpnet("chrombpnet.h5")                               # and from_bpnetlite, from_torch

A base is a code, 0 to 3 for A, C, G and T and 4 for an unknown base, or a column of a one-hot array [n, 4, length], all zeros for an
unknown base. Positions are in bp, 0-based and half-open. All that computes releases Python's lock and uses set_num_threads() threads.
"""
from . import metrics
from ._core import Estimate, Genome, Model, __version__, get_num_threads, load, set_num_threads
from ._bpnetlite import from_bpnetlite
from ._chrombpnet import from_chrombpnet
from ._dataset import Dataset
from ._torch import from_torch

__all__ = [
    "Dataset", "Estimate", "Genome", "Model", "__version__", "from_bpnetlite", "from_chrombpnet", "from_torch", "get_num_threads",
    "load", "metrics", "set_num_threads",
]
