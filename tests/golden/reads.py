"""Reads with every operation of a CIGAR and every flag, and what samtools and bedtools make of them.

Run as `python tests/golden/reads.py`; it writes beside itself reads.bam, fragments.bed and reads.json. Made with samtools 1.16.1
and bedtools 2.30.0.
"""

import json
import random
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
LENGTHS = {"chrA": 3000, "chrB": 700}
LEFT_OUT = "3844"  # unmapped, secondary, failed, duplicate, supplementary


def cigar(draw):
    """Operations, and the bases of reference and read that they take."""
    parts = [(draw.choice("SH"), draw.randint(1, 9))] if draw.random() < 0.3 else []
    parts.append((draw.choice("M=X"), draw.randint(5, 40)))
    for _ in range(draw.randint(0, 2)):
        parts.append((draw.choice("IDNP"), draw.randint(1, 60)))
        parts.append((draw.choice("M=X"), draw.randint(5, 30)))
    if draw.random() < 0.3:
        parts.append((draw.choice("SH"), draw.randint(1, 9)))
    reference = sum(n for op, n in parts if op in "MDN=X")
    read = sum(n for op, n in parts if op in "MIS=X")
    return "".join(f"{n}{op}" for op, n in parts), reference, read


def sam():
    """Reads in no order."""
    draw = random.Random(1)
    lines = ["@HD\tVN:1.6\tSO:unsorted"] + [f"@SQ\tSN:{name}\tLN:{length}" for name, length in LENGTHS.items()]
    for i in range(400):
        text, reference, read = cigar(draw)
        name = draw.choice(list(LENGTHS))
        if reference > LENGTHS[name]:
            continue
        start = draw.randint(1, LENGTHS[name] - reference + 1)
        flag = draw.choice([0, 16])
        if draw.random() < 0.3:
            flag |= draw.choice([256, 512, 1024, 2048])
        quality = draw.choice([0, 29, 30, 42, 60, 255])
        bases = "".join(draw.choice("ACGT") for _ in range(read))
        cell = draw.choice(["AAAC-1", "AAAG-1", "CCCT-1"])
        lines.append(f"r{i}\t{flag}\t{name}\t{start}\t{quality}\t{text}\t*\t0\t0\t{bases}\t*\tNM:i:0\tXB:B:S,1,2\tCB:Z:{cell}\tXS:f:1.5")
        if i % 40 == 0:
            lines.append(f"u{i}\t4\t*\t0\t0\t*\t*\t0\t0\tACGT\t*")
    return "\n".join(lines) + "\n"


def bedgraph(*arguments):
    """Rows of bedtools' output."""
    out = subprocess.run(["bedtools", "genomecov", *arguments], check=True, capture_output=True, text=True).stdout
    return [[c, int(s), int(e), int(float(v))] for c, s, e, v in (line.split("\t") for line in out.splitlines())]


def main():
    bam, bed, sizes, kept = (FOLDER / name for name in ("reads.bam", "fragments.bed", "sizes.tmp", "kept.tmp"))
    subprocess.run(["samtools", "view", "--no-PG", "-b", "-o", bam, "-"], input=sam().encode(), check=True)
    draw = random.Random(2)
    with bed.open("w") as out:
        out.write("# fragments\n")
        for _ in range(300):
            name = draw.choice(list(LENGTHS))
            length = draw.randint(1, 300)
            start = draw.randint(0, LENGTHS[name] - length)
            out.write(f"{name}\t{start}\t{start + length}\n")
    sizes.write_text("".join(f"{name}\t{length}\n" for name, length in LENGTHS.items()))
    subprocess.run(["samtools", "view", "-b", "-q", "30", "-F", LEFT_OUT, "-o", kept, bam], check=True)
    sorted_bed = subprocess.run(["sort", "-k1,1", "-k2,2n", bed], check=True, capture_output=True).stdout
    tidy = FOLDER / "sorted.tmp"
    tidy.write_bytes(b"\n".join(line for line in sorted_bed.splitlines() if not line.startswith(b"#")) + b"\n")
    sorted_bam = FOLDER / "sorted_bam.tmp"
    subprocess.run(["samtools", "sort", "-o", sorted_bam, kept], check=True)
    found = {
        "plus": bedgraph("-ibam", sorted_bam, "-bg", "-5", "-strand", "+"),
        "minus": bedgraph("-ibam", sorted_bam, "-bg", "-5", "-strand", "-"),
        "coverage": bedgraph("-ibam", sorted_bam, "-bg"),
        "coverage_of_fragments": bedgraph("-i", tidy, "-g", sizes, "-bg"),
        "counted": int(subprocess.run(["samtools", "view", "-c", kept], check=True, capture_output=True).stdout),
    }
    for path in (sizes, kept, tidy, sorted_bam):
        path.unlink()
    (FOLDER / "reads.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
