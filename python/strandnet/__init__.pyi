"""Convolutional networks on DNA: scores, attributions and effects of variants of a trained run, windows of genomes, labelled batches
for PyTorch, and metrics with intervals."""
import pathlib
from os import PathLike
from typing import Any, Dict, Iterator, List, Literal, Optional, Sequence, Tuple, Union, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics as metrics

Path = Union[str, PathLike[str]]
Sequences = Union[Sequence[Union[str, bytes]], NDArray[np.uint8], NDArray[np.float32]]
Strands = Union[str, Sequence[str], NDArray[np.signedinteger[Any]]]

__all__: List[str]
__version__: str

def load(run: Path, with_bias: bool = False) -> Model:
    """Opens a finished run, or the networks of a finished cross-validation as one ensemble.

    Raises OSError where a file is missing and ValueError where one is damaged or the run did not finish."""

def from_torch(
    module: Any,
    *,
    length: int,
    classes: Sequence[str],
    alphabet: str = "ACGT",
    task: Optional[Literal["classification", "multilabel", "regression"]] = None,
    positive: Optional[str] = None,
    out: Path,
    force: bool = False,
) -> Model:
    """Writes a torch.nn.Sequential, which takes one-hot [n, 4, length] and gives [n, outputs], as the run folder `out`, compares the
    two, and opens it."""

def from_bpnetlite(
    model: Any, *, length: int = 2114, name: Optional[str] = None, track: str = "signal", out: Optional[Path] = None, force: bool = False
) -> Model:
    """Makes a BPNet, BasePairNet or ChromBPNet of bpnet-lite a run folder, compares the two, and opens it, with the bias of a ChromBPNet."""

def from_chrombpnet(
    path: Path, *, bias: Optional[Path] = None, track: str = "signal", out: Optional[Path] = None, force: bool = False
) -> Model:
    """Makes an .h5 file of ChromBPNet or bpnet-refactor a run folder and opens it, with its bias if there is one. Needs h5py."""

def get_num_threads() -> int:
    """Number of threads that compute; one in a process that was forked after it computed."""

def set_num_threads(count: int) -> None:
    """Sets the number of threads that compute, from 1 to 1024."""

class Model:
    """A trained model: the network of a finished run, or an ensemble. Made by load()."""

    @property
    def length(self) -> int:
        """Bases that a sequence must have."""
    @property
    def run(self) -> pathlib.Path:
        """The folder that it was loaded from."""
    @property
    def classes(self) -> List[str]:
        """Names of the classes, labels or columns."""
    @property
    def positive(self) -> Optional[str]:
        """Of two classes, the name of the one whose probability is predicted."""
    @property
    def threshold(self) -> Optional[float]:
        """Of two classes, the score from which on a sequence counts as positive, chosen on the validation split."""
    @property
    def task(self) -> Literal["binary", "multiclass", "multilabel", "regression", "profile"]: ...
    @property
    def output_names(self) -> List[str]:
        """What each output is: the positive class, or classes, labels or columns."""
    def predict(self, sequences: Sequences) -> Any:
        """Scores sequences: f64 [n] for one output, [n, outputs] for several; for the task "profile" a tuple of profile logits f64
        [n, tracks, profile length] and log counts f64 [n, groups].

        sequences is a list of str or bytes of `length` bases, codes u8 [n, length], or one-hot f32 [n, 4, length]."""
    def attribute(
        self,
        sequences: Sequences,
        method: Literal["ism", "saliency", "ig"] = "ism",
        of: Optional[str] = None,
        baseline: Literal["zeros", "shuffles"] = "zeros",
        steps: int = 64,
        seed: int = 1,
    ) -> NDArray[np.float32]:
        """How much each base of each sequence adds to the log-odds of a class or label, or to a value: f32 [n, 4, length]."""
    def score_variants(
        self, vcf: Path, reference: Path, of: Optional[str] = None, max_n: Optional[int] = None
    ) -> Dict[str, Union[List[str], NDArray[np.float64], NDArray[np.int64]]]:
        """Scores both alleles of each variant of a VCF file: a dict of columns with one entry for each alternative allele, as in the
        table of `strandnet explain variants --format tsv`."""

class Genome:
    """The chromosomes of a FASTA file, plain, gzip or BGZF, held in memory (one byte a base) or read through an index."""

    def __init__(self, path: Path, in_memory: bool = True) -> None: ...
    @property
    def chromosomes(self) -> Dict[str, int]:
        """Names and lengths of the chromosomes, in bp, in the order of the file."""
    @property
    def path(self) -> str: ...
    @overload
    def windows(
        self, chrom: Union[str, Sequence[str], ArrayLike], starts: ArrayLike, length: int, strands: Optional[Strands] = None,
        one_hot: Literal[False] = False, out: Optional[NDArray[np.uint8]] = None,
    ) -> NDArray[np.uint8]: ...
    @overload
    def windows(
        self, chrom: Union[str, Sequence[str], ArrayLike], starts: ArrayLike, length: int, strands: Optional[Strands] = None,
        *, one_hot: Literal[True], out: Optional[NDArray[np.float32]] = None,
    ) -> NDArray[np.float32]:
        """Windows of `length` bp, as codes u8 [n, length] or one-hot f32 [n, 4, length]."""

class Dataset:
    """The labelled examples of a split, as `strandnet train` reads them, in batches of NumPy arrays (x, y)."""

    split: str
    batch_size: int
    shuffle: bool
    seed: int
    one_hot: bool
    epoch: int

    def __init__(
        self, config: Optional[Path] = None, *, split: Literal["train", "valid", "test"] = "train", batch_size: int = 64,
        shuffle: Optional[bool] = None, seed: int = 1, one_hot: bool = False, **settings: Any,
    ) -> None: ...
    @property
    def task(self) -> str: ...
    @property
    def classes(self) -> List[str]: ...
    @property
    def positive(self) -> Optional[str]: ...
    @property
    def length(self) -> int: ...
    @property
    def examples(self) -> int:
        """Number of examples."""
    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch that the next iteration goes through, counted from 0."""
    def __len__(self) -> int:
        """Number of batches."""
    def __iter__(self) -> Iterator[Tuple[NDArray[Any], Any]]: ...

class Estimate:
    """A metric: its value, and its 95 % interval from low to high with the method that it comes from."""

    value: float
    low: Optional[float]
    high: Optional[float]
    method: Optional[str]
    reason: Optional[str]
    def __float__(self) -> float: ...
