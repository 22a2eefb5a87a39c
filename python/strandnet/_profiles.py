"""Networks for profiles that were trained elsewhere, as run folders: modules of bpnet-lite, and files of ChromBPNet and
bpnet-refactor.

Both come down to a _Network, the tensors as the program names them, whose fit is checked in one place.
"""
import json
import os
import re
import warnings
from collections import namedtuple

from . import _core, _keras_files

# Width of the program's convolution for profiles; a narrower one goes in its middle.
PROFILE_WIDTH = 75
# What ChromBPNet and bpnet-refactor take and give where a file does not tell, in bp.
USUAL_LENGTH, USUAL_PROFILE_LENGTH = 2114, 1000
# How far the values of a run and of what it was made from may lie apart, of the largest value or of 1: both compute in f32.
TOLERANCE = 1e-4

ONLY_BPNET = "only a network that is built as BPNet can be read"

# weight is [out, in, width], or [out, in] of a dense layer; bias [out], or None.
Part = namedtuple("Part", "name weight bias")


def _biases(part):
    import numpy

    return numpy.zeros(part.weight.shape[0], "float32") if part.bias is None else part.bias


class _Network:
    """A BPNet: its tensors, and what describes it. where names it in errors.

    With has_control, weights of heads for more than the filters are those of a control: of its tracks, and of its log counts."""

    def __init__(self, where, stem, dilated, profile, counts, *, length, profile_length, counts_positions, pre_activation=False,
                 has_control=False, control_counts="read"):
        self.where, self.length, self.profile_length, self.counts_positions = where, length, profile_length, counts_positions
        self.pre_activation, self.control_counts = pre_activation, control_counts
        for part, axes in ((stem, 3), *((part, 3) for part in dilated), (profile, 3), (counts, 2)):
            if part.weight.ndim != axes:
                raise ValueError(f"{where}: layer {part.name}: weights have {part.weight.ndim} axes, expected {axes}; {ONLY_BPNET}")
        self.filters, self.width, self.depth = stem.weight.shape[0], stem.weight.shape[2], len(dilated)
        self.tracks = profile.weight.shape[0]
        self.control = max(0, profile.weight.shape[1] - self.filters) if has_control else 0
        if self.depth == 0:
            raise ValueError(f"{where}: has no dilated layers, expected 1 or more; {ONLY_BPNET}")
        if self.tracks not in (1, 2):
            raise ValueError(f"{where}: layer {profile.name}: has {self.tracks} outputs, expected 1, or 2 for the strands; "
                             f"{ONLY_BPNET}")
        if counts.weight.shape[0] != 1:
            raise ValueError(f"{where}: layer {counts.name}: has {counts.weight.shape[0]} outputs, expected one count; "
                             f"{ONLY_BPNET}")
        for part in (stem, profile):
            if part.weight.shape[2] % 2 == 0:
                raise ValueError(f"{where}: layer {part.name}: is {part.weight.shape[2]} wide, expected an odd width; {ONLY_BPNET}")
        profile_width = profile.weight.shape[2]
        if profile_width > PROFILE_WIDTH:
            raise ValueError(f"{where}: layer {profile.name}: is {profile_width} wide, expected at most {PROFILE_WIDTH}; "
                             f"{ONLY_BPNET}")
        _check(where, stem, (self.filters, 4, self.width))
        for part in dilated:
            _check(where, part, (self.filters, self.filters, 3))
        _check(where, profile, (self.tracks, self.filters + self.control, profile_width))
        _check(where, counts, (1, self.filters + (self.control > 0)))
        if not 0 < profile_length <= length or (length - profile_length) % 2:
            raise ValueError(f"{where}: a sequence of {length} bp gives a profile of {profile_length}, expected 1 or more and an "
                             "even number fewer than the sequence has; give the length that it was trained with")
        if self.control and length - profile_length < PROFILE_WIDTH - 1:
            raise ValueError(f"{where}: a sequence of {length} bp gives a profile of {profile_length}, expected "
                             f"{PROFILE_WIDTH - 1} bp fewer, over which its control is read; give the length that it was trained "
                             "with")
        self.tensors = self._tensors(stem, dilated, profile, counts)

    def _tensors(self, stem, dilated, profile, counts):
        import numpy

        side = (PROFILE_WIDTH - profile.weight.shape[2]) // 2
        wide = numpy.pad(profile.weight, ((0, 0), (0, 0), (side, side)))
        tensors = {"iconv.weight": stem.weight, "iconv.bias": _biases(stem)}
        for i, part in enumerate(dilated):
            tensors.update({f"rconvs.{i}.weight": part.weight, f"rconvs.{i}.bias": _biases(part)})
        tensors.update({"head.fconv.weight": wide[:, :self.filters], "head.fconv.bias": _biases(profile),
                        "head.linear.weight": counts.weight[:, :self.filters], "head.linear.bias": _biases(counts)})
        if self.control:
            tensors["control.profile.weight"] = wide[:, self.filters:]
            tensors["control.counts.weight"] = counts.weight[0, self.filters:]
        return {name: numpy.ascontiguousarray(tensor, "float32") for name, tensor in tensors.items()}

    def described(self):
        return {"arch": "bpnet", "filters": self.filters, "width": self.width, "depth": self.depth,
                "counts_positions": self.counts_positions, "pre_activation": self.pre_activation}


