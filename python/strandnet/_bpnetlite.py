"""Networks of bpnet-lite as run folders."""
import os

from . import _imports
from ._bpnet import ONLY_BPNET, PROFILE_WIDTH, Network, Part, written

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
    return Network(
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
    length = _imports.whole("length", length)
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

    def forward(inputs):
        if network.control:
            return module(inputs, inputs.new_zeros(len(inputs), network.control, network.length))
        return module(inputs)

    def compared(run):
        codes = _imports.random_codes(length)
        expected = _outputs(module, (_imports.one_hot(codes),), forward)
        _imports.agree(name, ("profile logits", "log counts"), run.predict(codes), expected)
        if network.control:
            _compared_control(name, module, network)

    return written(source, [], network, track, out, force, bias, source, compared=compared)


def _outputs(module, inputs, forward):
    """What forward(*inputs) gives, a tensor or several, as f64 arrays. module evaluates without gradients and is left as it was."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    parameter = next(module.parameters(), torch.zeros(1))
    module.eval()
    try:
        with torch.no_grad():
            found = forward(*(torch.as_tensor(array).to(parameter.device, parameter.dtype) for array in inputs))
    except Exception as error:  # whatever a module raises
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"the module does not compute ({text}); give one that takes sequences [n, 4, length]") from error
    finally:
        for part, training in modes:
            part.training = training
    return tuple(tensor.double().cpu().numpy() for tensor in (found if isinstance(found, (tuple, list)) else (found,)))


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
    _imports.agree(what, ("profile logits of the control", "log counts of the control"),
           (without[0] + profile, without[1] + counts), with_control)


def _bpnetlite():
    """bpnet-lite and its version, where it is known."""
    from importlib import metadata

    try:
        return f"bpnet-lite {metadata.version('bpnet-lite')}"
    except metadata.PackageNotFoundError:
        return "bpnet-lite"
