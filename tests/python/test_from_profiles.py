"""Tests of networks that bpnet-lite, ChromBPNet and bpnet-refactor trained: the same numbers as theirs, and what is refused.

Those of modules need bpnet-lite, those of files h5py, and those that compare files with Keras also that, on PyTorch.
"""
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
import warnings
import zipfile
from pathlib import Path

import numpy as np
import strandnet
from partners import needs

os.environ.setdefault("KERAS_BACKEND", "torch")
logging.getLogger("absl").setLevel(logging.ERROR)  # Keras warns of every .h5 file that it writes
TOLERANCE = 1e-5


def one_hot(count, length, seed=1):
    """Sequences f32 [count, 4, length], the first with unknown bases."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (count, length))
    codes[0, ::17] = 4
    return (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.float32)


def assert_close(found, expected):
    for values, wanted in zip(found, expected):
        wanted = np.asarray(wanted, np.float64)
        assert values.shape == wanted.shape, (values.shape, wanted.shape)
        np.testing.assert_array_less(np.abs(values - wanted), TOLERANCE * np.maximum(1, np.abs(wanted)))


class Folder(unittest.TestCase):
    """A test in a folder of its own, which is also the current one."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def assert_refused(self, sentence, function, *arguments, **settings):
        """One sentence in one line, and no folder left."""
        settings = {"out": self.folder / "refused", **settings}
        with self.assertRaisesRegex(ValueError, sentence) as raised:
            function(*arguments, **settings)
        self.assertNotIn("\n", str(raised.exception))
        self.assertFalse((self.folder / "refused").exists())