def _check(where, part, shape):
    """Raises unless the weights of a part have a shape, its biases fit, and all are finite."""
    import numpy

    for what, array, expected in (("weights", part.weight, shape), ("biases", part.bias, shape[:1])):
        if array is None:
            continue
        if array.shape != expected:
            raise ValueError(f"{where}: layer {part.name}: {what} have shape {list(array.shape)}, expected {list(expected)}, "
                             f"outputs first; {ONLY_BPNET}")
        if not numpy.isfinite(array).all():
            raise ValueError(f"{where}: layer {part.name}: {what} hold NaN or infinity, expected finite numbers; train it again")


def _written(source, files, network, track, out, force, bias=None, bias_source=None, bias_files=()):
    """The model of the run folder that is made of a network and its bias."""
    if not isinstance(track, str) or not track:
        raise ValueError(f"track is {track!r}, expected a name for what the profile is of; give one such as 'signal'")
    if bias is not None:
        for which in (network, bias):
            if which.control:
                raise ValueError(f"{which.where}: takes {which.control} tracks of control, expected none beside a bias; give one "
                                 "of the two")
        if bias.length != network.length:
            raise ValueError(f"{bias.where}: takes sequences of {bias.length} bp, expected {network.length} as the network; give "
                             "its own bias")
        if bias.tracks != network.tracks:
            raise ValueError(f"{bias.where}: has {bias.tracks} outputs, expected {network.tracks} as the network; give its own "
                             "bias")
        if bias.profile_length < network.profile_length:
            raise ValueError(f"{bias.where}: gives a profile of {bias.profile_length}, expected at least {network.profile_length} "
                             "as the network; give its own bias")
    description = {
        "source": source, "files": list(files), "task": "profile", "classes": [track], "positive": None, "length": network.length,
        "alphabet": "ACGT", "model": network.described(),
        "profile": {"tracks": [network.tracks], "length": network.profile_length, "control": network.control,
                    "control_counts": network.control_counts},
        "bias": None if bias is None else {"source": bias_source, "files": list(bias_files), "model": bias.described()},
    }
    bias_tensors = None if bias is None else bias.tensors
    _core.write_imported(json.dumps(description), network.tensors, bias_tensors, os.fspath(out), bool(force))
    return _core.load(os.fspath(out), with_bias=bias is not None)


