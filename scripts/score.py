"""Score the sequences of a FASTA file with an exported model, in PyTorch, without strandnet.

    python scripts/score.py model.pt sequences.fa[.gz] [--stride BP] > scores.tsv

Needs torch only. Reads model.json beside the model. Sequences longer than the model's length are scored in windows;
shorter ones are left out and counted. Writes what `strandnet predict` writes: name, start, end, strand, and a score
for each output. `strandnet predict` gives no score to windows with more N than the run was trained under; this does.
"""
import argparse
import gzip
import json
import pathlib
import sys

import torch

UNKNOWN, INVALID = 4, 255
CODES = bytes(
    "ACGT".index(base) if base in "ACGT" else 3 if base == "U" else UNKNOWN if base in "NRYSWKMBDHV" else INVALID
    for base in (chr(byte).upper() for byte in range(256))
)


def records(path):
    """Yields (name, codes) of each FASTA record; a letter that is no base ends the program."""

    def encode(name, parts):
        codes = b"".join(parts).translate(CODES)
        if INVALID in codes:
            sys.exit(f"{path}: record '{name}': base {codes.index(INVALID) + 1} is no letter of the IUPAC code")
        return codes

    opener = gzip.open if open(path, "rb").read(2) == b"\x1f\x8b" else open
    name, parts = None, []
    with opener(path, "rb") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if line.startswith(b">"):
                if name is not None:
                    yield name, encode(name, parts)
                words = line[1:].split()
                if not words:
                    sys.exit(f"{path}: line {number}: the header has no name")
                name, parts = words[0].decode(errors="replace"), []
            elif name is None and line:
                sys.exit(f"{path}: line {number}: expected FASTA, which starts with '>'")
            else:
                parts.append(line)
    if name is None:
        sys.exit(f"{path}: holds no records")
    yield name, encode(name, parts)


def one_hot(windows, length):
    """f32 [n, 4, length] from codes; an unknown base is a zero column."""
    codes = torch.frombuffer(bytearray(b"".join(windows)), dtype=torch.uint8).view(-1, 1, length)
    return (codes == torch.arange(4, dtype=torch.uint8).view(1, 4, 1)).float()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("sequences")
    arguments.add_argument("--stride", type=int)
    arguments = arguments.parse_args()
    if arguments.stride is not None and arguments.stride < 1:
        sys.exit(f"--stride is {arguments.stride}, expected 1 or more")
    card = json.loads(arguments.model.with_suffix(".json").read_text())
    length = card["length"]
    stride = arguments.stride or length
    model = torch.jit.load(str(arguments.model)).eval()

    binary = card.get("task", "binary") == "binary"
    single = binary or len(card["classes"]) == 1
    header = ["score"] if single else [f"score_{name}" for name in card["classes"]]
    print("name", "start", "end", "strand", *header, sep="\t")
    short = 0
    with torch.no_grad():
        for name, codes in records(arguments.sequences):
            starts = range(0, len(codes) - length + 1, stride)
            short += len(starts) == 0
            for first in range(0, len(starts), 1024):
                batch = starts[first:first + 1024]
                scores = model(one_hot([codes[start:start + length] for start in batch], length))
                for start, row in zip(batch, scores.view(len(batch), -1).tolist()):
                    print(name, start, start + length, "+", *(f"{score:.8g}" for score in row), sep="\t")
    if short:
        print(f"{short} sequences shorter than {length} bp were left out", file=sys.stderr)


main()
