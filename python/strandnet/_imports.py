"""Networks that were trained elsewhere, as run folders."""
import json
import operator
import os
import tempfile

from . import _core

ALPHABET = "ACGT"
# The largest difference between a run and what it was made from, of the largest number or of 1: both compute in f32.
TOLERANCE = 1e-4
# Random sequences on which both are compared.
SEQUENCES = 8


def write(description, tensors, out, force=False, *, bias_tensors=None):
    """Writes a run folder and opens it."""
    _core.write_imported(json.dumps(description), tensors, bias_tensors, os.fspath(out), bool(force))
    return _core.load(os.fspath(out), bias_tensors is not None)


def check(description, tensors, of_model, *, bias_tensors=None):
    """Calls of_model(model) for the network in a folder that goes again."""
    with tempfile.TemporaryDirectory() as scratch:
        of_model(write(description, tensors, os.path.join(scratch, "run"), bias_tensors=bias_tensors))


def whole(name, value):
    """A whole number from 1."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} is {value!r}, expected a whole number from 1; correct it")
    return number


def random_codes(length):
    """Codes u8 [n, length] of random sequences, some with unknown bases, and of repeats, which reach what random ones do not."""
    import numpy

    random = numpy.random.default_rng(1).choice(5, (SEQUENCES, length), p=[0.2475] * 4 + [0.01])
    repeats = [numpy.resize(unit, length) for unit in ([0], [1], [2], [3], [4], [0, 3], [1, 2], [0, 1], [2, 3], [0, 0, 4, 4])]
    return numpy.stack([*random, *repeats]).astype(numpy.uint8)


def one_hot(codes, alphabet=ALPHABET):
    """Rows of an alphabet, f32 [n, 4, length]."""
    import numpy

    rows = numpy.array([ALPHABET.index(base) for base in alphabet])
    return (codes[:, None, :] == rows[None, :, None]).astype(numpy.float32)


def agree(what, names, found, expected):
    """Raises ValueError unless arrays of a run agree with those of its original; names is what each of them holds."""
    import numpy

    if len(expected) != len(names):
        raise ValueError(f"{what}: gives {len(expected)} tensors, expected {' and '.join(names)}; it computes something "
                         "besides its layers")
    for name, values, wanted in zip(names, found, expected):
        if values.shape != wanted.shape:
            raise ValueError(f"{what}: {name} have shape {list(wanted.shape)}, expected {list(values.shape)}; it computes "
                             "something besides its layers")
        if not numpy.isfinite(wanted).all():
            raise ValueError(f"{what}: {name} are not finite; train it again")
        difference = float(numpy.abs(values - wanted).max(initial=0))
        if not difference <= TOLERANCE * max(1.0, float(numpy.abs(wanted).max(initial=0))):
            raise ValueError(f"{what}: {name} differ by {difference:.3g} from those of its layers, expected {TOLERANCE:g} of the "
                             "largest at most; it computes something besides its layers")