def _outputs(module, inputs, forward):
    """What forward(*inputs) gives, a tensor or several, as f64 arrays. module evaluates without gradients and is left as it was."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    parameter = next(module.parameters(), torch.zeros(1))
    module.eval()
    try:
        with torch.no_grad():
            found = forward(*(torch.as_tensor(array).to(parameter.device, parameter.dtype) for array in inputs))
    finally:
        for part, training in modes:
            part.training = training
    return tuple(tensor.double().cpu().numpy() for tensor in (found if isinstance(found, (tuple, list)) else (found,)))


def _agree(what, names, found, expected):
    """Raises unless arrays agree with others to TOLERANCE."""
    import numpy

    for name, values, wanted in zip(names, found, expected):
        if values.shape != wanted.shape:
            raise ValueError(f"{what}: {name} have shape {list(values.shape)}, expected {list(wanted.shape)} as the module gives; "
                             "the module computes something else than its class does, so do not use the run")
        difference = float(numpy.abs(values - wanted).max())
        if not difference <= TOLERANCE * max(1.0, float(numpy.abs(wanted).max())):
            raise ValueError(f"{what}: {name} differ from the module's by {difference:.3g}, expected {TOLERANCE:g} of the largest "
                             "at most; the module computes something else than its class does, so do not use the run")


def _compared(what, model, module, forward, names, count=4):
    """Raises unless a model gives for random sequences what forward(inputs [n, 4, length]) gives, a tensor or several, which calls
    the module that it was made of. what names the run, and names its outputs, in the error."""
    import numpy

    random = numpy.random.default_rng(1)
    codes = random.integers(0, 4, (count, model.length))
    codes[0, random.random(model.length) < 0.1] = 4  # unknown bases
    inputs = (codes[:, None, :] == numpy.arange(4)[None, :, None]).astype("float32")
    found = model.predict(inputs)
    _agree(what, names, found if isinstance(found, tuple) else (found,), _outputs(module, (inputs,), forward))


def _compared_control(what, module, network):
    """Raises unless a control adds to what the module gives as it adds to what the network gives."""
    import numpy

    random = numpy.random.default_rng(2)
    inputs = numpy.zeros((2, 4, network.length), "float32")
    control = random.poisson(0.1, (2, network.control, network.length)).astype("float32")
    with_control, without = (_outputs(module, (inputs, array), module) for array in (control, 0 * control))
    start, side = (network.length - network.profile_length) // 2, PROFILE_WIDTH // 2
    read = control[:, :, start - side:start + network.profile_length + side]
    windows = numpy.lib.stride_tricks.sliding_window_view(read, PROFILE_WIDTH, axis=2)
    profile = numpy.einsum("nclw,tcw->ntl", windows, network.tensors["control.profile.weight"])
    one, read = (1, read) if network.control_counts == "read" else (2, read[:, :, side:-side])
    counts = network.tensors["control.counts.weight"] * numpy.log1p(read.sum((1, 2), keepdims=True)[:, 0] / one)
    _agree(what, ("profile logits of the control", "log counts of the control"),
           (without[0] + profile, without[1] + counts), with_control)


# bpnet-lite -----------------------------------------------------------------------------------------------------------------------

NETWORKS = ("BPNet", "BasePairNet")


def _class(module):
    """The name of the class of bpnet-lite that a module is of, or None."""
    known = (*NETWORKS, "ChromBPNet", "CountWrapper", "ProfileWrapper")
    return next((cls.__name__ for cls in type(module).__mro__ if cls.__name__ in known), None)


def _unwrapped(module):
    """The module in wrappers that change none of its numbers: bpnet-lite's for controls, and those of torch.compile and of several
    GPUs."""
    wrappers = {"ControlWrapper": "model", "OptimizedModule": "_orig_mod", "DataParallel": "module",
                "DistributedDataParallel": "module"}
    while type(module).__name__ in wrappers:
        module = getattr(module, wrappers[type(module).__name__])
    return module


def _numbers(where, name, tensor):
    """A tensor as an f32 array."""
    if tensor is None:
        return None
    kind = str(tensor.dtype).rpartition(".")[2]
    if kind not in ("float32", "float64"):
        raise ValueError(f"{where}: layer {name}: holds {kind}, expected float32; give model.float()")
    return tensor.detach().cpu().numpy().astype("float32")


def _convolution(where, name, layer, dilation):
    """The part of a convolution that is padded with as many zeros as keep the length."""
    part = Part(name, _numbers(where, name, layer.weight), _numbers(where, name, layer.bias))
    same = (part.weight.shape[-1] - 1) // 2 * dilation
    for setting, expected, usual in (("dilation", dilation, 1), ("padding", same, 0), ("stride", 1, 1), ("groups", 1, 1),
                                     ("padding_mode", "zeros", "zeros")):
        found = getattr(layer, setting, usual)
        found = found[0] if isinstance(found, (tuple, list)) and len(found) == 1 else found
        if found != expected and not (setting == "padding" and found == "same"):
            raise ValueError(f"{where}: layer {name}: {setting} is {found}, expected {expected}; {ONLY_BPNET}")
    return part


def _network_of(where, module, length):
    """The network of a BPNet or BasePairNet."""
    kind = _class(module)
    if kind not in NETWORKS:
        raise ValueError(f"{where}: is a {type(module).__name__}, expected a BPNet or BasePairNet of bpnet-lite; give one")
    for attribute in ("iconv", "rconvs", "fconv", "linear"):
        if not hasattr(module, attribute):
            raise ValueError(f"{where}: has no {attribute}, expected the layers of bpnet-lite's {kind}; give a module of "
                             "bpnet-lite")
    rrelus = getattr(module, "rrelus", ())
    for name, layer in (("irelu", getattr(module, "irelu", None)), *((f"rrelus.{i}", layer) for i, layer in enumerate(rrelus))):
        if layer is not None and type(layer).__name__ != "ReLU":
            raise ValueError(f"{where}: layer {name}: is {type(layer).__name__}, expected ReLU; {ONLY_BPNET}")
    stem = _convolution(where, "iconv", module.iconv, 1)
    dilated = [_convolution(where, f"rconvs.{i}", layer, 2**(i + 1)) for i, layer in enumerate(module.rconvs)]
    depth = getattr(module, "n_layers", len(dilated))
    if depth != len(dilated):
        raise ValueError(f"{where}: n_layers is {depth}, expected {len(dilated)}, the number of its rconvs; give a module of "
                         "bpnet-lite")
    profile = _convolution(where, "fconv", module.fconv, 1)
    counts = Part("linear", _numbers(where, "linear", module.linear.weight), _numbers(where, "linear", module.linear.bias))
    trimming = getattr(module, "trimming", None)
    if trimming is None:
        trimming = 2**depth if kind == "BasePairNet" else 47 + sum(2**i for i in range(1, depth + 1))
    if isinstance(trimming, bool) or not isinstance(trimming, int) or trimming < 0:
        raise ValueError(f"{where}: trimming is {trimming!r}, expected a whole number from 0; set it")
    # The profile reads the trunk 37 bp beyond its ends, and the counts are an average over what it reads.
    profile_length = length - 2 * trimming
    return _Network(
        where, stem, dilated, profile, counts, length=length, profile_length=profile_length,
        counts_positions=min(length, profile_length + PROFILE_WIDTH - 1), pre_activation=kind == "BasePairNet",
        has_control=True, control_counts="profile" if kind == "BasePairNet" else "read")


def from_bpnetlite(model, *, length=2114, name=None, track="signal", out=None, force=False):
    """from_bpnetlite(model, *, length=2114, name=None, track="signal", out=None, force=False)

    Makes a BPNet, BasePairNet or ChromBPNet of bpnet-lite a run folder, and gives the model that load() gives for it. A ChromBPNet
    keeps its bias model: load(out, with_bias=True) predicts as the module does, and load(out) without the bias.

    length is the bases that a sequence has, for which the trimming leaves the profile's. track names what the profile is of. out is
    the folder, by default one in the current directory named name, or as the module is; force replaces a run that is there.

    A network with control tracks is predicted as without one. A profile of two outputs is that of the strands plus and minus. The
    run is compared with the module on random sequences.

    Raises ValueError for another module and where the run does not compute what the module does, and OSError where it cannot be
    written.
    """
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ValueError(f"length is {length!r}, expected a whole number from 1; correct it")
    module = _unwrapped(model)
    kind = _class(module)
    if kind in ("CountWrapper", "ProfileWrapper"):
        raise ValueError(f"the model is in a {kind}, which keeps a part of its output, expected the network itself; give "
                         "model.model")
    if kind is None or not hasattr(module, "parameters"):
        raise ValueError(f"the model is a {type(module).__name__}, expected a BPNet, BasePairNet or ChromBPNet of bpnet-lite; give "
                         "one, as torch.load(path, weights_only=False) reads it from a file that you trust")
    name = os.path.basename(str(name or getattr(module, "name", None) or kind)) or kind
    source, bias = _bpnetlite(), None
    if kind == "ChromBPNet":
        for attribute in ("accessibility", "bias"):
            if not hasattr(module, attribute):
                raise ValueError(f"{name}: has no {attribute}, expected the two networks of a ChromBPNet; give a module of "
                                 "bpnet-lite")
        network = _network_of(f"{name}: accessibility", _unwrapped(module.accessibility), length)
        bias = _network_of(f"{name}: bias", _unwrapped(module.bias), length)
    else:
        network = _network_of(name, module, length)
    out = name if out is None else out
    run = _written(source, [], network, track, out, force, bias, source)

    def forward(inputs):
        if network.control:
            return module(inputs, inputs.new_zeros(len(inputs), network.control, network.length))
        return module(inputs)

    _compared(os.fspath(out), run, module, forward, ("profile logits", "log counts"))
    if network.control:
        _compared_control(os.fspath(out), module, network)
    return run


def _bpnetlite():
    """bpnet-lite and its version, where it is known."""
    from importlib import metadata

    try:
        return f"bpnet-lite {metadata.version('bpnet-lite')}"
    except metadata.PackageNotFoundError:
        return "bpnet-lite"


# Files of Keras -------------------------------------------------------------------------------------------------------------------

# Names of layers: of ChromBPNet's bias and of any network of its own, of a network beside a bias, and of bpnet-refactor.
Names = namedtuple("Names", "stem dilated profile counts")
PLAIN = Names("bpnet_1st_conv", "bpnet_{}conv", "prof_out_precrop", "logcount_predictions")
BESIDE_BIAS = Names(
    "wo_bias_bpnet_1st_conv", "wo_bias_bpnet_{}conv", "wo_bias_bpnet_prof_out_precrop", "wo_bias_bpnet_logcount_predictions")
REFACTOR = Names("main_conv_0", "main_dil_conv_{}", "main_profile_head", "logcounts_predictions")
WEIGHTLESS = {"InputLayer", "Cropping1D", "Add", "GlobalAveragePooling1D", "Flatten", "Dropout", "Concatenate", "Lambda", "ReLU"}


class _Reader:
    """The parts of one network in a file."""

    def __init__(self, file, names):
        self.file, self.names, self.where = file, names, file.path
        self.settings = file.model_with(names.stem)  # empty in a file of weights alone
        self.used, self.paddings = set(), set()

    def wrong(self, layer, sentence):
        return ValueError(f"{self.where}: layer {layer}: {sentence}; {ONLY_BPNET}")

    def part(self, name, activation="linear", dilation=1, axes=3):
        """The part of a convolution or of a dense layer, outputs first; its settings are checked where the file has them."""
        arrays = self.file.layers.get(name)
        if arrays is None:
            raise self.wrong(name, "is missing, expected its arrays in the file")
        self.used.add(name)
        kind, config, _ = self.settings.get(name, (None, {}, ()))
        if kind not in (None, "Conv1D", "Dense"):
            raise self.wrong(name, f"is {kind}, expected Conv1D or Dense")
        # What a dense layer lacks is as expected.
        for setting, expected in (("activation", activation), ("dilation_rate", dilation), ("strides", 1), ("groups", 1),
                                  ("data_format", "channels_last")):
            found = config.get(setting, expected)
            found = found[0] if isinstance(found, list) and len(found) == 1 else found
            if found != expected:
                raise self.wrong(name, f"{setting} is {found}, expected {expected}")
        if "kernel" not in arrays or ("bias" not in arrays and config.get("use_bias", True)):
            raise self.wrong(name, f"has {' and '.join(sorted(arrays)) or 'no array'}, expected kernel and bias")
        other = set(arrays) - {"kernel", "bias"}
        if other:
            raise self.wrong(name, f"has {min(other)}, expected kernel and bias alone")
        if arrays["kernel"].ndim != axes:
            raise self.wrong(name, f"kernel has shape {list(arrays['kernel'].shape)}, expected {axes} axes")
        if kind == "Conv1D" and arrays["kernel"].shape[0] > 1:
            self.paddings.add(str(config.get("padding", "valid")))
        return Part(name, arrays["kernel"].T, arrays.get("bias"))

    def dilated(self, activation):
        """The dilated layers, the first of dilation 2."""
        pattern = re.compile(re.escape(self.names.dilated).replace(r"\{\}", "([0-9]+)"))
        numbers = [int(match[1]) for match in map(pattern.fullmatch, {*self.file.layers, *self.settings}) if match]
        depth = max(numbers, default=0)
        if depth > 20:  # of 20, the last reads a million bp to either side
            raise self.wrong(self.names.dilated.format(depth), f"is dilated layer {depth}, expected 20 at most")
        return [self.part(self.names.dilated.format(i), activation, 2**i) for i in range(1, depth + 1)]

    def check_other_layers(self):
        """Raises where the file says that something else is between the parts."""
        for name, (kind, config, _) in self.settings.items():
            if name not in self.used and kind not in WEIGHTLESS:
                raise self.wrong(name, f"is {kind}, expected no such layer")
            if kind == "ReLU" and any(config.get(setting) for setting in ("max_value", "negative_slope", "threshold")):
                raise self.wrong(name, "is bounded or leaky, expected relu")
            if kind == "Cropping1D" and self.crop(config) is None:
                raise self.wrong(name, f"cuts {config.get('cropping')} off, expected as much from either side")

    @staticmethod
    def crop(config):
        """How much is cut off from either side, or None where it differs."""
        sides = config.get("cropping", [1, 1])
        sides = [sides, sides] if isinstance(sides, int) else sides
        if not isinstance(sides, list) or len(sides) != 2 or sides[0] != sides[1] or not isinstance(sides[0], int) or sides[0] < 0:
            return None
        return sides[0]

    def is_activated(self, name):
        """Whether a layer's output, cropped or not, is that of an activation."""
        for _ in self.settings:
            kind, _, feeds = self.settings.get(name, (None, {}, ()))
            if kind != "Cropping1D" or not feeds:
                return kind == "ReLU"
            name = min(feeds)
        return False

    def lengths(self, parts, profile, usual):
        """Lengths of the sequence, of the profile and of what the counts are averaged over. usual are the first two where the file
        does not tell."""
        length, profile_length = usual
        shapes = [config.get("batch_input_shape") or config.get("batch_shape") for name, (kind, config, _) in self.settings.items()
                  if kind == "InputLayer" and name in self.settings[self.names.stem].feeds]
        told = [shape[1] for shape in shapes if isinstance(shape, list) and len(shape) == 3 and isinstance(shape[1], int)]
        if told:
            length = told[0]
        if self.paddings == {"same"}:
            positions, whole = length, length
        elif self.paddings <= {"valid"}:
            positions = length - sum((part.weight.shape[-1] - 1) * 2**i for i, part in enumerate(parts))
            whole = positions - (profile.weight.shape[-1] - 1)
        else:
            raise ValueError(f"{self.where}: convolutions are padded as {' and '.join(sorted(self.paddings))}, expected all valid "
                             f"or all same; {ONLY_BPNET}")
        if self.settings:
            crops = [self.crop(config) for kind, config, feeds in self.settings.values()
                     if kind == "Cropping1D" and profile.name in feeds]
            profile_length = whole - 2 * sum(crops)
        if not 0 < profile_length <= whole or (whole - profile_length) % 2:
            raise ValueError(f"{self.where}: layer {profile.name}: gives {whole} positions of {length} bp, expected an even number "
                             f"more than a profile of {profile_length}; give a file that model.save('model.h5') wrote, which holds "
                             "these lengths")
        return length, profile_length, positions


