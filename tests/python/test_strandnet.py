"""Tests of the installed wheel: the same numbers as the program, errors, workers, and the command.

STRANDNET_RUN names a finished run, by default examples/run. Tests that need PyTorch are skipped without it.
"""
import csv
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np
import strandnet
from partners import needs
from strandnet import _launcher, metrics

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = Path(os.environ.get("STRANDNET_RUN", ROOT / "examples" / "run"))
SCORE = Path(strandnet.__file__).parent / "bin" / "strandnet-score"
COMMAND = Path(sys.executable).parent / "strandnet"
HAS_PROGRAM = _launcher.libtorch()[0] is not None and (_launcher.BIN / "strandnet").is_file()
TOLERANCE = 1e-5


def random_sequences(count, length, seed=1):
    letters = np.random.default_rng(seed).choice(list("ACGT"), (count, length))
    return ["".join(row) for row in letters]


def write_genome(path, lengths=(5000, 3000), seed=2):
    """FASTA with repeats in lower case and unknown bases; its chromosomes."""
    random = np.random.default_rng(seed)
    chromosomes = {f"chr{i + 1}": "".join(random.choice(list("ACGTacgtN"), length, p=[0.2] * 4 + [0.045] * 4 + [0.02]))
                   for i, length in enumerate(lengths)}
    with open(path, "w") as file:
        for name, bases in chromosomes.items():
            file.write(f">{name} made up\n" + "".join(bases[i:i + 60] + "\n" for i in range(0, len(bases), 60)))
    return chromosomes


def codes_of(bases):
    return np.array(["ACGT".find(base) if base in "ACGT" else 4 for base in bases.upper()], np.uint8)


def one_hot_of(codes):
    return (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.float32)