@needs("torch", "bpnetlite.chrombpnet")
class TestBpnetlite(Folder):
    def setUp(self):
        super().setUp()
        import torch
        from bpnetlite.bpnet import BasePairNet, BPNet, ControlWrapper, CountWrapper, ProfileWrapper
        from bpnetlite.chrombpnet import ChromBPNet

        torch.manual_seed(1)
        self.torch, self.BPNet, self.BasePairNet, self.ChromBPNet = torch, BPNet, BasePairNet, ChromBPNet
        self.ControlWrapper, self.CountWrapper, self.ProfileWrapper = ControlWrapper, CountWrapper, ProfileWrapper

    def drawn(self, module):
        """A module whose weights and biases are large enough that each matters."""
        with self.torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_(0, 0.5 / max(1, parameter[0].numel())**0.5)
        return module

    def outputs(self, module, inputs):
        inputs = self.torch.tensor(inputs)
        controls = getattr(module, "n_control_tracks", 0)
        with self.torch.no_grad():
            found = module(inputs, self.torch.zeros(len(inputs), controls, inputs.shape[2])) if controls else module(inputs)
        return [tensor.double().numpy() for tensor in found]

    def test_a_network_predicts_as_the_module(self):
        for number, (module, length) in enumerate((
            (self.BPNet(16, 3, 2, 2), 400),
            (self.BPNet(8, 1, 1, 0), 131),
            (self.BPNet(8, 2, 1, 0, trimming=10), 200),  # the counts are averaged over all positions
            (self.BPNet(8, 4, 2, 0, trimming=0), 150),
            (self.BPNet(4, 5, 1, 1, trimming=37), 300),
            (self.BPNet(8, 2, 2, 2, profile_output_bias=False, count_output_bias=False), 250),
            (self.BasePairNet(8, 6, 2, 2), 350),
            (self.BasePairNet(16, 3, 1, 0, trimming=30), 201),
            (self.BasePairNet(8, 2, 1, 0, profile_output_bias=False, count_output_bias=False), 128),
        )):
            with self.subTest(number):
                self.drawn(module).train()
                run = strandnet.from_bpnetlite(module, length=length, track="ATAC", out=self.folder / str(number))
                self.assertTrue(module.training and module.iconv.training)
                self.assertEqual((run.task, run.length, run.classes), ("profile", length, ["ATAC"]))
                inputs = one_hot(5, length)
                expected = self.outputs(module, inputs)
                self.assertEqual(expected[0].shape[1:], (module.n_outputs, length - 2 * module.trimming))
                assert_close(run.predict(inputs), expected)
                assert_close(strandnet.load(self.folder / str(number)).predict(inputs), expected)

    def test_the_usual_lengths_and_widths(self):
        run = strandnet.from_bpnetlite(self.drawn(self.BPNet(8, 8, 1, 0)), out=self.folder / "run")
        profile, counts = run.predict(one_hot(2, 2114))
        self.assertEqual((profile.shape, counts.shape), ((2, 1, 1000), (2, 1)))
        module = self.BPNet(8, 3, 1, 0, trimming=0)  # as from_chrombpnet_lite makes it
        module.iconv, module.fconv = (self.torch.nn.Conv1d(a, b, 25, padding=12) for a, b in ((4, 8), (8, 1)))
        run = strandnet.from_bpnetlite(self.drawn(module), length=222, out=self.folder / "lite")
        inputs = one_hot(4, 222)
        assert_close(run.predict(inputs), self.outputs(module, inputs))

    def test_a_chrombpnet_keeps_its_bias(self):
        for number, (bias, accessibility) in enumerate((
            (self.BPNet(4, 2, 1, 0), self.BPNet(16, 4, 1, 0)),
            (self.BPNet(4, 3, 1, 0, trimming=50), self.BPNet(8, 3, 1, 0, trimming=80)),
        )):
            module = self.drawn(self.ChromBPNet(bias, accessibility))
            inputs = one_hot(4, 330)
            run = strandnet.from_bpnetlite(module, length=330, out=self.folder / str(number))
            assert_close(run.predict(inputs), self.outputs(module, inputs))
            assert_close(strandnet.load(self.folder / str(number)).predict(inputs), self.outputs(accessibility, inputs))

    def test_wrappers_names_and_kinds_of_numbers(self):
        module = self.drawn(self.BPNet(4, 2, 2, 2, name="path/to/mine"))
        inputs = one_hot(3, 200)
        for name, wrapped in (("mine", self.ControlWrapper(module)), ("other", self.torch.nn.DataParallel(module)),
                              ("double", module.double())):
            run = strandnet.from_bpnetlite(wrapped, length=200, name=None if name == "mine" else name)
            self.assertTrue((self.folder / name).is_dir())
            assert_close(run.predict(inputs), self.outputs(module.float(), inputs))

    def test_older_modules_lack_attributes(self):
        module = self.drawn(self.BPNet(4, 2, 1, 0))
        for attribute in ("n_control_tracks", "n_outputs", "name", "logger", "count_loss_weight"):
            delattr(module, attribute)
        run = strandnet.from_bpnetlite(module, length=200)
        self.assertTrue((self.folder / "BPNet").is_dir())
        assert_close(run.predict(one_hot(2, 200)), self.outputs(module, one_hot(2, 200)))

    def test_a_run_that_is_there_is_kept_unless_force_is_given(self):
        module = self.drawn(self.BPNet(4, 1, 1, 0))
        strandnet.from_bpnetlite(module, length=150, out=self.folder / "run")
        with self.assertRaises((OSError, ValueError)):
            strandnet.from_bpnetlite(module, length=150, out=self.folder / "run")
        strandnet.from_bpnetlite(module, length=150, out=self.folder / "run", force=True)

    def test_what_is_wrong_is_said_in_a_sentence(self):
        nn = self.torch.nn

        def changed(change, module=None):
            module = module or self.BPNet(4, 2, 1, 0, name="mine")
            change(module)
            return module

        def put(name, layer, module=None):
            return changed(lambda module: setattr(module, name, layer), module)

        nan = self.BPNet(4, 2, 1, 0, name="mine")
        nan.linear.weight.data[0, 1] = float("nan")
        without = self.BPNet(4, 2, 1, 0, name="mine")
        del without.fconv
        for module, sentence in (
            (self.CountWrapper(self.BPNet()), "in a CountWrapper, which keeps a part of its output, .* give model.model"),
            (self.ProfileWrapper(self.BPNet()), "in a ProfileWrapper, .* give model.model"),
            (nn.Linear(2, 2), "the model is a Linear, expected a BPNet, BasePairNet or ChromBPNet"),
            ("model.torch", "the model is a str, expected .* torch.load"),
            (without, "mine: has no fconv"),
            (nan, "mine: layer linear: weights hold NaN or infinity"),
            (changed(lambda module: module.half()), "mine: layer iconv: holds float16, expected float32; give model.float"),
            (changed(lambda module: setattr(module.rconvs[1], "dilation", (3,))), "layer rconvs.1: dilation is 3, expected 4"),
            (changed(lambda module: setattr(module, "n_layers", 1)), "mine: n_layers is 1, expected 2"),
            (changed(lambda module: setattr(module, "irelu", nn.GELU())), "mine: layer irelu: is GELU, expected ReLU"),
            (put("iconv", nn.Conv1d(4, 4, 21)), "mine: layer iconv: padding is 0, expected 10"),
            (put("iconv", nn.Conv1d(4, 4, 20, padding="same")), "mine: layer iconv: is 20 wide, expected an odd width"),
            (put("iconv", nn.Conv1d(5, 4, 21, padding=10)), r"layer iconv: weights have shape \[4, 5, 21\], expected \[4, 4, 21\]"),
            (put("fconv", nn.Conv1d(4, 1, 77, padding=38)), "mine: layer fconv: is 77 wide, expected at most 75"),
            (put("fconv", nn.Conv1d(4, 3, 75, padding=37)), "mine: layer fconv: has 3 outputs, expected 1, or 2 for the strands"),
            (put("linear", nn.Linear(4, 2)), "mine: layer linear: has 2 outputs, expected one count"),
            (put("rconvs", nn.ModuleList([nn.Conv1d(4, 4, 3, padding=2, dilation=2), nn.Conv1d(4, 4, 5, padding=8, dilation=4)])),
             r"layer rconvs.1: weights have shape \[4, 4, 5\], expected \[4, 4, 3\]"),
            (put("trimming", 2.5), "mine: trimming is 2.5"),
            (put("trimming", 100), "mine: a sequence of 200 bp gives a profile of 0"),
            (self.BPNet(4, 2, 1, 1, trimming=36, name="mine"), "gives a profile of 128, expected 74 bp fewer"),
            (self.ChromBPNet(self.BPNet(4, 2, 1, 0), self.BPNet(4, 2, 1, 1)), "accessibility: takes 1 tracks of control"),
            (self.ChromBPNet(self.BPNet(4, 3, 1, 0), self.BPNet(4, 2, 1, 0)), "bias: gives a profile of 78, expected at least 94"),
            (put("accessibility", nn.Linear(2, 2), self.ChromBPNet(self.BPNet(), self.BPNet())), "accessibility: is a Linear, exp"),
            (self.ChromBPNet(self.BPNet(4, 2, 2, 0), self.BPNet(4, 2, 1, 0)), "bias: has 2 outputs, expected 1"),
        ):
            with self.subTest(sentence):
                self.assert_refused(sentence, strandnet.from_bpnetlite, module, length=200)
        for settings, sentence in (
            ({"length": 0}, "length is 0"), ({"length": "long"}, "length is 'long'"), ({"track": ""}, "track is ''"),
        ):
            self.assert_refused(sentence, strandnet.from_bpnetlite, self.BPNet(4, 2, 1, 0), **settings)

    def test_a_module_that_computes_something_else_than_its_class_does_is_found(self):
        class BPNet(self.BPNet):
            def forward(self, inputs, control=None):
                profile, counts = super().forward(inputs, control)
                return profile, counts + (0.01 if control is None else 0.01 * control.sum())

        for controls, what in ((0, "log counts differ"), (1, "log counts of the control differ")):
            self.assert_refused(rf"bpnet.4.2: {what} by ", strandnet.from_bpnetlite, BPNet(4, 2, 1, controls), length=200)

    @needs("safetensors")
    def test_model_py_is_the_module_with_its_control(self):
        modules = self.BPNet(8, 3, 2, 2), self.BasePairNet(8, 6, 2, 2), self.BasePairNet(4, 3, 1, 1, trimming=60)
        for number, module in enumerate(modules):
            self.drawn(module)
            out, length = self.folder / str(number), 400
            strandnet.from_bpnetlite(module, length=length, out=out)
            spec = importlib.util.spec_from_file_location(f"model{number}", out / "model.py")
            written = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(written)
            inputs = self.torch.tensor(one_hot(3, length))
            control = self.torch.poisson(self.torch.full((3, module.n_control_tracks, length), 0.3))
            start, end = module.trimming - 37, length - module.trimming + 37
            with self.torch.no_grad():
                expected = [tensor.double().numpy() for tensor in module(inputs, control)]
                found = [tensor.double().numpy() for tensor in written.load(out)(inputs, control[:, :, start:end])]
            assert_close(found, expected)