def _chrombpnet(file, names, usual):
    """The network that has ChromBPNet's names, and the layers that it took."""
    reader = _Reader(file, names)
    stem, dilated = reader.part(names.stem, "relu"), reader.dilated("relu")
    profile, counts = reader.part(names.profile), reader.part(names.counts, axes=2)
    reader.check_other_layers()
    length, profile_length, positions = reader.lengths([stem, *dilated], profile, usual)
    network = _Network(
        file.path, stem, dilated, profile, counts, length=length, profile_length=profile_length, counts_positions=positions)
    return network, reader.used


def _refactor(file, names, usual):
    """The network that has bpnet-refactor's names, and the layers that it took.

    With a control its heads are followed by layers of width 1 that mix outputs and control, and are multiplied into the heads
    here."""
    import numpy

    reader = _Reader(file, names)
    stem, dilated, profile = reader.part(names.stem), reader.dilated("linear"), reader.part(names.profile)
    has_control = "main_counts_head" in file.layers
    counts = reader.part("main_counts_head" if has_control else names.counts, axes=2)
    if has_control:
        mixed, summed = reader.part("profile_predictions"), reader.part(names.counts, axes=2)
        tracks = profile.weight.shape[0]
        if mixed.weight.shape != (tracks, tracks + 2, 1):
            raise reader.wrong(mixed.name, f"kernel has shape {list(mixed.weight.T.shape)}, expected {[1, tracks + 2, tracks]}, "
                                           "two tracks of control and no smoothed ones")
        if summed.weight.shape != (1, 2) or counts.weight.shape[:1] != (1,):
            raise reader.wrong(summed.name, f"kernel has shape {list(summed.weight.T.shape)}, expected [2, 1], one count and that "
                                            "of the control")
        for part in (profile, counts, mixed, summed):
            _check(file.path, part, part.weight.shape)
        mix, control = mixed.weight[:, :tracks, 0], mixed.weight[:, tracks:]
        side = profile.weight.shape[2] // 2
        control = numpy.pad(control, ((0, 0), (0, 0), (side, side)))
        weight = numpy.concatenate([numpy.einsum("st,tfk->sfk", mix, profile.weight), control], 1)
        profile = Part(profile.name, weight, mix @ _biases(profile) + _biases(mixed))
        scale = summed.weight[:, :1]
        counts = Part(counts.name, numpy.concatenate([scale * counts.weight, summed.weight[:, 1:]], 1),
                      scale[0] * _biases(counts) + _biases(summed))
    reader.check_other_layers()
    if "main_add_1" in reader.settings and any(map(reader.is_activated, reader.settings["main_add_1"].feeds)):
        raise reader.wrong("main_add_1", "adds to what was activated (pre_activation_residual_unit is false), expected what was "
                                         "not")
    length, profile_length, positions = reader.lengths([stem, *dilated], profile, usual)
    network = _Network(
        file.path, stem, dilated, profile, counts, length=length, profile_length=profile_length, counts_positions=positions,
        pre_activation=True, has_control=has_control, control_counts="profile")
    return network, reader.used


