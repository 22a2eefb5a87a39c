"""Networks for profiles that were trained elsewhere: their tensors as the program names them, whose fit is checked here."""
from collections import namedtuple

from . import _imports

# Width of the program's convolution for profiles; a narrower one goes in its middle.
PROFILE_WIDTH = 75

ONLY_BPNET = "only a network that is built as BPNet can be read"

# weight is [out, in, width], or [out, in] of a dense layer; bias [out], or None.
Part = namedtuple("Part", "name weight bias")


def biases(part):
    import numpy

    return numpy.zeros(part.weight.shape[0], "float32") if part.bias is None else part.bias


class Network:
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
        check(where, stem, (self.filters, 4, self.width))
        for part in dilated:
            check(where, part, (self.filters, self.filters, 3))
        check(where, profile, (self.tracks, self.filters + self.control, profile_width))
        check(where, counts, (1, self.filters + (self.control > 0)))
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
        tensors = {"iconv.weight": stem.weight, "iconv.bias": biases(stem)}
        for i, part in enumerate(dilated):
            tensors.update({f"rconvs.{i}.weight": part.weight, f"rconvs.{i}.bias": biases(part)})
        tensors.update({"head.fconv.weight": wide[:, :self.filters], "head.fconv.bias": biases(profile),
                        "head.linear.weight": counts.weight[:, :self.filters], "head.linear.bias": biases(counts)})
        if self.control:
            if self.control_counts == "profile":
                # The program has log(1 + counts / 2), of which log(2 + counts) is this more.
                tensors["head.linear.bias"] = tensors["head.linear.bias"] + numpy.log(2) * counts.weight[0, self.filters:]
            tensors["control.profile.weight"] = wide[:, self.filters:]
            tensors["control.counts.weight"] = counts.weight[0, self.filters:]
        return {name: numpy.ascontiguousarray(tensor, "float32") for name, tensor in tensors.items()}

    def described(self):
        return {"arch": "bpnet", "filters": self.filters, "width": self.width, "depth": self.depth,
                "counts_positions": self.counts_positions, "pre_activation": self.pre_activation}


def check(where, part, shape):
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


def written(source, files, network, track, out, force, bias=None, bias_source=None, bias_files=(), compared=None):
    """The model of the run folder that is made of a network and its bias; compared(model) sees it first."""
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
    if compared is not None:
        _imports.check(description, network.tensors, compared, bias_tensors=bias_tensors)
    return _imports.write(description, network.tensors, out, force, bias_tensors=bias_tensors)
