"""Writes reads.fastq.gz: reads of 100 bp, without errors, from human chromosome 6 and mouse chromosome 9, for the page on reads.

    python docs/tasks/make_reads.py human.fa.gz mouse.fa.gz reads.fastq.gz

The name of a read says where it is from. Needs no packages.
"""
import gzip
import random
import sys

READS, LENGTH = 2_000, 100
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def chromosome(path, name):
    """The bases of one record, in upper case."""
    lines, inside = [], False
    with gzip.open(path, "rt") as file:
        for line in file:
            if line.startswith(">"):
                inside = line[1:].split()[0] == name
            elif inside:
                lines.append(line.strip().upper())
    return "".join(lines)


random.seed(1)
reads = []
for species, path, name in (("human", sys.argv[1], "chr6"), ("mouse", sys.argv[2], "chr9")):
    bases = chromosome(path, name)
    while sum(read.startswith(species) for read, _ in reads) < READS:
        start = random.randrange(len(bases) - LENGTH)
        read = bases[start:start + LENGTH]
        if "N" in read:
            continue
        if random.random() < 0.5:
            read = read.translate(COMPLEMENT)[::-1]
        reads.append((f"{species}_{name}_{start}", read))
random.shuffle(reads)
with gzip.open(sys.argv[3], "wt") as file:
    for name, read in reads:
        file.write(f"@{name}\n{read}\n+\n{'I' * LENGTH}\n")