def program(*arguments):
    return subprocess.run([SCORE, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def assert_columns(self, found, rows):
        """Columns are those of a table's rows, in which a number that is not there is empty."""
        self.assertEqual(list(found), list(rows[0]))
        for name, column in found.items():
            expected = [row[name] for row in rows]
            if isinstance(column, list):
                self.assertEqual(column, expected, name)
            else:
                expected = [float(text) if text else (np.nan if column.dtype == np.float64 else -1) for text in expected]
                np.testing.assert_allclose(column, expected, atol=TOLERANCE, err_msg=name)


class TestModel(Folder):
    @classmethod
    def setUpClass(cls):
        cls.model = strandnet.load(RUN)
        cls.sequences = random_sequences(30, cls.model.length)

    def fasta(self):
        path = self.folder / "some.fa"
        path.write_text("".join(f">s{i}\n{sequence}\n" for i, sequence in enumerate(self.sequences)))
        return path

    def test_what_a_model_says_of_itself(self):
        run = json.loads((RUN / "run.json").read_text())
        self.assertEqual(self.model.length, run["length"])
        self.assertEqual(self.model.task, "binary")
        self.assertIn(self.model.positive, self.model.classes)
        self.assertEqual(self.model.output_names, [self.model.positive])
        self.assertEqual(self.model.threshold, json.loads((RUN / "metrics.json").read_text())["valid"]["threshold"])

    def test_scores_are_those_of_the_program_however_sequences_are_given(self):
        rows = csv.DictReader(io.StringIO(program("predict", RUN, self.fasta(), "--format", "tsv")), delimiter="\t")
        expected = [float(row["score"]) for row in rows]
        found = self.model.predict(self.sequences)
        self.assertEqual((found.dtype, found.shape), (np.float64, (30,)))
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        codes = np.stack([codes_of(sequence) for sequence in self.sequences])
        for other in (
            [sequence.lower().encode() for sequence in self.sequences], tuple(self.sequences), np.array(self.sequences), codes,
            np.asfortranarray(codes), one_hot_of(codes), one_hot_of(codes).transpose(0, 2, 1).copy().transpose(0, 2, 1),
        ):
            np.testing.assert_array_equal(self.model.predict(other), found)
        self.assertEqual(self.model.predict([]).shape, (0,))

    def test_attributions_are_those_of_the_program(self):
        out = self.folder / "explained"
        program("explain", "sequences", RUN, self.fasta(), "--method", "ism,saliency,ig", "--out", out, "--limit", 3)
        arrays = np.load(out / "importance.npz")
        for method in ("ism", "saliency", "ig"):
            found = self.model.attribute(self.sequences[:3], method)
            self.assertEqual((found.dtype, found.shape), (np.float32, (3, 4, self.model.length)))
            np.testing.assert_allclose(found, arrays[method], atol=TOLERANCE)
        other = next(name for name in self.model.classes if name != self.model.positive)
        np.testing.assert_allclose(
            self.model.attribute(self.sequences[:1], of=other), -self.model.attribute(self.sequences[:1]), atol=TOLERANCE)

    def test_variants_are_scored_as_by_the_program(self):
        genome, vcf = self.folder / "genome.fa", self.folder / "some.vcf"
        chromosomes = write_genome(genome)
        lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        for chromosome, position in (("chr1", 1000), ("chr1", 2000), ("chr2", 1500), ("chr2", 5)):
            base = chromosomes[chromosome][position - 1].upper()
            lines.append(f"{chromosome}\t{position}\tv{position}\t{base}\t{'A' if base != 'A' else 'C'},{base}GT\t.\t.\t.")
        lines += ["chrX\t5\t.\tA\tC\t.\t.\t.", "chr1\t700\t.\tA\t<DEL>\t.\t.\t."]
        vcf.write_text("\n".join(lines) + "\n")
        run = self.folder / "run"  # the program leaves a summary in the run
        run.mkdir()
        for file in RUN.iterdir():
            (run / file.name).write_bytes(file.read_bytes())
        text = program("explain", "variants", run, "--vcf", vcf, "--reference", genome, "--format", "tsv", "--max-n", 20)
        rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
        found = self.model.score_variants(vcf, genome, max_n=20)
        self.assertGreater(sum(status == "scored" for status in found["status"]), 3)
        self.assert_columns(found, rows)

    def test_what_is_wrong_is_said_in_a_sentence(self):
        length = self.model.length
        for wrong, sentence in (
            (["ACGT"], rf"sequence 1: has 4 bases, expected {length}, the model's length"),
            (["A" * (length - 1) + "-"], "sequence 1: found '-' at base"),
            ("ACGT", "found one sequence, expected a list"),
            ([3], "sequence 1 is int, expected str or bytes"),
            (np.zeros((2, length + 1), np.uint8), "expected .n, "),
            (np.full((2, length), 9, np.uint8), "sequence 1: holds code 9 at base 1"),
            (np.zeros((2, length)), "the array is float64"),
            (np.full((1, 4, length), 0.5, np.float32), "sequence 1: holds"),
        ):
            with self.assertRaisesRegex(ValueError, sentence):
                self.model.predict(wrong)
        for settings, sentence in (({"method": "deeplift"}, "expected ism, saliency or ig"), ({"of": "cat"}, "of is 'cat'"),
                                   ({"steps": 0}, "steps is 0"), ({"baseline": "ones"}, "baseline is 'ones'")):
            with self.assertRaisesRegex(ValueError, sentence):
                self.model.attribute(self.sequences, **settings)
        with self.assertRaises(FileNotFoundError):
            self.model.score_variants(self.folder / "none.vcf", self.folder / "none.fa")
        with self.assertRaisesRegex(FileNotFoundError, "no such folder, expected a run folder"):
            strandnet.load(self.folder / "none")
        with self.assertRaisesRegex(ValueError, "holds no run.json"):
            strandnet.load(self.folder)

    def test_a_damaged_run_is_a_value_error(self):
        for file in RUN.iterdir():
            (self.folder / file.name).write_bytes(file.read_bytes())
        metrics_json = self.folder / "metrics.json"
        metrics_json.write_text(metrics_json.read_text().replace("1", "2", 1))
        with self.assertRaises(ValueError):
            strandnet.load(self.folder)

    def test_a_model_is_pickled_by_its_folder(self):
        again = pickle.loads(pickle.dumps(self.model))
        np.testing.assert_array_equal(again.predict(self.sequences), self.model.predict(self.sequences))

    def test_numbers_do_not_depend_on_threads(self):
        before, expected = strandnet.get_num_threads(), self.model.predict(self.sequences)
        self.addCleanup(strandnet.set_num_threads, before)
        for count in (1, 3):
            strandnet.set_num_threads(count)
            self.assertEqual(strandnet.get_num_threads(), count)
            np.testing.assert_array_equal(self.model.predict(self.sequences), expected)
        with self.assertRaisesRegex(ValueError, "count is 0, expected a number from 1 to 1024"):
            strandnet.set_num_threads(0)

    def test_a_forked_process_computes_and_does_not_hang(self):
        expected = self.model.predict(self.sequences)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            same = np.array_equal(self.model.predict(self.sequences), expected)
            os.write(write, b"1" if same and strandnet.get_num_threads() == 1 else b"0")
            os._exit(0)
        os.close(write)
        killer = threading.Timer(60, os.kill, (child, signal.SIGKILL))
        killer.start()
        answer = os.read(read, 1)
        os.waitpid(child, 0)
        killer.cancel()
        os.close(read)
        self.assertEqual(answer, b"1")

    def test_ctrl_c_ends_a_computation(self):
        sequences = random_sequences(1000, self.model.length) * 20
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            while True:  # fast machines have to compute it again
                self.model.attribute(sequences)
        self.assertLess(time.monotonic() - started, 10)


class TestGenome(Folder):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "genome.fa"
        self.chromosomes = write_genome(self.path)

    def test_windows_hold_what_the_file_holds_wherever_they_are_read_from(self):
        random = np.random.default_rng(3)
        for in_memory in (True, False):
            genome = strandnet.Genome(self.path, in_memory=in_memory)
            self.assertEqual(genome.chromosomes, {name: len(bases) for name, bases in self.chromosomes.items()})
            names = list(genome.chromosomes)
            for n, length in ((0, 7), (5, 1), (40, 128), (3000, 301)):
                which = random.integers(0, 2, n)
                starts = np.array([random.integers(0, genome.chromosomes[names[i]] - length + 1) for i in which], np.int64)
                minus = random.random(n) < 0.5
                expected = np.zeros((n, length), np.uint8)
                for row, (i, start, reverse) in enumerate(zip(which, starts, minus)):
                    codes = codes_of(self.chromosomes[names[i]][start:start + length])
                    expected[row] = np.where(codes < 4, 3 - codes, 4)[::-1] if reverse else codes
                strands = np.where(minus, -1, 1).astype(np.int8)
                for chrom in (which, [names[i] for i in which], which.astype(np.uint8)):
                    found = genome.windows(chrom, starts, length, strands)
                    self.assertEqual(found.dtype, np.uint8)
                    np.testing.assert_array_equal(found, expected)
                inputs = genome.windows(which, starts, length, ["-" if reverse else "+" for reverse in minus], one_hot=True)
                self.assertEqual((inputs.dtype, inputs.shape), (np.float32, (n, 4, length)))
                np.testing.assert_array_equal(inputs, one_hot_of(expected))
                out = np.empty((n, length), np.uint8)
                self.assertIs(genome.windows(which, starts, length, strands, out=out), out)
                np.testing.assert_array_equal(out, expected)
            np.testing.assert_array_equal(
                genome.windows("chr2", [5], 20, "-")[0][::-1], [3 - c if c < 4 else 4 for c in codes_of(self.chromosomes["chr2"][5:25])])

    def test_what_is_wrong_is_said_in_a_sentence(self):
        genome = strandnet.Genome(self.path)
        for arguments, sentence in (
            (("chrX", [1], 5), "has no chromosome 'chrX', expected one such as chr1, chr2"),
            (("chr1", [0, -1], 5), "window 1 is chr1:-1-4, expected one within 0 to 5000"),
            (("chr1", [4996], 5), "window 0 is chr1:4996-5001"),
            (("chr1", [2**63 - 1], 5), "window 0 is chr1"),
            (("chr1", [1.5], 5), "starts is float64"),
            ((["chr1"], [1, 2], 5), "chrom has 1 entries and starts has 2"),
            ((np.array([7]), [1], 5), "chrom holds 7"),
            (("chr1", [1], 5, "."), "strands holds '.'"),
            (("chr1", [1], 5, "+", False, np.zeros((2, 5), np.uint8)), "out does not fit"),
            (("chr1", [1], 5, "+", True, np.zeros((1, 5), np.uint8)), "out does not fit"),
        ):
            with self.assertRaisesRegex(ValueError, sentence):
                genome.windows(*arguments)
        with self.assertRaises(FileNotFoundError):
            strandnet.Genome(self.folder / "none.fa")
        (self.folder / "wrong.fa").write_text(">a\nAC*GT\n")
        with self.assertRaisesRegex(ValueError, "wrong.fa"):
            strandnet.Genome(self.folder / "wrong.fa")

    def test_a_genome_is_pickled_by_its_path(self):
        again = pickle.loads(pickle.dumps(strandnet.Genome(self.path, in_memory=False)))
        self.assertEqual(list(again.chromosomes), ["chr1", "chr2"])


def whole(batches):
    """All sequences and labels, sorted."""
    return sorted((bytes(x), float(y)) for xs, ys in batches for x, y in zip(np.asarray(xs), np.asarray(ys)))


class TestDataset(Folder):
    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        cls.table = Path(cls.held.name) / "table.csv"
        rows = [f"{sequence},{'ab'[i % 2]},{'train' if i < 150 else 'valid' if i < 170 else 'test'}"
                for i, sequence in enumerate(random_sequences(190, 40))]
        cls.table.write_text("sequence,label,split\n" + "\n".join(rows) + "\n")

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    def dataset(self, **settings):
        return strandnet.Dataset(train=self.table, **{"batch_size": 16, **settings})

    def test_an_epoch_holds_every_example_once_in_an_order_of_its_own(self):
        dataset = self.dataset()
        self.assertEqual((dataset.task, dataset.classes, dataset.positive, dataset.length), ("binary", ["a", "b"], "a", 40))
        self.assertEqual((len(dataset), dataset.examples), (10, 150))
        first, second = list(dataset), list(dataset)
        self.assertEqual([len(x) for x, _ in first], [16] * 9 + [6])
        self.assertEqual((first[0][0].dtype, first[0][1].dtype), (np.uint8, np.float32))
        self.assertEqual(whole(first), whole(second))
        self.assertFalse(np.array_equal(first[0][0], second[0][0]))
        dataset.set_epoch(0)
        np.testing.assert_array_equal(next(iter(dataset))[0], first[0][0])
        rows = list(csv.DictReader(self.table.read_text().splitlines()))
        expected = sorted((bytes(codes_of(row["sequence"])), float(row["label"] == "a")) for row in rows if row["split"] == "train")
        self.assertEqual(whole(first), expected)

    def test_other_splits_keep_their_order_and_one_hot_is_one_hot(self):
        codes = np.concatenate([x for x, _ in self.dataset(split="valid")])
        inputs = np.concatenate([x for x, _ in self.dataset(split="valid", one_hot=True)])
        self.assertEqual((codes.shape, inputs.shape, inputs.dtype), ((20, 40), (20, 4, 40), np.float32))
        np.testing.assert_array_equal(one_hot_of(codes), inputs)
        self.assertEqual(self.dataset(split="test").examples, 20)

    def test_settings_come_from_a_file_or_by_name(self):
        file = self.folder / "experiment.toml"
        file.write_text(f'[data]\ntrain = "{self.table}"\nclasses = ["b", "a"]\n')
        self.assertEqual(strandnet.Dataset(file).positive, "b")
        self.assertEqual(strandnet.Dataset(file, classes=["a", "b"]).positive, "a")

    def test_genomes_and_epochs_with_windows_of_their_own(self):
        for name, seed in (("one", 5), ("two", 6)):
            write_genome(self.folder / f"{name}.fa", (20000, 20000, 20000), seed)
        genome = {name: self.folder / f"{name}.fa" for name in ("one", "two")}
        settings = {"length": 50, "fragments": 60, "valid_fragments": 20, "test_fragments": 20, "max_n": 50,
                    "train_chroms": ["chr1"], "valid_chroms": ["chr2"], "test_chroms": ["chr3"]}
        dataset = strandnet.Dataset(genome=genome, resample=True, **settings)
        self.assertEqual((dataset.classes, dataset.length), (["one", "two"], 50))
        self.assertNotEqual(whole(dataset), whole(dataset))

    def test_several_labels_and_values(self):
        table = self.folder / "values.tsv"
        rows = [f"{sequence}\t{i % 2}\t{i % 3 % 2}\t{'train' if i < 30 else 'valid' if i < 45 else 'test'}"
                for i, sequence in enumerate(random_sequences(60, 30))]
        table.write_text("sequence\tx\ty\tsplit\n" + "\n".join(rows) + "\n")
        for task in ("multilabel", "regression"):
            dataset = strandnet.Dataset(train=table, task=task, label_columns=["x", "y"], split="valid", batch_size=100)
            ((_, labels),) = dataset
            self.assertEqual((labels.shape, labels.dtype, dataset.classes), ((15, 2), np.float32, ["x", "y"]))
            np.testing.assert_array_equal(labels[:, 0], [i % 2 for i in range(30, 45)])

    def test_what_is_wrong_is_said_in_a_sentence(self):
        for settings, sentence in (
            ({"trian": self.table}, "there is no setting 'trian' of data; did you mean 'train'"),
            ({"train": self.table, "split": "all"}, "split is 'all'"),
            ({"train": self.table, "batch_size": 0}, "batch_size is 0"),
            ({"train": self.table, "seed": -1}, "seed is -1"),
            ({"train": self.table, "length": "long"}, "length"),
            ({"train": self.table, "fragments": 5}, "--fragments"),
        ):
            with self.assertRaisesRegex(ValueError, sentence):
                strandnet.Dataset(**settings)
        with self.assertRaises(FileNotFoundError):
            strandnet.Dataset(train=self.folder / "none.csv")

    @needs("torch")
    def test_a_loader_of_pytorch_takes_it_with_and_without_workers(self):
        import torch

        dataset = self.dataset()
        self.assertIsInstance(dataset, torch.utils.data.IterableDataset)
        expected = whole(dataset)
        self.assertEqual(whole(torch.utils.data.DataLoader(dataset, batch_size=None)), expected)
        for method in ("fork", "spawn"):
            loader = torch.utils.data.DataLoader(
                dataset, batch_size=None, num_workers=2, multiprocessing_context=method, timeout=120)
            first, second = list(loader), list(loader)
            self.assertEqual(whole(first), expected, method)
            self.assertEqual(whole(second), expected, method)
            self.assertFalse(np.array_equal(np.asarray(first[0][0]), np.asarray(second[0][0])), method)


class TestMetrics(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(4)
        self.labels = random.random(400) < 0.4
        self.scores = np.clip(0.3 * self.labels + random.random(400) * 0.7, 0, 1)

    def test_metrics_have_their_definitions_and_intervals(self):
        found = metrics.binary(self.labels, self.scores)
        positive, negative = self.scores[self.labels], self.scores[~self.labels]
        expected = (positive[:, None] > negative[None, :]).mean() + (positive[:, None] == negative[None, :]).mean() / 2
        self.assertAlmostEqual(float(found["auroc"]), expected)
        self.assertAlmostEqual(float(found["accuracy"]), ((self.scores >= 0.5) == self.labels).mean())
        self.assertAlmostEqual(float(found["mcc"]), np.corrcoef(self.scores >= 0.5, self.labels)[0, 1])
        for name, estimate in found.items():
            self.assertLess(estimate.low, estimate.value, name)
            self.assertLess(estimate.value, estimate.high, name)
        self.assertEqual(found["auroc"].method, "logit-delong")
        self.assertEqual(metrics.auroc(self.labels, self.scores).low, found["auroc"].low)
        bare = metrics.binary(self.labels, self.scores, intervals=False)
        self.assertEqual([float(bare[name]) for name in bare], [float(found[name]) for name in found])
        self.assertIsNone(bare["auroc"].low)

    def test_blocks_make_intervals_wider(self):
        labels, scores, blocks = (np.repeat(array, 5) for array in (self.labels, self.scores, np.arange(400)))
        alone, together = metrics.mcc(labels, scores), metrics.mcc(labels, scores, blocks=blocks)
        self.assertGreater(together.high - together.low, 1.5 * (alone.high - alone.low))

    def test_several_classes_labels_and_values(self):
        random = np.random.default_rng(5)
        classes = random.integers(0, 3, 300)
        scores = random.random((300, 3)) + np.eye(3)[classes]
        found = metrics.multiclass(classes, scores / scores.sum(1, keepdims=True), ["a", "b", "c"])
        self.assertAlmostEqual(float(found["accuracy"]), (scores.argmax(1) == classes).mean())
        self.assertEqual(list(found["classes"]), ["a", "b", "c"])
        labels = np.where(random.random((300, 2)) < 0.1, np.nan, random.random((300, 2)) < 0.5)
        self.assertIn("macro_auroc", metrics.multilabel(labels, random.random((300, 2)), intervals=False))
        values = random.random(300)
        found = metrics.regression(values, values + random.random(300))
        self.assertTrue(0 < float(found["pearson"]) < 1)

    def test_what_is_wrong_is_said_in_a_sentence(self):
        for labels, scores, sentence in (
            ([0, 2], [0.5, 0.5], "labels holds other numbers than 0 and 1"),
            ([0, 1], [0.5], "labels have shape"),
            ([0, 1], [0.5, np.nan], "score 1 is NaN"),
            ([0, 1], ["a", "b"], "scores is"),
            ([[0, 1]], [0.5, 0.5], "labels has 2 axes"),
        ):
            with self.assertRaisesRegex(ValueError, sentence):
                metrics.auroc(labels, scores)
        with self.assertRaisesRegex(ValueError, "labels hold 7"):
            metrics.multiclass([0, 7], np.full((2, 2), 0.5))


class TestCommand(Folder):
    """The command, where Python sees a PyTorch that is made up."""

    def run_with(self, version, *arguments, library=True):
        """The command where PyTorch has this version, or none; the program that trains is a script that prints what it was given."""
        package = self.folder / "strandnet"
        (package / "bin").mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "_launcher.py").write_bytes(Path(_launcher.__file__).read_bytes())
        for name in ("strandnet", "strandnet-score"):
            program = package / "bin" / name
            program.write_text(f"#!/bin/sh\necho {name} \"$@\"\necho path $LD_LIBRARY_PATH\n")
            program.chmod(0o755)
        if version:
            (self.folder / "torch" / "lib").mkdir(parents=True, exist_ok=True)
            (self.folder / "torch" / "__init__.py").write_text("raise SystemExit('torch was imported')")
            (self.folder / "torch" / "version.py").write_text(f"__version__ = '{version}'\n")
            (self.folder / "torch" / "lib" / "libtorch_cpu.so").write_text("")
            if not library:
                (self.folder / "torch" / "lib" / "libtorch_cpu.so").unlink()
        code = f"import sys; sys.path.insert(0, {str(self.folder)!r}); from strandnet._launcher import main; main()"
        # -I and -S: no other PyTorch is seen.
        return subprocess.run([sys.executable, "-I", "-S", "-c", code, *arguments], capture_output=True, text=True)

    def test_with_libtorch_the_program_is_started(self):
        for version in ("2.11.0", "2.11.0+cpu"):
            done = self.run_with(version, "train", "--epochs", "3")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(done.stdout, f"strandnet train --epochs 3\npath {self.folder / 'torch' / 'lib'}\n")

    def test_without_libtorch_what_needs_none_is_done_and_the_rest_says_what_to_install(self):
        for version, library, why in ((None, True, "has no PyTorch"), ("2.10.1", True, "is 2.10.1, expected 2.11.0"),
                                      ("2.11.0", False, "has no lib/libtorch_cpu.so")):
            with self.subTest(version):
                done = self.run_with(version, "--quiet", "predict", "run", library=library)
                self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (0, "strandnet-score --quiet predict run"))
                done = self.run_with(version, "train", library=library)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("strandnet train needs libtorch, and", done.stderr)
                self.assertIn(why, done.stderr)
                self.assertIn("pip install", done.stderr)
                done = self.run_with(version, "explain", "motifs", "run", library=library)
                self.assertEqual(done.returncode, 1)

    def test_doctor_says_which_libtorch_there_is_and_why(self):
        done = self.run_with("2.11.0", "doctor")
        self.assertIn(f"libtorch 2.11.0 of PyTorch in {self.folder / 'torch'}\nstrandnet doctor", done.stdout)
        for folder in (self.folder / "torch").glob("**/version.py"):
            folder.unlink()
        done = self.run_with(None, "doctor")
        self.assertEqual(done.returncode, 1)
        self.assertIn("of an unknown version", done.stdout)
        self.assertIn("predict, evaluate, explain sequences", done.stdout)

    def test_the_installed_command_scores(self):
        fasta = self.folder / "some.fa"
        model = strandnet.load(RUN)
        fasta.write_text(f">s\n{random_sequences(1, model.length)[0]}\n")
        done = subprocess.run([COMMAND, "predict", RUN, fasta], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("s\t", done.stdout)

    @unittest.skipUnless(HAS_PROGRAM, "the program that trains is not in the wheel, or PyTorch 2.11.0 is not installed")
    def test_the_installed_command_trains(self):
        done = subprocess.run([COMMAND, "doctor"], capture_output=True, text=True)
        self.assertIn("libtorch 2.11.0 of PyTorch", done.stdout, done.stderr)
        out = self.folder / "run"
        done = subprocess.run(
            [COMMAND, "train", "--arch", "shallow", "--fragments", "200", "--test-fragments", "100", "--epochs", "1", "--out", out],
            capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(strandnet.load(out).task, "binary")

    @unittest.skipUnless(HAS_PROGRAM, "the program that trains is not in the wheel, or PyTorch 2.11.0 is not installed")
    def test_completions_and_the_schema_come_with_it(self):
        def printed(*arguments):
            done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        for shell, word in (("bash", "complete -F _strandnet"), ("zsh", "#compdef strandnet"), ("fish", "complete -c strandnet")):
            self.assertIn(word, printed("completions", shell))
        schema = json.loads(printed("schema"))
        self.assertEqual(set(schema["properties"]) & {"data", "model", "training"}, {"data", "model", "training"})

    @unittest.skipUnless(HAS_PROGRAM and shutil.which("bash"), "as above, or bash is not installed")
    def test_the_guide_for_programs_runs_with_it(self):
        guide = (ROOT / "docs" / "agents.md").read_text()
        blocks = [rest.split("\n```\n")[0] for rest in guide.split("\n```sh\n")[1:]]
        self.assertGreaterEqual(len(blocks), 6)
        environment = {**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
        for block in blocks:
            with self.subTest(block):
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", block], cwd=self.folder, env=environment, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