def convolution(name, shape, random, **settings):
    """A layer as a file has it, and its settings."""
    arrays = {"kernel": random.normal(0, 0.5 / max(1, shape[0] * shape[1])**0.5, shape), "bias": random.normal(0, 0.3, shape[2])}
    config = {"name": name, "dilation_rate": [1], "strides": [1], "padding": "valid", "activation": "linear", **settings}
    return name, arrays, ("Conv1D", config)


class Made:
    """A file of ChromBPNet, made without Keras, which a test can change: arrays by layer, and settings by layer."""

    def __init__(self, prefix="", filters=4, depth=2, length=200, profile_length=60, seed=1):
        random, second = np.random.default_rng(seed), prefix + "bpnet_" if prefix else ""
        self.arrays, self.settings, self.feeds = {}, {}, {}
        before = "sequence"
        self.settings["sequence"] = "InputLayer", {"name": "sequence", "batch_input_shape": [None, length, 4]}
        self.feeds["sequence"] = []
        parts = [convolution(prefix + "bpnet_1st_conv", (21, 4, filters), random, activation="relu")]
        for i in range(1, depth + 1):
            name = f"{prefix}bpnet_{i}conv"
            parts.append(convolution(name, (3, filters, filters), random, activation="relu", dilation_rate=[2**i]))
        parts.append(convolution(second + "prof_out_precrop", (75, filters, 1), random))
        for name, arrays, settings in parts:
            self.arrays[name], self.settings[name], self.feeds[name] = arrays, settings, [before]
            if "dilation_rate" in settings[1] and settings[1]["dilation_rate"] != [1]:
                reach = settings[1]["dilation_rate"][0]
                crop, add = f"{name}_crop", f"{name}_add"
                self.settings[crop], self.feeds[crop] = ("Cropping1D", {"name": crop, "cropping": [reach, reach]}), [before]
                self.settings[add], self.feeds[add] = ("Add", {"name": add}), [name, crop]
                before = add
            elif name.endswith("1st_conv"):
                before = name
        crop = (length - 20 - 4 * (2**depth - 1) - 74 - profile_length) // 2
        self.settings["crop"] = "Cropping1D", {"name": "crop", "cropping": [crop, crop]}
        self.feeds["crop"] = [second + "prof_out_precrop"]
        self.settings["gap"], self.feeds["gap"] = ("GlobalAveragePooling1D", {"name": "gap"}), [before]
        name = second + "logcount_predictions"
        self.arrays[name] = {"kernel": random.normal(0, 0.5, (filters, 1)), "bias": random.normal(0, 1, 1)}
        self.settings[name], self.feeds[name] = ("Dense", {"name": name, "activation": "linear", "use_bias": True}), ["gap"]

    def change(self, layer, array=None, kernel=None, bias=None, **settings):
        if kernel is not None:
            self.arrays[layer]["kernel"] = kernel
        if bias is not None:
            self.arrays[layer]["bias"] = bias
        self.settings[layer][1].update(settings)
        return self

    def config(self):
        return {"class_name": "Functional", "config": {"name": "model", "layers": [
            {"class_name": kind, "name": name, "config": config, "inbound_nodes": [[[feed, 0, 0, {}] for feed in self.feeds[name]]]}
            for name, (kind, config) in self.settings.items()]}}

    def write(self, path, config=True, whole=True, beside=None):
        """The file as TensorFlow 2.8 writes it; with a bias beside it, both nested."""
        import h5py

        with h5py.File(path, "w") as file:
            root = file.create_group("model_weights") if whole else file
            for group, made in (("model_wo_bias", self), ("model", beside)):
                for layer, arrays in made.arrays.items() if made else ():
                    for name, array in arrays.items():
                        root[f"{group if beside else layer}/{layer}/{name}:0"] = np.asarray(array, np.float32)
            if config:
                settings = self.config()
                if beside:
                    settings = {"class_name": "Functional", "config": {"name": "whole", "layers": [
                        {**settings, "name": "model_wo_bias"}, {**beside.config(), "name": "model"}]}}
                    for number, layer in enumerate(settings["config"]["layers"]):
                        layer["config"]["name"] = f"model{number}"
                    for kind, name, feeds in (("Add", "profiles", ["model0", "model1"]), ("Concatenate", "both", ["model0", "model1"]),
                                              ("Lambda", "counts", ["both"])):
                        settings["config"]["layers"].append({
                            "class_name": kind, "name": name, "config": {"name": name},
                            "inbound_nodes": [[[feed, 0, 0, {}] for feed in feeds]]})
                file.attrs["model_config"] = json.dumps(settings)
        return path


