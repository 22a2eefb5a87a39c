"""Networks in files of ChromBPNet and bpnet-refactor as run folders."""
import os
import re
import warnings
from collections import namedtuple

from . import _keras_files
from ._bpnet import ONLY_BPNET, Network, Part, biases, check, written

# What ChromBPNet and bpnet-refactor take and give where a file does not tell, in bp.
USUAL_LENGTH, USUAL_PROFILE_LENGTH = 2114, 1000

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

    def reads(self, name, *expected):
        """Raises unless a layer takes the outputs of these layers and no others."""
        feeds = self.settings[name].feeds if name in self.settings else set()
        if feeds != set(expected):
            found = " and ".join(sorted(feeds)) or "nothing"
            raise self.wrong(name, f"takes {found}, expected {' and '.join(expected)}")

    def takers(self, name, kind):
        """The layers of a kind that take the output of a layer."""
        return [other for other, layer in self.settings.items() if layer.kind == kind and name in layer.feeds]

    def the_one(self, name, kind):
        found = self.takers(name, kind)
        if len(found) != 1:
            raise self.wrong(name, f"goes to {len(found)} layers {kind}, expected one")
        return found[0]

    def check_graph(self, stem, dilated, profile, counts, pre_activation=False):
        """Raises unless the layers are connected as those of BPNet, where the file says how they are."""
        if not self.settings:
            return
        inputs = [name for name, layer in self.settings.items() if layer.kind == "InputLayer"]
        sequence = [name for name in inputs if name in self.settings[stem.name].feeds]
        if len(sequence) != 1:
            found = " and ".join(sorted(self.settings[stem.name].feeds)) or "nothing"
            raise self.wrong(stem.name, f"takes {found}, expected the sequence")
        self.reads(stem.name, sequence[0])
        known, trunk = {*inputs, stem.name}, stem.name
        for i, part in enumerate(dilated):
            read = self.the_one(trunk, "ReLU") if pre_activation else trunk
            self.reads(part.name, read)
            add = self.the_one(part.name, "Add")
            kept = min(self.settings[add].feeds - {part.name}, default=None)
            if kept in self.takers(trunk, "Cropping1D"):
                self.reads(kept, trunk)
                side = 0 if self.paddings == {"same"} else 2**(i + 1)
                if self.crop(self.settings[kept].config) != side:
                    found = self.settings[kept].config.get("cropping")
                    raise self.wrong(kept, f"cuts {found} off, expected {side} from either side")
                self.reads(add, part.name, kept)
            else:
                self.reads(add, part.name, trunk)
            known |= {read, part.name, add, kept}
            trunk = add
        read = self.the_one(trunk, "ReLU") if pre_activation else trunk
        pool = self.the_one(read, "GlobalAveragePooling1D")
        self.reads(profile.name, read)
        self.reads(pool, read)
        self.reads(counts.name, pool)
        known |= {read, pool, profile.name, counts.name}
        end = profile.name
        for kind in ("Cropping1D", "Flatten"):
            if takers := self.takers(end, kind):
                end = self.the_one(end, kind)
                self.reads(end, *self.settings[end].feeds & known)
                known |= set(takers)
        if not pre_activation:
            for name, layer in self.settings.items():
                if name not in known:
                    raise self.wrong(name, f"is {layer.kind}, expected no such layer")

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
        if self.settings and not told:
            raise self.wrong(self.names.stem, "takes a sequence of no length that the file tells, expected one")
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
    reader.check_graph(stem, dilated, profile, counts)
    length, profile_length, positions = reader.lengths([stem, *dilated], profile, usual)
    network = Network(
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
    reader.heads = profile, counts
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
            check(file.path, part, part.weight.shape)
        mix, control = mixed.weight[:, :tracks, 0], mixed.weight[:, tracks:]
        side = profile.weight.shape[2] // 2
        control = numpy.pad(control, ((0, 0), (0, 0), (side, side)))
        weight = numpy.concatenate([numpy.einsum("st,tfk->sfk", mix, profile.weight), control], 1)
        profile = Part(profile.name, weight, mix @ biases(profile) + biases(mixed))
        scale = summed.weight[:, :1]
        counts = Part(counts.name, numpy.concatenate([scale * counts.weight, summed.weight[:, 1:]], 1),
                      scale[0] * biases(counts) + biases(summed))
    reader.check_other_layers()
    if "main_add_1" in reader.settings and any(map(reader.is_activated, reader.settings["main_add_1"].feeds)):
        raise reader.wrong("main_add_1", "adds to what was activated (pre_activation_residual_unit is false), expected what was "
                                         "not")
    reader.check_graph(stem, dilated, reader.heads[0], reader.heads[1], pre_activation=True)
    length, profile_length, positions = reader.lengths([stem, *dilated], profile, usual)
    network = Network(
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
    if BESIDE_BIAS in found and PLAIN in found:
        _check_sum(file)
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


def _check_sum(file):
    """Raises unless the profiles of a network and its bias are added up, and their counts by one Lambda, where the file tells."""
    stems = (BESIDE_BIAS.stem, PLAIN.stem)
    for model in file.models:
        if any(stem in model for stem in stems):
            continue
        networks = {name for name, layer in model.items() if layer.kind in ("Functional", "Model")}
        joined = {kind: [name for name, layer in model.items() if layer.kind == kind and layer.feeds == networks]
                  for kind in ("Add", "Concatenate")}
        lambdas = [name for name, layer in model.items() if layer.kind == "Lambda" and layer.feeds == set(joined["Concatenate"])]
        count = sum(layer.kind != "InputLayer" for layer in model.values())
        if len(networks) != 2 or [len(joined["Add"]), len(joined["Concatenate"]), len(lambdas)] != [1, 1, 1] or count != 5:
            raise ValueError(f"{file.path}: joins a network and its bias by {count - len(networks)} layers, expected an Add of the "
                             f"profiles, a Concatenate of the counts and a Lambda of it; {ONLY_BPNET}")


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
    return written(source, [path], network, track, out, force, bias_network, bias_source, bias_files)
