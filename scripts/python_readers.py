"""Readers of DNA from Python, as people use them: windows of one length as letters `[n, length]`, on either strand."""
import os
from pathlib import Path

import genvarloader
import numpy
import polars
import pyfaidx
import pysam
import seqpro

COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")
# Length of what is a gap, a repeat or neither, and how much of each there is.
STRETCH, GAP, REPEATS = 10_000, 0.03, 0.45


def write_genome(path, lengths, seed):
    """FASTA of random bases, 60 a line, with repeats in lower case and gaps of N, in stretches."""
    random = numpy.random.default_rng(seed)
    with open(path, "wb") as file:
        for number, length in enumerate(lengths, 1):
            bases = numpy.frombuffer(b"ACGT", numpy.uint8)[random.integers(0, 4, length, dtype=numpy.uint8)]
            stretches = numpy.split(bases, range(STRETCH, length, STRETCH))
            for stretch, kind in zip(stretches, random.random(len(stretches))):
                if kind < GAP:
                    stretch[:] = ord("N")
                elif kind < GAP + REPEATS:
                    stretch |= 0x20
            full = length // 60 * 60
            lines = numpy.full((full // 60, 61), ord("\n"), numpy.uint8)
            lines[:, :60] = bases[:full].reshape(-1, 60)
            file.write(f">chr{number}\n".encode() + lines.tobytes())
            if full < length:
                file.write(bases[full:].tobytes() + b"\n")


class Windows:
    """Random places of a genome, each on a random strand."""

    def __init__(self, lengths, length, count, seed):
        random = numpy.random.default_rng(seed)
        self.length = length
        self.chromosomes = random.integers(0, len(lengths), count)
        self.starts = (random.random(count) * (numpy.array(lengths)[self.chromosomes] - length)).astype(int)
        self.reverse = random.random(count) < 0.5

    def batches(self, size):
        for start in range(0, len(self.starts), size):
            yield slice(start, start + size)


def one_by_one(fetch, windows, size):
    """The last batch of windows of which `fetch(name, start, end)` gives each."""
    for batch in windows.batches(size):
        sequences = []
        for chromosome, start, reverse in zip(
            windows.chromosomes[batch].tolist(), windows.starts[batch].tolist(), windows.reverse[batch].tolist()
        ):
            sequence = fetch(f"chr{chromosome + 1}", start, start + windows.length)
            sequences.append(sequence.translate(COMPLEMENT)[::-1] if reverse else sequence)
        letters = numpy.frombuffer("".join(sequences).encode(), numpy.uint8).reshape(-1, windows.length)
    return letters


def read_pysam(path):
    """A function that reads windows through pysam."""
    file = pysam.FastaFile(str(path))
    return lambda windows, size: one_by_one(file.fetch, windows, size)


def read_pyfaidx(path):
    """A function that reads windows through pyfaidx."""
    file = pyfaidx.Fasta(str(path), as_raw=True)
    return lambda windows, size: one_by_one(lambda name, start, end: file[name][start:end], windows, size)


def read_genvarloader(path):
    """A function that reads windows from a genome that GenVarLoader holds in memory, by all its threads."""
    reference = genvarloader.Reference.from_path(path)
    datasets = {}

    def read(windows, size, batches=None):
        if windows not in datasets:
            table = polars.DataFrame({
                "chrom": [f"chr{chromosome + 1}" for chromosome in windows.chromosomes],
                "chromStart": windows.starts,
                "chromEnd": windows.starts + windows.length,
                "strand": numpy.where(windows.reverse, "-", "+"),
            })
            datasets[windows] = genvarloader.RefDataset(reference, table).with_len(windows.length)
        for batch in batches or windows.batches(size):
            letters = datasets[windows][batch]
        return letters.view(numpy.uint8).reshape(-1, windows.length)

    return read


def read_genvarloader_one_hot(path):
    """The same, as f32 `[n, 4, length]` by way of SeqPro."""
    letters_of = read_genvarloader(path)

    def read(windows, size):
        for batch in windows.batches(size):
            letters = letters_of(windows, size, [batch])
            inputs = numpy.ascontiguousarray(seqpro.DNA.ohe(letters).swapaxes(1, 2), numpy.float32)
        return inputs

    return read


def read_tangermeme(path):
    """A function that reads windows through tangermeme as f32 `[n, 4, length]`, all as they stand in the genome."""
    from tangermeme.io import extract_loci
    import pandas

    def read(windows, size):
        for batch in windows.batches(size):
            loci = pandas.DataFrame({
                "chrom": [f"chr{chromosome + 1}" for chromosome in windows.chromosomes[batch]],
                "start": windows.starts[batch],
                "end": windows.starts[batch] + windows.length,
            })
            inputs = extract_loci(loci, str(path), in_window=windows.length, ignore=list("N"))
        return numpy.asarray(inputs, numpy.float32)

    return read


def read_strandnet(path, one_hot):
    """A function that reads windows from a genome that strandnet's module holds in memory, by all its threads."""
    import strandnet

    genome = strandnet.Genome(path)

    def read(windows, size):
        strands = numpy.where(windows.reverse, -1, 1).astype(numpy.int8)
        for batch in windows.batches(size):
            found = genome.windows(
                windows.chromosomes[batch], windows.starts[batch], windows.length, strands[batch], one_hot=one_hot)
        return found

    return read


def decode_pysam(path):
    """All chromosomes as letters."""
    with pysam.FastaFile(str(path)) as file:
        return [numpy.frombuffer(file.fetch(name).encode(), numpy.uint8) for name in file.references]


def index_pysam(path):
    """Writes the index beside a file anew, as `samtools faidx` does."""
    for suffix in (".fai", ".gzi"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    pysam.faidx(str(path))


def compress(path, packed):
    """BGZF, as `bgzip` writes it."""
    pysam.tabix_compress(str(path), str(packed), force=True)


def versions():
    return ", ".join(f"{module.__name__} {module.__version__}" for module in (pysam, pyfaidx, genvarloader))
