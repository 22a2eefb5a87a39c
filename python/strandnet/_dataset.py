"""Labelled batches of a split."""
import difflib
import os
import sys

from . import _core


def _text(value):
    """A value as a flag has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(_text(part) for part in value)
    return os.fspath(value) if hasattr(value, "__fspath__") else str(value)


def _flags(settings):
    """Settings as flags of `train`."""
    flags = []
    for name, value in settings.items():
        if value is None:
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, dict):
            flags += [f"{flag}={key}={_text(part)}" for key, part in value.items()]
        elif isinstance(value, list):
            flags += [f"{flag}={_text(part)}" for part in value]
        else:
            flags.append(f"{flag}={_text(value)}")
    return flags


class Dataset:
    """Dataset(config=None, *, split="train", batch_size=64, shuffle=None, seed=1, one_hot=False, **settings)

    The labelled examples of a split, as `strandnet train` reads them, in batches of NumPy arrays (x, y).

    config is a TOML file of `train`. settings are the flags of its data with underscores, and override the file: a flag that names
    files takes a dict (genome={"human": "human.fa.gz", "mouse": "mouse.fa.gz"}), one that can be repeated a list. Without either it
    is the program's simulated data.

    x is u8 [n, length], codes 0 to 3 for A, C, G and T and 4 for an unknown base, or with one_hot f32 [n, 4, length]. y is

    - binary: f32 [n], 1 for the class `positive`
    - multiclass: int64 [n], places in `classes`
    - multilabel and regression: f32 [n, columns], NaN where a label is missing; of bins f32 [n, columns, bins]
    - profile: a tuple of counts f32 [n, tracks, profile length] and their logs ln(1 + sum) f32 [n, groups]

    An iteration is one epoch. shuffle (by default of the split "train") draws an order for each, keyed by seed and epoch;
    set_epoch() sets the next. With resample or jitter each epoch of "train" has examples of its own.

    torch.utils.data.DataLoader(dataset, batch_size=None) takes it where torch was imported before it was made: it is an
    IterableDataset then. Workers deal the batches out among them and draw another order each time.

    Raises ValueError for settings and contents of files that are wrong, and OSError for files that cannot be read.
    """

    def __new__(cls, *arguments, **settings):
        data = sys.modules.get("torch.utils.data")
        if cls is Dataset and data is not None and hasattr(data, "IterableDataset"):
            cls = _for_torch(data)
        return super().__new__(cls)

    def __init__(self, config=None, *, split="train", batch_size=64, shuffle=None, seed=1, one_hot=False, **settings):
        known = _core.data_settings()
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                advice = f"did you mean '{near[0]}'" if near else "the settings are the flags of `strandnet train --help`"
                raise ValueError(f"there is no setting '{name}' of data; {advice}")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}, expected a whole number from 1; correct it")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ValueError(f"seed is {seed!r}, expected a whole number from 0 to 2**63 - 1; correct it")
        self.split, self.batch_size, self.seed, self.one_hot = split, batch_size, seed, one_hot
        self.shuffle = split == "train" if shuffle is None else shuffle
        self.epoch = 0
        self._config = None if config is None else os.fspath(config)
        self._settings = settings
        self._open()

    def _open(self):
        self._examples = _core.Examples(self._config, _flags(self._settings), self.split, self.seed)

    @property
    def task(self):
        """"binary", "multiclass", "multilabel", "regression" or "profile"."""
        return self._examples.task

    @property
    def classes(self):
        """Names of the classes, labels or columns."""
        return self._examples.classes

    @property
    def positive(self):
        """Of two classes, the one whose y is 1; None for other tasks."""
        return self._examples.positive

    @property
    def length(self):
        """Length of each sequence, in bp."""
        return self._examples.length

    @property
    def examples(self):
        """Number of examples."""
        return len(self._examples)

    def __len__(self):
        """Number of batches."""
        return -(-len(self._examples) // self.batch_size)

    def set_epoch(self, epoch):
        """Sets the epoch that the next iteration goes through, counted from 0."""
        self.epoch = epoch

    def __iter__(self):
        import numpy

        worker = _worker()
        epoch, self.epoch = self.epoch + 1, self.epoch + 1
        if worker is not None:
            # A worker starts from a copy, so that its count of epochs says nothing. What the workers of one epoch have in common and
            # those of the next have not is the seed without the worker's number.
            epoch += (worker.seed - worker.id) % 2**32
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        self._examples.begin(epoch)
        n = len(self._examples)
        order = self._examples.order(self.seed, epoch) if self.shuffle else numpy.arange(n)
        for start in range(first * self.batch_size, n, step * self.batch_size):
            yield self._examples.batch(order[start:start + self.batch_size], self.one_hot)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_examples"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()

    def __reduce__(self):
        return _again, (self.__getstate__(),)

    def __repr__(self):
        return f"Dataset({self.split}: {self.examples} examples, {self.length} bp, {self.task})"


_torch_class = None


def _for_torch(data):
    """The class that torch knows as an iterable dataset."""
    global _torch_class
    if _torch_class is None:
        _torch_class = type("Dataset", (Dataset, data.IterableDataset), {"__module__": __name__, "__doc__": Dataset.__doc__})
    return _torch_class


def _again(state):
    """The dataset of a pickle, whose files are read anew."""
    dataset = object.__new__(Dataset.__new__(Dataset).__class__)
    dataset.__setstate__(state)
    return dataset


def _worker():
    """The worker of a DataLoader that this process is, if it is one."""
    data = sys.modules.get("torch.utils.data")
    return None if data is None else data.get_worker_info()