@needs("h5py")
class TestFiles(Folder):
    def test_layers_that_are_connected_otherwise_are_refused(self):
        for name, layer, feeds, sentence in (
            ("no residual", "bpnet_2conv", ["bpnet_1conv"], "layer bpnet_2conv: takes bpnet_1conv, expected bpnet_1conv_add"),
            ("twice itself", "bpnet_1conv_add", ["bpnet_1conv"], "layer bpnet_1conv_add: takes bpnet_1conv, expected"),
            ("not from the trunk", "bpnet_2conv_crop", ["bpnet_1st_conv"], "layer bpnet_2conv_"),
            ("counts of the profile", "gap", ["crop"], "layer bpnet_2conv_add: goes to 0 layers GlobalAveragePooling1D"),
            ("counts of a conv", "logcount_predictions", ["bpnet_1conv"], "layer logcount_predictions: takes bpnet_1conv"),
            ("no sequence", "bpnet_1st_conv", ["gap"], "layer bpnet_1st_conv: takes gap, expected the sequence"),
        ):
            with self.subTest(name):
                made = Made()
                made.feeds[layer] = feeds
                self.assert_refused(sentence, strandnet.from_chrombpnet, made.write("odd.h5"))
        for kind, before, after, sentence in (
            ("Lambda", "gap", "logcount_predictions", "layer logcount_predictions: takes extra, expected gap"),
            ("Dropout", "sequence", "bpnet_1st_conv", "layer bpnet_1st_conv: takes extra, expected the sequence"),
            ("Cropping1D", "crop", None, "layer extra: is Cropping1D, expected no such layer"),
            ("ReLU", "crop", None, "layer extra: is ReLU, expected no such layer"),
        ):
            with self.subTest(kind):
                made = Made()
                made.settings["extra"], made.feeds["extra"] = (kind, {"name": "extra", "cropping": [1, 1]}), [before]
                if after is not None:
                    made.feeds[after] = ["extra"]
                self.assert_refused(sentence, strandnet.from_chrombpnet, made.write("odd.h5"))
        made = Made()
        made.settings["sequence"][1]["batch_input_shape"] = [None, None, 4]
        self.assert_refused("of no length that the file tells", strandnet.from_chrombpnet, made.write("odd.h5"))

    def test_a_file_with_and_without_its_settings(self):
        inputs = one_hot(3, 200)
        made = Made("wo_bias_")
        run = strandnet.from_chrombpnet(made.write("nobias.h5"), track="DNase")
        self.assertEqual((run.length, run.classes, run.predict(inputs)[0].shape), (200, ["DNase"], (3, 1, 60)))
        self.assertTrue((self.folder / "nobias").is_dir())
        deep = Made("wo_bias_", length=2114, profile_length=1000, depth=4)
        expected = strandnet.from_chrombpnet(deep.write("deep.h5")).predict(one_hot(1, 2114))
        for name, settings in (("bare", {"config": False}), ("weights", {"config": False, "whole": False})):
            assert_close(strandnet.from_chrombpnet(deep.write(f"{name}.h5", **settings)).predict(one_hot(1, 2114)), expected)

    def test_a_bias_inside_or_beside(self):
        network, bias = Made("wo_bias_", depth=3), Made("", filters=3, depth=1, seed=2)
        whole = network.write("chrombpnet.h5", beside=bias)
        network.write("chrombpnet_nobias.h5"), bias.write("bias_model_scaled.h5")
        inputs = one_hot(3, 200)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            inside = strandnet.from_chrombpnet(whole)
            beside = strandnet.from_chrombpnet("chrombpnet_nobias.h5", bias="bias_model_scaled.h5")
            from_whole = strandnet.from_chrombpnet("chrombpnet_nobias.h5", bias=whole, out="from-whole")
            alone = strandnet.from_chrombpnet("bias_model_scaled.h5")
        without = strandnet.load("chrombpnet")
        profile, counts = without.predict(inputs)
        bias_profile, bias_counts = alone.predict(inputs)
        expected = profile + bias_profile, np.logaddexp(counts, bias_counts)
        for run in (inside, beside, from_whole):
            assert_close(run.predict(inputs), expected)

    def test_a_bias_that_is_not_scaled_is_warned_of(self):
        network, bias, scaled = Made("wo_bias_", depth=3), Made(seed=2), Made(seed=2)
        scaled.change("logcount_predictions", bias=bias.arrays["logcount_predictions"]["bias"] + 1.5)
        whole = network.write("chrombpnet.h5", beside=scaled)
        network.write("nobias.h5"), bias.write("bias.h5"), scaled.write("same.h5")
        with self.assertWarnsRegex(UserWarning, r"bias.h5: is not named as a bias that was scaled .* give bias_model_scaled.h5"):
            strandnet.from_chrombpnet("nobias.h5", bias="bias.h5", out="a")
        with self.assertWarnsRegex(UserWarning, r"bias.h5: is the bias in the network's file but for its log counts, which lie "
                                                r"\+1.5"):
            strandnet.from_chrombpnet(whole, bias="bias.h5", out="b")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            strandnet.from_chrombpnet(whole, bias="same.h5", out="c")

    def test_what_is_wrong_in_a_file_is_said_in_a_sentence(self):
        def kernel(*shape):
            return np.zeros(shape)

        first, second, head, count = "bpnet_1st_conv", "bpnet_2conv", "prof_out_precrop", "logcount_predictions"
        without, twice, unknown = Made(depth=3), Made(), Made()
        del without.arrays[second]
        del twice.arrays[head]["bias"]
        unknown.settings["norm"], unknown.feeds["norm"] = ("BatchNormalization", {"name": "norm"}), [first]
        more = Made()
        more.arrays["dense"] = {"kernel": kernel(2, 2)}
        nan = Made()
        nan.arrays[second]["kernel"][0, 0, 0] = np.inf
        for made, sentence in (
            (without, f"layer {second}: is missing"),
            (twice, f"layer {head}: has kernel, expected kernel and bias"),
            (unknown, "layer norm: is BatchNormalization, expected no such layer"),
            (more, "layer dense: is none that the network has"),
            (nan, f"layer {second}: weights hold NaN or infinity"),
            (Made().change(first, kernel=kernel(20, 4, 4)), f"layer {first}: is 20 wide"),
            (Made().change(first, kernel=kernel(21, 5, 4)), rf"layer {first}: weights have shape \[4, 5, 21\]"),
            (Made().change(first, kernel=kernel(21, 4)), rf"layer {first}: kernel has shape \[21, 4\], expected 3 axes"),
            (Made().change(first, bias=np.zeros(5)), rf"layer {first}: biases have shape \[5\], expected \[4\]"),
            (Made().change(first, activation="gelu"), f"layer {first}: activation is gelu, expected relu"),
            (Made().change(first, strides=[2]), f"layer {first}: strides is 2, expected 1"),
            (Made().change(second, kernel=kernel(5, 4, 4)), rf"layer {second}: weights have shape \[4, 4, 5\], expected \[4, 4, "
                                                            rf"3\]"),
            (Made().change(second, dilation_rate=[3]), f"layer {second}: dilation_rate is 3, expected 4"),
            (Made().change(second, padding="same"), "padded as same and valid, expected all valid or all same"),
            (Made().change(second, padding="causal"), "padded as causal and valid"),
            (Made().change(head, kernel=kernel(77, 4, 1)), f"layer {head}: is 77 wide, expected at most 75"),
            (Made().change(head, kernel=kernel(75, 4, 3), bias=np.zeros(3)), f"layer {head}: has 3 outputs"),
            (Made().change(head, kernel=kernel(74, 4, 1)), f"layer {head}: is 74 wide|gives"),
            (Made().change(count, kernel=kernel(4, 2), bias=np.zeros(2)), f"layer {count}: has 2 outputs, expected one count"),
            (Made().change(count, kernel=kernel(9, 1)), rf"layer {count}: weights have shape \[1, 9\], expected \[1, 4\]"),
            (Made().change("crop", cropping=[5, 6]), r"layer crop: cuts \[5, 6\] off, expected as much from either side"),
            (Made().change("crop", cropping=[50, 50]), f"layer {head}: gives 94 positions of 200 bp, .* profile of -6"),
        ):
            with self.subTest(sentence):
                self.assert_refused(f"^wrong.h5: .*{sentence}", strandnet.from_chrombpnet, made.write("wrong.h5"))
        for made, sentence in ((Made(depth=9), "layer prof_out_precrop: gives"), (Made(depth=21), "is dilated layer 21")):
            self.assert_refused(sentence, strandnet.from_chrombpnet, made.write("wrong.h5", config=False))
        for made, sentence in (
            (Made("wo_bias_"), "is a network without bias"), (Made(length=202), "takes sequences of 202 bp, expected 200"),
            (Made(profile_length=50), "gives a profile of 50, expected at least 60"),
        ):
            Made("wo_bias_").write("nobias.h5")
            self.assert_refused("scaled.h5: " + sentence, strandnet.from_chrombpnet, "nobias.h5", bias=made.write("scaled.h5"))

    def test_other_kinds_of_files_are_said_how_to_convert(self):
        import h5py

        os.makedirs("saved/model")
        Path("saved/model/saved_model.pb").write_text("")
        os.mkdir("empty")
        for archive in ("model.tar", "model.tar.gz"):
            with tarfile.open(archive, "w:gz" if archive.endswith("gz") else "w") as file:
                file.add("saved/model")
        with tarfile.open("other.tar", "w") as file:
            file.add("empty")
        with zipfile.ZipFile("model.keras", "w") as file:
            file.writestr("config.json", "{}")
        Path("text.h5").write_text("no model\n")
        whole = Made().write("whole.h5")
        Path("cut.h5").write_bytes(Path(whole).read_bytes()[:5000])
        for name, layer in (
            ("lite.h5", "conv1d_1/conv1d_1/kernel:0"), ("other.h5", "dense/dense/kernel:0"), ("v3.h5", "layers/dense/vars/0"),
            ("whole-numbers.h5", "dense/dense/kernel:0"),
        ):
            with h5py.File(name, "w") as file:
                file["model_weights/" + layer] = np.zeros((3, 3), np.int32 if name.startswith("whole") else np.float32)
        with h5py.File("json.h5", "w") as file:
            file.attrs["model_config"] = '{"config": 3}'
        convert = (r"convert it once where TensorFlow is: tf.keras.models.load_model\('.*saved/model', compile=False\)"
                   r".save\('model.h5'\)")
        for path, sentence in (
            ("saved/model", "is a SavedModel of TensorFlow, .* " + convert),
            ("saved", "is a SavedModel of TensorFlow, .* " + convert),
            ("model.tar", "is an archive of a SavedModel .* unpack it and " + convert),
            ("model.tar.gz", "is an archive of a SavedModel"),
            ("other.tar", "is an archive, expected an .h5 file"), ("empty", "is a folder, expected an .h5 file"),
            ("model.keras", "is a .keras file, expected an .h5 file; .* keras.models.load_model"), ("text.h5", "is no HDF5 file"),
            ("cut.h5", "is a damaged HDF5 file"), ("lite.h5", "has layers as chrombpnet-lite names them, .* from_bpnetlite"),
            ("other.h5", "has layers dense, expected those of ChromBPNet"), ("v3.h5", "dataset layers/dense/vars/0: .* model.save"),
            ("whole-numbers.h5", r"layer dense: kernel is int32 \[3, 3\], expected numbers"),
            ("json.h5", "model_config is not as Keras"),
        ):
            with self.subTest(path):
                self.assert_refused(f"^{path}: {sentence}", strandnet.from_chrombpnet, path)
        with self.assertRaises(FileNotFoundError):
            strandnet.from_chrombpnet("none.h5")

    def test_without_h5py_it_says_what_to_install_and_nothing_else_is_imported(self):
        path = Made().write("model.h5")
        code = (f"import sys, strandnet; print([name for name in ('h5py', 'torch', 'keras') if name in sys.modules]); "
                f"sys.modules['h5py'] = None; strandnet.from_chrombpnet({path!r})")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual(done.stdout, "[]\n", done.stderr)
        self.assertRegex(done.stderr, "ImportError: model.h5: .* install it with: pip install h5py")