FAMILIES = ((BESIDE_BIAS, _chrombpnet, "ChromBPNet"), (PLAIN, _chrombpnet, "ChromBPNet"), (REFACTOR, _refactor, "bpnet-refactor"))


def _networks(path, usual):
    """The networks in a file: a dict from their Names to the network and what made it."""
    file = _keras_files.read(path)
    found, used = {}, set()
    for names, read, source in FAMILIES:
        if names.stem in file.layers:
            network, layers = read(file, names, usual)
            found[names] = network, source
            used |= layers
    if not found:
        if any(name.startswith("conv1d_") for name in file.layers):
            raise ValueError(f"{file.path}: has layers as chrombpnet-lite names them, expected those of ChromBPNet or "
                             "bpnet-refactor; give what BPNet.from_chrombpnet_lite of bpnet-lite reads to from_bpnetlite")
        has = ", ".join(sorted(name for name, arrays in file.layers.items() if arrays)[:3]) or "none"
        raise ValueError(f"{file.path}: has layers {has}, expected those of ChromBPNet (bpnet_1st_conv) or bpnet-refactor "
                         "(main_conv_0); give the file of one of them")
    other = sorted(name for name, arrays in file.layers.items() if arrays and name not in used)
    if other:
        raise ValueError(f"{file.path}: layer {other[0]}: is none that the network has, expected no other; {ONLY_BPNET}")
    return found


