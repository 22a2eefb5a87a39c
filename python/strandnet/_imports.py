"""Networks that were trained elsewhere, as run folders."""
import json
import os
import tempfile

from . import _core

ALPHABET = "ACGT"
# The largest difference between a network and its original, of probabilities and, of values above 1, of their size.
TOLERANCE = 1e-5
# Random sequences on which both are compared.
SEQUENCES = 8


def write(description, tensors, out, force=False, *, bias_tensors=None, check=None):
    """Writes a run folder and opens it; check(model) first sees the network from a folder of its own."""
    text = json.dumps(description)
    with_bias = bias_tensors is not None

    def written(folder, force):
        _core.write_imported(text, tensors, bias_tensors, os.fspath(folder), force)
        return _core.load(folder, with_bias)

    if check is not None:
        with tempfile.TemporaryDirectory() as scratch:
            check(written(os.path.join(scratch, "run"), False))
    return written(os.fspath(out), force)


def random_codes(length):
    """Codes u8 [n, length] of random sequences, unknown bases among them."""
    import numpy

    return numpy.random.default_rng(1).choice(5, (SEQUENCES, length), p=[0.2475] * 4 + [0.01]).astype(numpy.uint8)


def one_hot(codes, alphabet=ALPHABET):
    """Rows of an alphabet, f32 [n, 4, length]."""
    import numpy

    rows = numpy.array([ALPHABET.index(base) for base in alphabet])
    return (codes[:, None, :] == rows[None, :, None]).astype(numpy.float32)


def compare(found, expected, name):
    """Raises ValueError where numbers of a run differ from those of its original."""
    import numpy

    found, expected = numpy.asarray(found, float), numpy.asarray(expected, float)
    if found.shape != expected.shape:
        raise ValueError(f"{name} gives {list(expected.shape)} numbers, expected {list(found.shape)}; check what it computes")
    if not numpy.isfinite(expected).all():
        raise ValueError(f"{name} gives values that are not finite; train it again")
    difference = float((numpy.abs(found - expected) / numpy.maximum(1, numpy.abs(expected))).max(initial=0))
    if difference > TOLERANCE:
        raise ValueError(
            f"the layers of {name} give other numbers than {name} itself, by {difference:.1e}, expected {TOLERANCE:.0e} at most; "
            "it computes something besides its layers"
        )