@needs("torch", "h5py", "keras")
class TestKeras(Folder):
    """Networks that Keras built as their repositories do, and their files."""

    def setUp(self):
        super().setUp()
        import keras

        self.keras, self.layers = keras, keras.layers
        keras.utils.set_random_seed(1)

    def chrombpnet(
        self, prefix="", filters=6, depth=3, length=220, profile_length=50, padding="valid", width=21, profile_width=75, name=None,
    ):
        """chrombpnet/training/models/bpnet_model.py, and bpnet_model() of chrombpnet_with_bias_model.py."""
        layers, second = self.layers, prefix + "bpnet_" if prefix else ""
        inputs = self.keras.Input((length, 4), name="sequence")
        x = layers.Conv1D(filters, width, padding=padding, activation="relu", name=prefix + "bpnet_1st_conv")(inputs)
        for i in range(1, depth + 1):
            y = layers.Conv1D(filters, 3, padding=padding, activation="relu", dilation_rate=2**i, name=f"{prefix}bpnet_{i}conv")(x)
            x = layers.Cropping1D((x.shape[1] - y.shape[1]) // 2, name=f"{prefix}bpnet_{i}crop")(x)
            x = layers.add([y, x])
        profile = layers.Conv1D(1, profile_width, padding=padding, name=second + "prof_out_precrop")(x)
        crop = profile.shape[1] // 2 - profile_length // 2
        profile = layers.Cropping1D(crop, name=prefix + "logits_before_flatten")(profile)
        profile = layers.Flatten(name=second + "logits_profile_predictions")(profile)
        counts = layers.Dense(1, name=second + "logcount_predictions")(layers.GlobalAveragePooling1D(name="gap")(x))
        return self.drawn(self.keras.Model(inputs, [profile, counts], name=name))

    def with_bias(self, bias, network, length=220):
        """getModelGivenModelOptionsAndWeightInits() of chrombpnet_with_bias_model.py."""
        layers, inputs = self.layers, self.keras.Input((length, 4), name="sequence")
        bias_outputs, outputs = bias(inputs), network(inputs)
        profile = layers.Add(name="logits_profile_predictions")([outputs[0], bias_outputs[0]])
        counts = layers.Concatenate(axis=-1)([outputs[1], bias_outputs[1]])
        logsumexp = self.keras.ops.logsumexp
        counts = layers.Lambda(
            lambda x: logsumexp(x, axis=-1, keepdims=True), output_shape=(1,), name="logcount_predictions")(counts)
        model = self.keras.Model(inputs, [profile, counts])
        model.compile(optimizer="adam", loss=["mse", "mse"])
        return model

    def refactor(
        self, tracks=2, controls=2, filters=6, depth=3, length=220, profile_length=50, padding="valid", activated=False, width=1,
    ):
        """BPNet() of bpnet/model/arch.py of bpnet-refactor, of one task."""
        layers, inputs = self.layers, [self.keras.Input((length, 4), name="sequence")]
        x, name = layers.Conv1D(filters, 21, padding=padding, name="main_conv_0")(inputs[0]), "main_conv_0"
        for i in range(1, depth + 1):
            active = layers.ReLU(name=name + "_relu")(x)
            y = layers.Conv1D(filters, 3, padding=padding, dilation_rate=2**i, name=f"main_dil_conv_{i}")(active)
            kept, kept_name = (active, name + "_relu") if activated else (x, name)
            if padding == "valid":
                kept = layers.Cropping1D(kept.shape[1] // 2 - y.shape[1] // 2, name=kept_name + "_cr")(kept)
            name = f"main_add_{i}"
            x = layers.add([y, kept], name=name)
        x = layers.ReLU(name=name + "_relu")(x)
        profile = layers.Conv1D(tracks, 75, padding=padding, name="main_profile_head")(x)
        name = "main_profile_head_cropped" if controls else "profile_predictions"
        profile = layers.Cropping1D(profile.shape[1] // 2 - profile_length // 2, name=name)(profile)
        counts = layers.GlobalAveragePooling1D(name="main_global_avg_pooling")(x)
        counts = layers.Dense(1, name="main_counts_head" if controls else "logcounts_predictions")(counts)
        if controls:
            inputs += [self.keras.Input((profile_length, controls), name="profile_bias_input_0"),
                       self.keras.Input((controls,), name="counts_bias_input_0")]
            profile = layers.concatenate([profile, inputs[1]], name="main_concat_with_prof_bias_0", axis=-1)
            profile = layers.Conv1D(tracks, width, name="profile_predictions")(profile)
            logsumexp = self.keras.ops.logsumexp
            control = layers.Lambda(
                lambda x: logsumexp(x, axis=-1, keepdims=True), output_shape=(1,), name="main_logsumexp_counts_bias_0")(inputs[2])
            counts = layers.concatenate([counts, control], name="main_concat_with_counts_bias_0", axis=-1)
            counts = layers.Dense(1, name="logcounts_predictions")(counts)
        return self.drawn(self.keras.Model(inputs, [profile, counts]))

    def drawn(self, model, seed=3):
        random = np.random.default_rng(seed)
        model.set_weights([random.normal(0, 0.5 / max(1, array[..., 0].size)**0.5 if array.ndim > 1 else 0.3, array.shape)
                           for array in model.get_weights()])
        return model

    def expected(self, model, inputs):
        """Profile logits [n, tracks, profile length] and log counts [n, 1], where there are inputs of a control with zeros
        there."""
        inputs = [inputs.transpose(0, 2, 1)] + [np.zeros((len(inputs), *given.shape[1:]), np.float32) for given in model.inputs[1:]]
        profile, counts = (self.keras.ops.convert_to_numpy(output) for output in model(inputs if len(inputs) > 1 else inputs[0]))
        return (profile[:, None] if profile.ndim == 2 else profile.transpose(0, 2, 1)), counts

    def files(self, model):
        """The file that Keras 3 writes, and one as TensorFlow 2.8 names and describes it."""
        import h5py

        model.save("keras3.h5")
        with h5py.File("keras3.h5") as file, h5py.File("tf28.h5", "w") as other:
            def copy(name, item):
                if isinstance(item, h5py.Dataset):
                    other[f"model_weights/{name}:0"] = item[()]

            file["model_weights"].visititems(copy)
            config = json.loads(file.attrs["model_config"])
            self.rewrite(config)
            other.attrs["model_config"] = json.dumps(config)
        return "keras3.h5", "tf28.h5"

    def rewrite(self, model):
        for layer in model["config"]["layers"]:
            if "layers" in layer["config"]:
                self.rewrite(layer)
            if "batch_shape" in layer["config"]:
                layer["config"]["batch_input_shape"] = layer["config"].pop("batch_shape")
            nodes = []
            for node in layer["inbound_nodes"]:
                given = node["args"][0] if isinstance(node["args"][0], list) else node["args"]
                nodes.append([[*tensor["config"]["keras_history"], {}] for tensor in given])
            layer["inbound_nodes"] = nodes

    def test_chrombpnets_networks_predict_as_keras(self):
        inputs = one_hot(4, 220)
        for settings in (
            {}, {"prefix": "wo_bias_"}, {"depth": 1, "filters": 3}, {"depth": 4, "profile_length": 20}, {"padding": "same"},
            {"width": 25, "profile_width": 25}, {"length": 221, "profile_length": 51},
        ):
            model = self.chrombpnet(**settings)
            inputs = one_hot(4, settings.get("length", 220))
            for file in self.files(model):
                with self.subTest(file, **settings):
                    run = strandnet.from_chrombpnet(file, force=True)
                    assert_close(run.predict(inputs), self.expected(model, inputs))

    def test_chrombpnets_with_their_bias_predict_as_keras(self):
        bias, network = self.chrombpnet(depth=2, filters=4), self.chrombpnet("wo_bias_", name="model_wo_bias")
        whole, inputs = self.with_bias(bias, network), one_hot(4, 220)
        for file in self.files(whole):
            assert_close(strandnet.from_chrombpnet(file, force=True).predict(inputs), self.expected(whole, inputs))
            assert_close(strandnet.load(Path(file).stem).predict(inputs), self.expected(network, inputs))
        network.save("nobias.h5"), bias.save("bias_model_scaled.h5")
        run = strandnet.from_chrombpnet("nobias.h5", bias="bias_model_scaled.h5")
        assert_close(run.predict(inputs), self.expected(whole, inputs))
        network.save_weights("model.weights.h5")
        self.assert_refused("model.weights.h5: dataset layers/conv1d/vars/0", strandnet.from_chrombpnet, "model.weights.h5")

    def test_bpnet_refactors_networks_predict_as_keras(self):
        inputs = one_hot(4, 220)
        for settings in (
            {}, {"tracks": 1}, {"controls": 0}, {"controls": 0, "tracks": 1, "depth": 2}, {"padding": "same", "profile_length": 60},
        ):
            model = self.refactor(**settings)
            for file in self.files(model):
                with self.subTest(file, **settings):
                    run = strandnet.from_chrombpnet(file, force=True)
                    assert_close(run.predict(inputs), self.expected(model, inputs))

    def test_what_bpnet_refactor_can_build_and_is_not_read(self):
        for settings, sentence in (
            ({"activated": True}, r"layer main_add_1: adds to what was activated \(pre_activation_residual_unit is false\)"),
            ({"controls": 1}, r"layer profile_predictions: kernel has shape \[1, 3, 2\], expected \[1, 4, 2\]"),
            ({"controls": 4}, r"layer profile_predictions: kernel has shape \[1, 6, 2\]"),
            ({"width": 3}, r"layer profile_predictions: kernel has shape \[3, 4, 2\]"),
            ({"tracks": 3}, "layer main_profile_head: has 3 outputs"),
        ):
            for file in self.files(self.refactor(**settings)):
                self.assert_refused(f"^{file}: {sentence}", strandnet.from_chrombpnet, file)

    @needs("torch", "bpnetlite.chrombpnet")
    def test_bpnet_lite_reads_the_same_from_a_file(self):
        import torch
        from bpnetlite.bpnet import BPNet

        inputs = one_hot(3, 220)
        _, file = self.files(self.chrombpnet("wo_bias_"))
        module = BPNet.from_chrombpnet(file)  # it takes the profile that its default trimming leaves
        with torch.no_grad():
            profile, counts = (tensor.numpy() for tensor in module(torch.tensor(inputs)))
        cut = (profile.shape[2] - 50) // 2
        assert_close(strandnet.from_chrombpnet(file).predict(inputs), (profile[:, :, cut:-cut], counts))


if __name__ == "__main__":
    unittest.main()
