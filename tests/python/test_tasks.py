"""Tests of models of every task in the installed wheel: the numbers of strandnet-score. The networks are drawn, not trained."""
import csv
import io
import json
import unittest

import numpy as np
import strandnet
from strandnet import _core
from test_strandnet import TOLERANCE, Folder, codes_of, program, random_sequences, write_genome

LENGTH = 120
NETWORK = {"arch": "custom", "layer": [
    {"kind": "convolution", "filters": 8, "width": 9}, {"kind": "relu"}, {"kind": "max-pool", "width": 4}, {"kind": "flatten"},
]}
BPNET = {"arch": "bpnet", "filters": 6, "width": 7, "depth": 2}
TASKS = {
    "binary": {"classes": ["no", "yes"], "positive": "yes"},
    "multiclass": {"classes": ["a", "b", "c"]},
    "multilabel": {"classes": ["open", "bound"]},
    "regression": {"classes": ["u", "v"]},
    "profile": {"classes": ["cuts"], "profile": {"tracks": [2], "length": 30}},
    "profile with bias": {"classes": ["cuts"], "profile": {"tracks": [1], "length": 30},
                          "bias": {"source": "elsewhere", "model": {**BPNET, "depth": 1}}},
}


def drawn(shapes, seed=1):
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def bpnet(depth, tracks, seed):
    shapes = {"iconv.weight": (6, 4, 7), "iconv.bias": 6, "head.fconv.weight": (tracks, 6, 75), "head.fconv.bias": tracks,
              "head.linear.weight": (1, 6), "head.linear.bias": 1}
    for i in range(depth):
        shapes.update({f"rconvs.{i}.weight": (6, 6, 3), f"rconvs.{i}.bias": 6})
    return drawn(shapes, seed)


class TestTasks(Folder):
    def models(self):
        """A model of every task, with its run folder and whether it is given the bias."""
        for name, settings in TASKS.items():
            task = name.split()[0]
            description = {"source": "elsewhere", "alphabet": "ACGT", "task": task, "length": LENGTH,
                           "model": BPNET if task == "profile" else NETWORK, **settings}
            if task == "profile":
                tensors = bpnet(2, settings["profile"]["tracks"][0], 1)
            else:
                outputs = 1 if task == "binary" else len(settings["classes"])
                tensors = drawn({"layers.0.weight": (8, 4, 9), "layers.0.bias": 8, "output.weight": (outputs, 8 * LENGTH // 4),
                                 "output.bias": outputs})
            run, with_bias = self.folder / name.replace(" ", "_"), "bias" in settings
            _core.write_imported(json.dumps(description), tensors, bpnet(1, 1, 2) if with_bias else None, str(run), False)
            yield name, strandnet.load(run, with_bias), run, with_bias

    def test_scores_are_those_of_the_program(self):
        sequences = random_sequences(12, LENGTH)
        fasta = self.folder / "some.fa"
        fasta.write_text("".join(f">s{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
        for name, model, run, with_bias in self.models():
            with self.subTest(name):
                flags = ["--with-bias"] if with_bias else []
                rows = list(csv.reader(io.StringIO(program("predict", run, fasta, "--format", "tsv", *flags)), delimiter="\t"))
                expected = np.array([row[-len(model.output_names):] for row in rows[1:]], float)
                found = model.predict(sequences)
                if model.task == "profile":
                    profile, found = found
                    self.assertEqual(profile.shape, (12, TASKS[name]["profile"]["tracks"][0], 30))
                np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=TOLERANCE, err_msg=str(rows[0]))
                codes = np.stack([codes_of(sequence) for sequence in sequences])
                again = model.predict(codes)
                np.testing.assert_array_equal(again[1] if model.task == "profile" else again, found)

    def test_attributions_are_those_of_the_program(self):
        sequences = random_sequences(3, LENGTH)
        fasta = self.folder / "some.fa"
        fasta.write_text("".join(f">s{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
        for name, model, run, with_bias in self.models():
            for target in ["cuts", "cuts:profile"] if model.task == "profile" else model.classes:
                for method in ("ism", "saliency", "ig"):
                    with self.subTest(name, target=target, method=method):
                        out = self.folder / f"{run.name}_{target.replace(':', '_')}_{method}"
                        flags = ["--score-of", target, *(["--with-bias"] if with_bias else [])]
                        program("explain", "sequences", run, fasta, "--method", method, "--out", out, *flags)
                        found = model.attribute(sequences, method, of=target)
                        self.assertEqual((found.dtype, found.shape), (np.float32, (3, 4, LENGTH)))
                        np.testing.assert_allclose(found, np.load(out / "importance.npz")[method], atol=TOLERANCE)

    def test_variants_are_scored_as_by_the_program(self):
        genome, vcf = self.folder / "genome.fa", self.folder / "some.vcf"
        chromosomes = write_genome(genome)
        lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        for chromosome, position in (("chr1", 1000), ("chr1", 2000), ("chr2", 1500)):
            base = chromosomes[chromosome][position - 1].upper()
            lines.append(f"{chromosome}\t{position}\tv{position}\t{base}\t{'A' if base != 'A' else 'C'},{base}GT\t.\t.\t.")
        vcf.write_text("\n".join(lines) + "\n")
        for name, model, run, with_bias in self.models():
            with self.subTest(name):
                flags = ["--score-of", model.classes[0], *(["--with-bias"] if with_bias else [])]
                text = program(
                    "explain", "variants", run, "--vcf", vcf, "--reference", genome, "--format", "tsv", "--max-n", 20, *flags)
                rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
                found = model.score_variants(vcf, genome, of=model.classes[0], max_n=20)
                self.assert_columns(found, rows)


if __name__ == "__main__":
    unittest.main()