def _warn_unscaled(path, bias, inner):
    """Warns of a bias that looks as it was trained, not scaled to the data. inner is the bias in the network's file, or None."""
    import numpy

    if inner is not None and inner.tensors.keys() == bias.tensors.keys():
        differ = {name for name, array in bias.tensors.items() if not numpy.array_equal(array, inner.tensors[name])}
        if not differ:
            return
        if differ == {"head.linear.bias"}:
            moved = float(inner.tensors["head.linear.bias"][0] - bias.tensors["head.linear.bias"][0])
            warnings.warn(f"{path}: is the bias in the network's file but for its log counts, which lie {moved:+.4g} from there; "
                          "leave bias= out to take the one that was scaled to the data", stacklevel=3)
            return
    if "scaled" not in os.path.basename(path):
        warnings.warn(f"{path}: is not named as a bias that was scaled to the depth of the data; give bias_model_scaled.h5, which "
                      "ChromBPNet writes beside the network", stacklevel=3)


def from_chrombpnet(path, *, bias=None, track="signal", out=None, force=False):
    """from_chrombpnet(path, *, bias=None, track="signal", out=None, force=False)

    Makes an .h5 file of ChromBPNet or bpnet-refactor a run folder, and gives the model that load() gives for it, with the bias if
    there is one. Needs h5py and no TensorFlow.

    path is chrombpnet_nobias.h5, chrombpnet.h5, which has its bias inside, or the file of a bias model or of bpnet-refactor. bias
    is the file of a bias model, which takes the place of one inside: load(out, with_bias=True) adds its profile and counts, and
    load(out) does not. track names what the profile is of. out is the folder, by default one in the current directory named as the
    file; force replaces a run that is there.

    ChromBPNet writes bias.h5 as it was trained, and bias_model_scaled.h5 with the log counts moved to the depth of the data. It
    warns of a bias that is not scaled. That rests on the file's name, which lacks "scaled", or if path has a bias inside on a
    comparison with that: equal weights and other log counts. A scaled file says nothing of the data that it was scaled to.

    Lengths come from the settings in the file; a file of weights alone is taken to read 2114 bp and give 1000. A network with
    control tracks is predicted as without one.

    Raises ValueError for what is no such network, OSError for files that cannot be read or written, and ImportError without h5py.
    """
    path = os.fspath(path)
    found = _networks(path, (USUAL_LENGTH, USUAL_PROFILE_LENGTH))
    if REFACTOR in found and len(found) > 1:
        raise ValueError(f"{path}: has layers of both ChromBPNet and bpnet-refactor, expected those of one; give the file of one "
                         "network")
    inner, inner_source = found.get(PLAIN, (None, None)) if BESIDE_BIAS in found else (None, None)
    network, source = next(iter(found.values()))  # in the order of FAMILIES, a network before its bias
    bias_network, bias_source, bias_files = inner, inner_source, [path] if inner is not None else []
    if bias is not None:
        bias = os.fspath(bias)
        others = _networks(bias, (network.length, network.profile_length))
        if PLAIN not in others:
            raise ValueError(f"{bias}: is a network without bias or of bpnet-refactor, expected a bias model of ChromBPNet; give "
                             "its bias_model_scaled.h5")
        bias_network, bias_source = others[PLAIN]
        bias_files = [bias]
        if BESIDE_BIAS not in others:
            _warn_unscaled(bias, bias_network, inner)
    if out is None:
        out = os.path.splitext(os.path.basename(path))[0]
    return _written(source, [path], network, track, out, force, bias_network, bias_source, bias_files)
