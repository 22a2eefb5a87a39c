"""Tests of strandnet.from_torch in the installed wheel: the numbers of PyTorch, and run folders that are as any other."""
import csv
import importlib.util
import io
import json
import math
import os
import subprocess
import unittest

import numpy as np
import strandnet
from partners import needs
from test_strandnet import COMMAND, HAS_PROGRAM, Folder, codes_of, one_hot_of, program, random_sequences

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

LENGTH = 60
TOLERANCE = 1e-5


def modules():
    """Classes as RUN/model.py defines them for what PyTorch has no module for."""

    class Exp(nn.Module):
        def __init__(self, at_most=6.0):
            super().__init__()
            self.at_most = at_most

        def forward(self, x):
            return x.clamp(max=self.at_most).exp()

    class Residual(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    class BidirectionalLSTM(nn.LSTM):
        def __init__(self, channels, units, **options):
            super().__init__(channels, units, batch_first=True, bidirectional=True, **options)

        def forward(self, x):
            return super().forward(x.transpose(1, 2))[0].transpose(1, 2)

    class Wrapped(nn.Module):
        def __init__(self, channels, units):
            super().__init__()
            self.memory = nn.LSTM(channels, units, bidirectional=True)

        def forward(self, x):
            return self.memory(x.permute(2, 0, 1))[0].permute(1, 2, 0)

    class GatedBlock(nn.Module):
        def __init__(self, channels, width, dilation):
            super().__init__()
            self.norm = nn.BatchNorm1d(channels)
            self.conv = nn.Conv1d(channels, channels, width, padding="same", dilation=dilation)
            self.gate = nn.Conv1d(channels, channels, width, padding="same", dilation=dilation)

        def forward(self, x):
            y = self.norm(x)
            return x + self.conv(y) * torch.sigmoid(self.gate(y))

    class GlobalMaxMeanPool(nn.Module):
        def forward(self, x):
            return torch.cat([x.amax(2), x.mean(2)], 1)

    class PlacesPool(nn.Conv1d):
        def __init__(self, channels, filters, places):
            super().__init__(channels, filters, 1)
            self.places = nn.AdaptiveMaxPool1d(places)

        def forward(self, x):
            return torch.cat([x.amax(2), x.mean(2), self.places(super().forward(x)).flatten(1)], 1)

    class Crop(nn.Module):
        def forward(self, x):
            return x[:, :, 5:-5]

    class Passes(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

    class Adds(Passes):
        def forward(self, x):
            return x + self.inner(x)

    names = (Passes, Adds, Exp, Residual, BidirectionalLSTM, Wrapped, GatedBlock, GlobalMaxMeanPool, PlacesPool, Crop)
    return {of.__name__: of for of in names}


def drawn(network, seed=1):
    """The network with statistics of batch norm that are no defaults."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d) and module.running_var is not None:
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval()


def logits_of(network, codes, alphabet="ACGT"):
    rows = one_hot_of(codes)[:, ["ACGT".index(base) for base in alphabet]]
    with torch.no_grad():
        return network(torch.from_numpy(np.ascontiguousarray(rows))).numpy().astype(float)


def end(channels, outputs=3):
    return [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, outputs)]


class Imports(Folder):
    def setUp(self):
        super().setUp()
        self.sequences = random_sequences(20, LENGTH - 4)
        self.sequences = [sequence[:9] + "NNnn" + sequence[9:] for sequence in self.sequences]
        self.codes = np.stack([codes_of(sequence) for sequence in self.sequences])

    def imported(self, network, classes=("a", "b", "c"), **settings):
        out = self.folder / f"run{len(os.listdir(self.folder))}"
        return strandnet.from_torch(network, length=LENGTH, classes=list(classes), out=out, **settings)

    def assert_softmax(self, network, alphabet="ACGT", **settings):
        model = self.imported(network, alphabet=alphabet, **settings)
        logits = logits_of(network, self.codes, alphabet)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        np.testing.assert_allclose(model.predict(self.sequences), odds / odds.sum(1, keepdims=True), atol=TOLERANCE)
        return model


class TestLayers(Imports):
    @needs("torch")
    def test_every_kind_of_layer_gives_the_numbers_of_pytorch(self):
        own = modules()
        conv = lambda **options: nn.Conv1d(4, 6, 5, **{"padding": "same", **options})

        def large(convolution):
            nn.init.uniform_(convolution.weight, -3, 3)
            return convolution

        networks = {
            "convolution": [conv(), nn.ReLU(), *end(6)],
            "norms and functions": [nn.BatchNorm1d(4), conv(bias=False), nn.BatchNorm1d(6, eps=1e-3), nn.GELU(), nn.Dropout(0.3),
                                    nn.Conv1d(6, 6, 3), nn.SiLU(), nn.BatchNorm1d(6, affine=False), nn.Tanh(), nn.Identity(),
                                    *end(6)],
            "pools": [conv(), nn.MaxPool1d(3, 2), nn.AvgPool1d((2,)), nn.AdaptiveMaxPool1d(7), nn.Flatten(), nn.Dropout1d(0.2),
                      nn.Linear(42, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)],
            "adaptive max": [conv(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 3, bias=False)],
            "no dense layer": [conv(), nn.Conv1d(6, 3, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten()],
            "a function last": [conv(), *end(6), nn.ReLU()],
            "one position": [conv(), nn.AdaptiveAvgPool1d(1), nn.Conv1d(6, 3, 1), nn.Flatten()],
            "nested": [nn.Sequential(nn.Sequential(conv(), nn.ReLU()), nn.Sequential()), nn.Sequential(*end(6))],
            "exp of large numbers": [large(conv()), own["Exp"](math.inf), nn.BatchNorm1d(6), *end(6)],
            "exp": [conv(), own["Exp"](), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(90, 3)],
            "residual": [conv(), own["Residual"](nn.ReLU(), nn.Conv1d(6, 6, 3, padding=2, dilation=2), nn.BatchNorm1d(6),
                                                 own["Residual"](nn.Tanh(), nn.Conv1d(6, 6, 1))), *end(6)],
            "modules of one's own": [own["Adds"](nn.Conv1d(4, 4, 3, padding=1)), own["Passes"](nn.Sequential(conv(), nn.ReLU())),
                                     own["Adds"](nn.Sequential(nn.Conv1d(6, 6, 1), own["Passes"](nn.Tanh()))), *end(6)],
            "one module twice": [conv(), same := nn.ReLU(), nn.Conv1d(6, 6, 3), same, *end(6)],
            "residual of features": [conv(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), own["Residual"](nn.Linear(6, 6), nn.ReLU()),
                                     nn.Linear(6, 3)],
            "gated": [conv(), own["GatedBlock"](6, 3, 2), *end(6)],
            "lstm": [conv(), nn.MaxPool1d(3), own["BidirectionalLSTM"](6, 5), nn.Flatten(), nn.Linear(200, 3)],
            "lstm without biases": [conv(), own["BidirectionalLSTM"](6, 5, bias=False), *end(10)],
            "lstm in a module": [conv(), own["Wrapped"](6, 4), *end(8)],
            "maxima and means": [conv(), own["GlobalMaxMeanPool"](), nn.Linear(12, 3)],
            "places": [conv(), own["PlacesPool"](6, 4, 8), nn.Linear(12 + 32, 3)],
            "crop": [conv(), own["Crop"](), nn.Flatten(), nn.Linear(300, 3)],
        }
        for name, layers in networks.items():
            with self.subTest(name):
                self.assert_softmax(drawn(nn.Sequential(*layers)))

    @needs("torch")
    def test_convolutions_with_every_padding_stride_dilation_and_group(self):
        for width in (1, 4, 7):
            for padding in (0, 1, 3, 9, "same", "valid"):
                for stride in (1, 3):
                    if padding == "same" and stride > 1:
                        continue
                    options = {"padding": padding, "stride": stride, "dilation": 2, "groups": 2}
                    with self.subTest(width=width, **options):
                        network = nn.Sequential(nn.Conv1d(4, 6, 5, padding=padding), nn.ReLU(), nn.Conv1d(6, 4, width, **options),
                                                nn.MaxPool1d(4), *end(4))
                        self.assert_softmax(drawn(network))

    @needs("torch")
    def test_bases_in_another_order_are_turned(self):
        own = modules()
        for alphabet in ("ACGT", "TGCA", "AGCT", "gatc"):
            for first in (nn.Conv1d(4, 6, 5), nn.Conv1d(4, 6, 5, groups=2), own["BidirectionalLSTM"](4, 3), nn.BatchNorm1d(4)):
                with self.subTest(alphabet=alphabet, first=type(first).__name__):
                    channels = 4 if isinstance(first, nn.BatchNorm1d) else 6
                    network = drawn(nn.Sequential(first, nn.ReLU(), nn.MaxPool1d(2), *end(channels)))
                    model = self.assert_softmax(network, alphabet.upper())
        run = json.loads((model.run / "run.json").read_text())
        self.assertEqual(run["imported"]["alphabet"], "GATC")

    @needs("torch")
    def test_weights_of_another_kind_and_a_network_in_training_are_taken_as_they_are(self):
        network = drawn(nn.Sequential(nn.Conv1d(4, 6, 5), nn.Dropout(0.5), *end(6))).double().train()
        model = self.imported(network)
        self.assertTrue(network.training and network[0].weight.dtype == torch.float64)
        network = network.float().eval()
        odds = np.exp(logits_of(network, self.codes))
        np.testing.assert_allclose(model.predict(self.codes), odds / odds.sum(1, keepdims=True), atol=TOLERANCE)


class TestTasks(Imports):
    def network(self, outputs, *ends):
        return drawn(nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), *end(6, outputs), *ends))

    @needs("torch")
    def test_what_comes_out_is_told_from_the_end_of_the_network(self):
        sigmoid = lambda x: 1 / (1 + np.exp(-x))
        softmax = lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)
        for outputs, ends, classes, settings, task, expected in (
            (1, [], ["no", "yes"], {}, "binary", lambda x: sigmoid(x[:, 0])),
            (1, [nn.Sigmoid()], ["no", "yes"], {}, "binary", lambda x: x[:, 0]),
            (1, [nn.Sigmoid()], ["no", "yes"], {"positive": "no"}, "binary", lambda x: 1 - x[:, 0]),
            (2, [], ["no", "yes"], {}, "binary", lambda x: softmax(x)[:, 1]),
            (2, [nn.Softmax(1)], ["no", "yes"], {"positive": "no"}, "binary", lambda x: x[:, 0]),
            (3, [nn.LogSoftmax(-1)], ["a", "b", "c"], {}, "multiclass", np.exp),
            (3, [nn.Sigmoid()], ["a", "b", "c"], {}, "multilabel", lambda x: x),
            (3, [], ["a", "b", "c"], {"task": "multilabel"}, "multilabel", sigmoid),
            (2, [nn.Sigmoid()], ["a", "b"], {}, "multilabel", lambda x: x),
            (1, [nn.Sigmoid()], ["open"], {}, "multilabel", lambda x: x[:, 0]),
            (1, [], ["signal"], {"task": "regression"}, "regression", lambda x: x[:, 0]),
            (2, [], ["a", "b"], {"task": "regression"}, "regression", lambda x: x),
        ):
            with self.subTest(outputs=outputs, ends=ends, classes=classes, **settings):
                network = self.network(outputs, *ends)
                model = self.imported(network, classes, **settings)
                self.assertEqual((model.task, model.classes), (task, classes))
                if task == "binary":
                    self.assertEqual(model.positive, settings.get("positive", "yes"))
                found = model.predict(self.codes)
                np.testing.assert_allclose(found, expected(logits_of(network, self.codes)).reshape(found.shape), atol=TOLERANCE)

    @needs("torch")
    def test_a_network_or_a_question_that_does_not_fit_is_a_sentence(self):
        class Odd(nn.Module):
            def forward(self, x):
                return x * 2

        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = nn.Sequential(nn.Conv1d(4, 6, 5))

            def forward(self, x):
                return 2 * self.net(x)

        class Shifted(nn.Sequential):  # computes more than its layers
            def forward(self, x):
                return super().forward(x) + 1

        class Crop(nn.Module):  # not the middle
            def forward(self, x):
                return x[:, :, :-6]

        class Positive(nn.Module):  # whose maxima are positive on random sequences
            def __init__(self):
                super().__init__()
                self.pool = nn.AdaptiveMaxPool1d(1)

            def forward(self, x):
                return self.pool(x).relu()

        class Small(nn.Module):
            def __init__(self):
                super().__init__()
                self.dense = nn.Linear(6, 3)
                nn.init.uniform_(self.dense.weight, -1e-7, 1e-7)
                nn.init.zeros_(self.dense.bias)

            def forward(self, x):
                return 3 * self.dense(x)

        conv = nn.Conv1d(4, 6, 5)
        hooked = nn.Sequential(nn.Conv1d(4, 6, 5), *end(6))
        hooked.register_forward_hook(lambda module, inputs, output: 0.2 * output)
        for layers, settings, sentence in (
            ([conv, Positive(), nn.Flatten(), nn.Linear(6, 3)], {}, r"layer 1 \(Positive\) is not known"),
            ([conv, nn.AdaptiveAvgPool1d(1), nn.Flatten(), Small()], {"task": "regression"}, r"layer 3 \(Small\) is not known"),
            ([nn.LazyConv1d(6, 5), *end(6)], {}, r"layer 0 \(LazyConv1d\) has no weights yet"),
            ([conv, *end(6)], {"classes": {"a", "b", "c"}}, "expected a list of names"),
            ([conv, *end(6)], {"classes": None}, "expected a list of names"),
            ([conv, *end(6)], {"length": 10**12}, "expected at most 1000000"),
            ([conv, Odd(), *end(6)], {}, r"layer 1 \(Odd\) is not known"),
            ([nn.Sequential(conv, nn.LeakyReLU()), *end(6)], {}, r"layer 0.1 \(LeakyReLU\) is not known"),
            ([conv, nn.ELU(), *end(6)], {}, r"layer 1 \(ELU\) is not known"),
            ([conv, nn.GroupNorm(2, 6), *end(6)], {}, r"layer 1 \(GroupNorm\) is not known"),
            ([Twice(), *end(6)], {}, r"layer 0 \(Twice\) is not known"),
            ([conv, nn.LSTM(6, 3), *end(6)], {}, r"layer 1 \(LSTM\) does not take|gives a tuple"),
            ([conv, modules()["BidirectionalLSTM"](6, 3, num_layers=2), *end(6)], {}, "of 2 layers and 2 directions"),
            ([nn.Conv1d(4, 6, 5, padding=2, padding_mode="circular"), *end(6)], {}, "pads by circular"),
            ([conv, nn.MaxPool1d(4, padding=1), *end(6)], {}, "pads or dilates"),
            ([conv, nn.MaxPool1d(5, ceil_mode=True), *end(6)], {}, "ceil_mode"),
            ([conv, nn.AdaptiveAvgPool1d(5), *end(6)], {}, "5 places of 56 positions"),
            ([conv, nn.BatchNorm1d(6, track_running_stats=False), *end(6)], {}, "no running statistics"),
            ([conv, nn.GELU("tanh"), *end(6)], {}, "approximates by tanh"),
            ([conv, nn.Sigmoid(), *end(6)], {}, r"layer 1 \(Sigmoid\) stands within the network"),
            ([conv, *end(6), nn.Sigmoid(), nn.Linear(3, 3)], {}, r"Sigmoid stands before layer 5 \(Linear\)"),
            ([conv, nn.Linear(56, 3), nn.Flatten()], {}, r"layer 1 \(Linear\) stands on positions"),
            ([conv, nn.Linear(7, 3)], {}, r"layer 1 \(Linear\) does not take \[n, 6, 56\]"),
            ([conv, nn.Conv1d(5, 3, 1), *end(3)], {}, r"layer 1 \(Conv1d\) does not take"),
            ([conv], {}, r"module gives \[n, 6, 56\], expected \[n, outputs\]"),
            ([nn.Conv1d(4, 2000, 5), *end(2000)], {}, "filters = 2000, expected 1 to 1024"),
            ([conv, Crop(), *end(6)], {}, "expected as many or fewer|output . differs by"),
            ([conv, *end(6, 4)], {}, "4 outputs and 3 classes are named"),
            ([conv, *end(6)], {"classes": ["a", "a", "b"]}, "class 'a' is named twice"),
            ([conv, *end(6)], {"classes": ["a", "", "b"]}, "a class is named ''"),
            ([conv, *end(6)], {"positive": "a"}, "positive goes with two classes"),
            ([conv, *end(6, 2)], {"classes": ["a", "b"], "positive": "c"}, "positive is 'c'"),
            ([conv, *end(6, 1)], {"classes": ["a"]}, "which is a label or a value"),
            ([conv, *end(6), nn.Softmax(1)], {"task": "regression"}, "ends with Softmax"),
            ([conv, *end(6)], {"task": "ranking"}, "task is 'ranking'"),
            ([conv, *end(6)], {"alphabet": "ACGU"}, "alphabet is 'ACGU'"),
            ([conv, *end(6)], {"length": 0}, "length is 0"),
            ([conv, *end(6)], {"length": 4}, "does not take"),
        ):
            with self.subTest(sentence):
                settings = {"length": LENGTH, "classes": ["a", "b", "c"], **settings}
                with self.assertRaisesRegex(ValueError, sentence) as raised:
                    strandnet.from_torch(nn.Sequential(*layers), out=self.folder / "out", **settings)
                self.assertNotIn("\n", str(raised.exception))
                self.assertFalse((self.folder / "out").exists())
        damaged = self.network(3)
        damaged[0].weight.data.fill_(np.nan)
        for module, sentence in (
            (Twice(), r"layer module \(Twice\) is not known"),
            (Shifted(conv, *end(6)), "Shifted"),
            (nn.Sequential(), "holds no layers"),
            ("net", "module is a str"),
            (damaged, "not finite"),
            (hooked, "it computes something besides its layers"),
        ):
            with self.assertRaisesRegex(ValueError, sentence):
                self.imported(module)


class TestRuns(Imports):
    """Run folders of imported networks, in the hands of the commands."""

    def setUp(self):
        super().setUp()
        if torch is None:
            return
        self.network = drawn(nn.Sequential(nn.Conv1d(4, 8, 7, padding=3), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(4),
                                           nn.Flatten(), nn.Dropout(0.1), nn.Linear(120, 1)))
        self.run_folder = self.folder / "imported"
        self.model = strandnet.from_torch(self.network, length=LENGTH, classes=["closed", "open"], out=self.run_folder)
        self.table = self.folder / "table.csv"
        random = np.random.default_rng(3)
        rows = [f"{sequence},{random.choice(['closed', 'open'])}" for sequence in random_sequences(200, LENGTH, 5)]
        self.table.write_text("\n".join(["sequence,label", *rows]) + "\n")
        self.fasta = self.folder / "some.fa"
        self.fasta.write_text("".join(f">s{i}\n{sequence}\n" for i, sequence in enumerate(self.sequences)))

    def scores(self):
        return 1 / (1 + np.exp(-logits_of(self.network, self.codes)[:, 0]))

    @needs("torch")
    def test_they_are_scored_explained_evaluated_and_reported(self):
        rows = csv.DictReader(io.StringIO(program("predict", self.run_folder, self.fasta, "--format", "tsv")), delimiter="\t")
        np.testing.assert_allclose([float(row["score"]) for row in rows], self.scores(), atol=TOLERANCE)
        x = torch.from_numpy(one_hot_of(self.codes)).requires_grad_()
        self.network(x).sum().backward()
        saliency = x.grad.numpy() * one_hot_of(self.codes)
        np.testing.assert_allclose(self.model.attribute(self.codes, "saliency"), saliency, atol=TOLERANCE)
        out = self.folder / "explained"
        program("explain", "sequences", self.run_folder, self.fasta, "--method", "saliency", "--out", out)
        np.testing.assert_allclose(np.load(out / "importance.npz")["saliency"], saliency, atol=TOLERANCE)
        found = json.loads(program("evaluate", self.run_folder, "--test", self.table, "--json"))
        self.assertEqual(found["test"]["n"], 200)
        program("report", self.run_folder)
        page = (self.run_folder / "report.html").read_text()
        self.assertIn("PyTorch", page)

    @needs("torch", "safetensors")
    def test_model_py_is_the_module(self):
        spec = importlib.util.spec_from_file_location("model", self.run_folder / "model.py")
        written = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(written)
        with torch.no_grad():
            found = written.load(self.run_folder)(torch.from_numpy(one_hot_of(self.codes))).numpy()
        np.testing.assert_allclose(found, self.scores(), atol=TOLERANCE)

    @needs("torch")
    def test_what_needs_training_data_says_that_the_run_was_imported(self):
        done = subprocess.run([COMMAND, "evaluate", self.run_folder], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("was imported from PyTorch", done.stderr)
        with self.assertRaisesRegex(ValueError, "not empty.*force"):
            strandnet.from_torch(self.network, length=LENGTH, classes=["closed", "open"], out=self.run_folder)
        again = strandnet.from_torch(self.network, length=LENGTH, classes=["shut", "open"], out=self.run_folder, force=True)
        self.assertEqual(again.classes, ["shut", "open"])

    @unittest.skipUnless(HAS_PROGRAM, "the program that trains is not in the wheel, or PyTorch 2.11.0 is not installed")
    @needs("torch")
    def test_the_program_scores_exports_and_trains_them(self):
        def scored(*flags):
            table = run("predict", self.run_folder, self.fasta, "--format", "tsv", *flags).stdout
            return [float(row["score"]) for row in csv.DictReader(io.StringIO(table), delimiter="\t")]

        def run(*arguments, code=0):
            done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
            return done

        for flags in ([], ["--no-native"]):
            np.testing.assert_allclose(scored(*flags), self.scores(), atol=TOLERANCE)
        x = torch.from_numpy(one_hot_of(self.codes))
        for form in ("torchscript", "python", "onnx", "html"):
            out = self.folder / f"model.{form}"
            run("export", self.run_folder, "--format", form, "--out", out)
            if form == "torchscript":
                with torch.no_grad():
                    np.testing.assert_allclose(torch.jit.load(out)(x).numpy(), self.scores(), atol=TOLERANCE)
        run("explain", "motifs", self.run_folder, "--sequences", self.fasta, "--out", self.folder / "motifs")
        done = run("verify", self.run_folder)
        self.assertRegex(done.stdout, "files +ok .*\n.*weights +ok .*\norigin +ok +imported from PyTorch")
        weights = (self.run_folder / "best.safetensors").read_bytes()
        (self.run_folder / "best.safetensors").write_bytes(weights[:-1] + b"x")
        self.assertIn("best.safetensors", run("verify", self.run_folder, code=1).stdout)
        (self.run_folder / "best.safetensors").write_bytes(weights)
        for arguments in (["explain", "motifs"], ["train", "--epochs", 2, "--resume"]):
            done = run(*arguments, self.run_folder, code=1)
            self.assertIn("was imported from PyTorch", done.stderr + done.stdout, arguments)
        known = self.folder / "known.meme"
        header = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF one\nletter-probability matrix: alength= 4 w= 4\n"
        known.write_text(header + "0.7 0.1 0.1 0.1\n" * 4)
        done = run("explain", "motifs", self.run_folder, "--sequences", self.fasta, "--database", known, "--out",
                   self.folder / "known", code=1)
        self.assertIn("was imported from PyTorch", done.stderr)
        tuned = self.folder / "tuned"
        run("train", self.run_folder / "config.toml", "--train", self.table, "--init-from", self.run_folder, "--epochs", 1,
            "--valid-fraction", 0.2, "--test-fraction", 0.2, "--out", tuned)
        self.assertEqual(sorted(strandnet.load(tuned).classes), ["closed", "open"])


if __name__ == "__main__":
    unittest.main()
