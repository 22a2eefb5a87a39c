#!/usr/bin/env python3
"""Writes a small genome with peaks around a planted word, and variants in the words of some: resources/ of the test of the workflow."""
import random
import sys
from pathlib import Path

WORD, CHROMOSOMES, LENGTH, PEAKS = "TGACTCATTGCC", ["chr1", "chr2", "chr3", "chr4"], 60_000, 100

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
draw = random.Random(1)
peaks, variants = [], []
with open(folder / "genome.fa", "w") as fasta:
    for name in CHROMOSOMES:
        bases = draw.choices("ACGT", k=LENGTH)
        for start in range(300, LENGTH - 300, (LENGTH - 600) // PEAKS):
            bases[start + 95 : start + 95 + len(WORD)] = WORD
            peaks.append(f"{name}\t{start}\t{start + 200}\tpeak{len(peaks)}\t0\t.\t1\t-1\t-1\t100\n")
            if len(peaks) % 20 == 0:
                variants.append(f"{name}\t{start + 100}\t.\t{WORD[4]}\tA\t.\t.\t.\n")
        sequence = "".join(bases)
        fasta.write(f">{name}\n" + "".join(f"{sequence[i:i + 80]}\n" for i in range(0, LENGTH, 80)))
(folder / "peaks.narrowPeak").write_text("".join(peaks))
header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
(folder / "variants.vcf").write_text(header + "".join(variants))
