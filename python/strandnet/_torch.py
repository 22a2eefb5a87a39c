"""Networks of PyTorch as run folders: the layers of an nn.Sequential as those of a plan."""
import copy
import os

from . import _imports

# Modules that leave what they get as it is once a network is trained.
IDLE = {"Identity", "Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout"}
FUNCTIONS = {"ReLU": "relu", "GELU": "gelu", "SiLU": "silu", "Tanh": "tanh"}
# Functions that make predictions of logits, at the end of a network.
ENDS = ("Softmax", "LogSoftmax", "Sigmoid")
TASKS = ("classification", "multilabel", "regression")
EPSILON = 1e-5  # what batch norm adds to variances
LARGEST_EXPONENT = 88.0  # beyond it exp is not finite
LONGEST_BP = 1_000_000


def from_torch(module, *, length, classes, alphabet="ACGT", task=None, positive=None, out, force=False):
    """from_torch(module, *, length, classes, alphabet="ACGT", task=None, positive=None, out, force=False)

    Writes a torch.nn.Sequential, which may hold others, as the run folder `out` and returns its model. The run is scored,
    explained, exported, reported and evaluated as any other, and training can start from it.

    module takes one-hot sequences [n, 4, length] whose rows are the bases of `alphabet`, and gives [n, outputs]: logits, or what
    Softmax, LogSoftmax or Sigmoid at its end makes of them.

    classes names what the outputs are. Of two classes and one output, the output is of the second; `positive` is the one whose
    probability is predicted, by default the second.

    task is "classification", "multilabel" or "regression", by default "multilabel" after a Sigmoid with as many outputs as classes,
    and "classification" otherwise.

    Known are Conv1d, BatchNorm1d, ReLU, GELU, SiLU, Tanh, MaxPool1d, AvgPool1d, AdaptiveMaxPool1d, AdaptiveAvgPool1d, Flatten,
    Linear, dropout, and the classes that RUN/model.py defines for what PyTorch has no module for: Exp, Residual, GatedBlock,
    BidirectionalLSTM, GlobalMaxMeanPool, PlacesPool, Crop; also modules of your own that pass on what one module in them makes, or
    add their input to it. The run is compared with the module on random sequences before it is written.

    Raises ValueError for a layer that is not known, which it names, and for one that a plan cannot hold.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch needs PyTorch; install it with: pip install torch") from error
    import numpy

    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module is a {type(module).__name__}, expected a torch.nn.Sequential; give the network itself")
    length = _imports.whole("length", length)
    if length > LONGEST_BP:
        raise ValueError(f"length is {length}, expected at most {LONGEST_BP}; use shorter sequences")
    classes = _names_of(classes)
    alphabet = str(alphabet).upper()
    if sorted(alphabet) != sorted(_imports.ALPHABET):
        raise ValueError(f"alphabet is {alphabet!r}, expected the letters A, C, G and T in some order; correct it")
    if task is not None and task not in TASKS:
        raise ValueError(f"task is {task!r}, expected {', '.join(TASKS)}; use one")

    try:
        network = copy.deepcopy(module).float().cpu().eval()
    except Exception as error:  # whatever a module raises
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"module cannot be copied ({text}); remove what computes weights anew, as remove_weight_norm does") from error
    codes = _imports.random_codes(length)
    inputs = torch.from_numpy(_imports.one_hot(codes, alphabet))
    with torch.no_grad():
        reader = _Reader(torch)
        reader.read(_leaves(network, ""), inputs)
        if not reader.layers and reader.output is None:
            raise ValueError("module holds no layers, expected a torch.nn.Sequential of some; give the network itself")
        _check_whole(network, inputs, reader)
    layers, tensors = reader.layers, reader.tensors
    logits = reader.features.numpy().astype(float)
    weight, bias = reader.ending()
    outputs = weight.shape[0]
    kind, positive = _task(task, reader.end, outputs, classes, positive)
    if kind == "binary":
        place = classes.index(positive)
        weight, bias = (_array(_of_positive(rows, place)) for rows in (weight, bias))
        logits = _of_positive(logits.T, place).T
    tensors["output.weight"], tensors["output.bias"] = weight, bias
    if alphabet != _imports.ALPHABET:
        layers, tensors = _turned(layers, tensors, alphabet)

    description = {
        "source": f"PyTorch {torch.__version__.split('+')[0]}",
        "task": kind,
        "classes": classes,
        "positive": positive if kind == "binary" else None,
        "length": length,
        "alphabet": alphabet,
        "model": {"arch": "custom", "layer": layers},
    }
    # As values, what comes out are the logits themselves.
    plain = {**description, "task": "regression", "classes": [f"logit {i}" for i in range(logits.shape[1])], "positive": None}
    _imports.check(plain, tensors, lambda model: _agree(model.predict(codes).reshape(logits.shape), logits))
    return _imports.write(description, tensors, os.fspath(out), force)


def _names_of(classes):
    """Names in their order."""
    names = [classes] if isinstance(classes, str) else classes
    try:
        names = None if isinstance(names, (set, frozenset, dict, bytes)) else list(names)
    except TypeError:
        names = None
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"classes is {classes!r}, expected a list of names, one for each output in order; give one")
    return [str(name) for name in names]


def _check_whole(network, inputs, reader):
    """Raises unless a network gives what its layers give one after the other."""
    found = network(inputs.clone())
    features = reader.features
    if reader.end is not None:
        features = reader.last(features)
    if not isinstance(found, reader.torch.Tensor) or found.shape != features.shape:
        raise ValueError("module gives something else than its layers one after the other; give the layers alone")
    if not reader.torch.isfinite(found).all():
        raise ValueError("module: outputs are not finite; train it again")
    if not reader.is_close(found, features):
        difference = float((found - features).abs().max())
        raise ValueError(
            f"module: outputs differ by {difference:.3g} from those of its layers; it computes something besides its layers")


def _agree(found, expected):
    """Raises unless logits agree, each column by its own size; sums of large numbers are known no better than by rounding."""
    import numpy

    sizes = numpy.abs(expected).max(0)
    allowed = _imports.TOLERANCE * numpy.maximum(sizes, 1e-2 * sizes.max(initial=0))
    differences = numpy.abs(found - expected).max(0)
    if not (differences <= allowed + 1e-30).all():
        at = int(numpy.argmax(differences - allowed))
        raise ValueError(
            f"module: output {at + 1} differs by {differences[at]:.3g} from that of its layers, expected {allowed[at]:.3g} at most; "
            "it computes something besides its layers")


def _class_of(module):
    """The name of a module's class; one with a parametrization has that of the class below."""
    return type(module).__name__.removeprefix("Parametrized")


def _is_torchs(module):
    return type(module).__module__.startswith("torch.")


def _called(path, module):
    return f"layer {path or 'module'} ({type(module).__name__})"


def _leaves(module, path):
    """The modules that a sequence of sequences goes through, each with its path."""
    if _is_sequence(module) and type(module).forward is _forward_of_sequences(module):
        return [leaf for name, child in _children(module, path) for leaf in _leaves(child, name)]
    return [(path, module)]


def _children(module, path):
    """The modules in a module, each as often as it is there, with its path."""
    return [(f"{path}.{name}".lstrip("."), child) for name, child in module._modules.items() if child is not None]


def _is_sequence(module):
    return "Sequential" in [base.__name__ for base in type(module).__mro__]


def _forward_of_sequences(module):
    return next(base.forward for base in type(module).__mro__ if base.__name__ == "Sequential")


def _shape(x):
    return f"[n, {', '.join(map(str, x.shape[1:]))}]"


def _no_layer(text):
    return ValueError(f"{text}; it is no layer of a plan")


def _number(value):
    """A size, which PyTorch holds as a number or as a tuple of one."""
    return int(value[0] if isinstance(value, (tuple, list)) else value)


class _Reader:
    """The layers of modules, in the order in which they compute."""

    def __init__(self, torch):
        self.torch = torch
        self.layers, self.tensors = [], {}
        self.prefix = "layers"
        # The last dense layer, which is the output if nothing comes behind it.
        self.output = None
        # The dropout behind it, which counts only if something else comes behind.
        self.dropout = None
        # The class of the function that makes predictions of logits, and the function.
        self.end = self.last = None
        self.features = None

    def read(self, leaves, x):
        for path, module in leaves:
            if self.end is not None:
                if _class_of(module) in IDLE:
                    continue
                raise _no_layer(f"{self.end} stands before {_called(path, module)}, expected it at the end alone")
            x = self._read(path, module, x)
        self.features = x
        return x

    def ending(self):
        """Weight and bias of the output layer."""
        import numpy

        if self.features.ndim != 2:
            raise ValueError(f"module gives {_shape(self.features)}, expected [n, outputs]; end it with a pool and nn.Flatten()")
        if self.output is not None:
            return self.output
        # Features that no dense layer follows are the outputs.
        count = self.features.shape[1]
        return numpy.eye(count, dtype=numpy.float32), numpy.zeros(count, numpy.float32)

    def _read(self, path, module, x):
        called = _called(path, module)
        name = _class_of(module)
        if name.startswith("Lazy") and _is_torchs(module):
            raise ValueError(f"{called} has no weights yet, expected those of training; run the network once, and train it")
        try:
            y = module(x.clone())
        except Exception as error:  # whatever a module raises
            text = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"{called} does not take {_shape(x)} ({text}); check the layers before it") from error
        if not isinstance(y, self.torch.Tensor):
            raise ValueError(f"{called} gives a {type(y).__name__}, expected a tensor; wrap it in a module that gives one")
        method = (TORCHS if _is_torchs(module) else OWN).get(name)
        is_lstm = self._lstm_of(module) is not None
        is_function = _is_torchs(module) and (name in IDLE or name in FUNCTIONS or name in ENDS)
        if method is None and not is_function and not is_lstm:
            return self._composed(path, module, x, y)
        if name in IDLE:
            if name != "Identity" and 0 < module.p < 1:
                if self.output is not None:
                    self.dropout = float(module.p)
                else:
                    self._add({"kind": "dropout", "rate": float(module.p)})
            return y
        if name in ENDS:
            if x.ndim != 2:
                raise _no_layer(f"{called} stands within the network, expected it at the end alone")
            if name != "Sigmoid" and module.dim not in (1, -1, None):
                raise ValueError(f"{called} takes the classes along another axis, expected dim=1 of [n, classes]; correct it")
            self.end, self.last = name, module
            return x
        self._flush()
        if name in FUNCTIONS:
            if getattr(module, "approximate", "none") != "none":
                raise _no_layer(f'{called} approximates by {module.approximate}, expected approximate="none"')
            self._add({"kind": FUNCTIONS[name]})
        elif is_lstm:
            self._lstm(module, called)
        else:
            try:
                method(self, module, called, x, y)
            except (AttributeError, IndexError, TypeError) as error:  # a class of the same name
                raise ValueError(f"{called} is not as RUN/model.py has it ({error}); give it another name") from error
        return y

    def _add(self, layer, **tensors):
        """Adds a layer with its parameters, by their names within it."""
        place = f"{self.prefix}.{len(self.layers)}"
        self.layers.append(layer)
        for name, values in tensors.items():
            self.tensors[f"{place}.{name.replace('__', '.')}"] = _array(values)

    def _flush(self):
        """A dense layer that something follows is a layer as others."""
        if self.output is not None:
            (weight, bias), rate = self.output, self.dropout
            self.output = self.dropout = None
            self._add({"kind": "dense", "units": weight.shape[0]}, weight=weight, bias=bias)
            if rate is not None:
                self._add({"kind": "dropout", "rate": rate})

    def _composed(self, path, module, x, y):
        """A module that does no more than the modules in it, one after the other, or adds its input to what they make of it."""
        children = _children(module, path)
        if children and (_is_sequence(module) or len(children) == 1):
            leaves = [leaf for name, child in children for leaf in _leaves(child, name)]
            # What random sequences come to, and what they never do.
            probes = [x, x * 0, self.torch.randn_like(x), 100 * self.torch.randn_like(x), -x.abs() - 1]
            found = [self._given(module, probe) for probe in probes]
            inner = [self._through(leaves, probe) for probe in probes]
            if all(z is not None and y is not None and z.shape == y.shape for y, z in zip(found, inner)):
                if all(map(self.is_close, found, inner)):
                    return self.read(leaves, x)
                if all(y.shape == x.shape and self.is_close(y, x + z) for x, y, z in zip(probes, found, inner)):
                    self._flush()
                    return self._residual(leaves, x)
        raise ValueError(
            f"{_called(path, module)} is not known; give its layers as an nn.Sequential, docs/python.md lists what is known")

    def _given(self, module, x):
        """What a module gives, or None where it does not take that."""
        try:
            y = module(x.clone())
        except Exception:  # whatever a module raises
            return None
        return y if isinstance(y, self.torch.Tensor) else None

    def _through(self, leaves, x):
        for _, leaf in leaves:
            x = None if x is None else self._given(leaf, x)
        return x

    def is_close(self, found, expected):
        """Whether numbers are the same but for rounding."""
        least = 1e-6 * float(expected.abs().max()) if expected.numel() else 0.0
        return self.torch.allclose(found, expected, rtol=1e-5, atol=least, equal_nan=True)

    def _residual(self, leaves, x):
        within = _Reader(self.torch)
        within.prefix = f"{self.prefix}.{len(self.layers)}"
        y = within.read(leaves, x)
        within._flush()
        if within.end is not None:
            raise _no_layer(f"{within.end} stands within the network, expected it at the end alone")
        self.layers.append({"kind": "residual", "layers": within.layers})
        self.tensors.update(within.tensors)
        return x + y

    def _convolution(self, module, called, padding):
        if module.padding_mode != "zeros":
            raise _no_layer(f"{called} pads by {module.padding_mode}, expected zeros")
        width, stride, dilation = map(_number, (module.kernel_size, module.stride, module.dilation))
        layer = {"kind": "convolution", "filters": module.out_channels, "width": width, "stride": stride, "dilation": dilation}
        self._add({**layer, "groups": module.groups, "padding": padding}, **_weight_and_bias(module))

    def _conv1d(self, module, called, x, y):
        reach = (_number(module.kernel_size) - 1) * _number(module.dilation)
        padding = {"same": "same", "valid": 0}[module.padding] if isinstance(module.padding, str) else _number(module.padding)
        if padding == 0:
            padding = "none"
        elif not isinstance(padding, str) and 2 * padding == reach:
            padding = "same"
        self._convolution(module, called, padding)

    def _lopsidedconv1d(self, module, called, x, y):
        self._convolution(module, called, "same")

    def _batchnorm1d(self, module, called, x, y):
        if module.running_var is None:
            raise ValueError(f"{called} has no running statistics, expected track_running_stats=True; train it so")
        self._add({"kind": "batch-norm"}, **_norm(module))

    def _pool(self, kind, module, called, x, y):
        width = _number(module.kernel_size)
        stride = _number(module.stride) if module.stride else width
        if _number(module.padding) or _number(getattr(module, "dilation", 1)) != 1:
            raise _no_layer(f"{called} pads or dilates, expected padding=0 and dilation=1")
        if y.shape[2] != (x.shape[2] - width) // stride + 1:
            raise _no_layer(f"{called} counts a last window that is not whole, expected ceil_mode=False")
        self._add({"kind": kind, "width": width, "stride": stride})

    def _maxpool1d(self, *arguments):
        self._pool("max-pool", *arguments)

    def _avgpool1d(self, *arguments):
        self._pool("mean-pool", *arguments)

    def _adaptive(self, kind, module, called, x, y):
        positions, places = x.shape[2], y.shape[2]
        if positions % places:
            raise _no_layer(f"{called} makes {places} places of {positions} positions, expected them equally wide")
        self._add({"kind": kind, "width": positions // places, "stride": positions // places})

    def _adaptivemaxpool1d(self, *arguments):
        self._adaptive("max-pool", *arguments)

    def _adaptiveavgpool1d(self, *arguments):
        self._adaptive("mean-pool", *arguments)

    def _flatten(self, module, called, x, y):
        if y.ndim != 2 or y.shape[0] != x.shape[0]:
            raise ValueError(f"{called} joins other axes, expected start_dim=1; correct it")
        if x.ndim > 2:
            self._add({"kind": "flatten"})

    def _linear(self, module, called, x, y):
        if x.ndim != 2:
            raise ValueError(f"{called} stands on positions, expected features; put nn.Flatten() before it")
        tensors = _weight_and_bias(module)
        self.output = tensors["weight"], tensors["bias"]

    def _exp(self, module, called, x, y):
        # Where it is cut is not known by its class.
        probe = self.torch.linspace(-5, LARGEST_EXPONENT, 1000)
        given = module(probe)
        at_most = float(given.max().log())
        if not self.torch.allclose(given, probe.clamp(max=at_most).exp(), rtol=1e-4):
            raise _no_layer(f"{called} is not the exponential function of numbers up to some limit")
        self._add({"kind": "exp", "at_most": round(at_most, 5)})

    def _crop(self, module, called, x, y):
        self._add({"kind": "crop", "positions": y.shape[2]})

    def _globalmaxmeanpool(self, module, called, x, y):
        self._add({"kind": "global-pool", "of": "both"})

    def _placespool(self, module, called, x, y):
        filters = module.out_channels
        places = (y.shape[1] - 2 * x.shape[1]) // filters
        self._add({"kind": "places-pool", "filters": filters, "places": places}, **_weight_and_bias(module))

    def _gatedblock(self, module, called, x, y):
        parts = {f"norm__{name}": values for name, values in _norm(module.norm).items()}
        for name in ("conv", "gate"):
            parts.update({f"{name}__{part}": values for part, values in _weight_and_bias(getattr(module, name)).items()})
        self._add({"kind": "gated", "width": _number(module.conv.kernel_size), "dilation": _number(module.conv.dilation)}, **parts)

    def _lstm_of(self, module):
        """The LSTM that a module is, or wraps without parameters of its own."""
        if "LSTM" in [base.__name__ for base in type(module).__mro__]:
            return module
        children = list(module.children())
        is_one = len(children) == 1 and type(children[0]).__name__ == "LSTM"
        return children[0] if is_one and len(list(module.parameters())) == len(list(children[0].parameters())) else None

    def _lstm(self, module, called):
        lstm = self._lstm_of(module)
        if lstm.num_layers != 1 or not lstm.bidirectional or getattr(lstm, "proj_size", 0):
            found = f"{lstm.num_layers} layers and {1 + lstm.bidirectional} directions"
            raise _no_layer(f"{called} is of {found}, expected 1 and 2, without projection")
        units, tensors = lstm.hidden_size, {}
        for end in ("", "_reverse"):
            for what in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                name = f"{what}_l0{end}"
                tensors[name] = getattr(lstm, name, None)
                if tensors[name] is None:
                    tensors[name] = self.torch.zeros(4 * units)
        self._add({"kind": "lstm", "units": units}, **tensors)


# What reads a module, by its class: PyTorch's own, and those of RUN/model.py and bpnet-lite.
TORCHS = {
    "Conv1d": _Reader._conv1d,
    "BatchNorm1d": _Reader._batchnorm1d,
    "MaxPool1d": _Reader._maxpool1d,
    "AvgPool1d": _Reader._avgpool1d,
    "AdaptiveMaxPool1d": _Reader._adaptivemaxpool1d,
    "AdaptiveAvgPool1d": _Reader._adaptiveavgpool1d,
    "Flatten": _Reader._flatten,
    "Linear": _Reader._linear,
}
OWN = {
    "Exp": _Reader._exp,
    "_Exp": _Reader._exp,
    "Crop": _Reader._crop,
    "GlobalMaxMeanPool": _Reader._globalmaxmeanpool,
    "PlacesPool": _Reader._placespool,
    "GatedBlock": _Reader._gatedblock,
    "LopsidedConv1d": _Reader._lopsidedconv1d,
}


def _array(values):
    import numpy

    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return numpy.ascontiguousarray(values, numpy.float32)


def _weight_and_bias(module):
    import numpy

    weight = _array(module.weight)
    return {"weight": weight, "bias": numpy.zeros(len(weight), numpy.float32) if module.bias is None else _array(module.bias)}


def _norm(module):
    """Parameters and statistics of batch norm, whose variances have here always the same added."""
    import numpy

    mean, variance = _array(module.running_mean), module.running_var.detach().cpu().numpy().astype(float)
    count = len(mean)
    return {
        "weight": numpy.ones(count, numpy.float32) if module.weight is None else _array(module.weight),
        "bias": numpy.zeros(count, numpy.float32) if module.bias is None else _array(module.bias),
        "running_mean": mean,
        "running_var": _array(variance + module.eps - EPSILON),
    }


def _task(task, end, outputs, classes, positive):
    """The kind of task, and of two classes the name of the positive one."""
    count = len(classes)
    is_one_of_two = outputs == 1 and count == 2
    if not is_one_of_two and outputs != count:
        raise ValueError(f"module gives {outputs} outputs and {count} classes are named; name one for each, or two for one output")
    if task is None:
        if end is None and count == 1:
            raise ValueError('module gives one output, which is a label or a value; say task="multilabel" or task="regression"')
        task = "multilabel" if end == "Sigmoid" and not is_one_of_two else "classification"
    goes_with = {
        "classification": (None, "Sigmoid") if is_one_of_two else (None, "Softmax", "LogSoftmax"),
        "multilabel": (None, "Sigmoid"),
        "regression": (None,),
    }
    if end not in goes_with[task]:
        raise ValueError(f"module ends with {end}, which does not go with task=\"{task}\"; remove it or use another task")
    if task != "classification":
        if is_one_of_two:
            raise ValueError(f"module gives 1 output, and 2 columns are named for task=\"{task}\"; name one")
        if positive is not None:
            raise ValueError("positive goes with two classes; remove it")
        return task, None
    if count == 1:
        raise ValueError('one class is named, expected two or more; name the other too, or say task="multilabel"')
    if count > 2:
        if positive is not None:
            raise ValueError("positive goes with two classes; remove it")
        return "multiclass", None
    positive = classes[1] if positive is None else str(positive)
    if positive not in classes:
        raise ValueError(f"positive is {positive!r}, expected {classes[0]!r} or {classes[1]!r}; correct it")
    return "binary", positive


def _of_positive(rows, place):
    """The row of one of two classes, from that of the second or from both."""
    if len(rows) == 1:
        return rows if place == 1 else -rows
    return (rows[place].astype(float) - rows[1 - place])[None]


def _turned(layers, tensors, alphabet):
    """The same network for rows in the order A, C, G, T."""
    import numpy

    order = [alphabet.index(base) for base in _imports.ALPHABET]
    first = layers[0] if layers else {}
    if first.get("kind") == "convolution" and first["groups"] == 1:
        return layers, {**tensors, "layers.0.weight": _array(tensors["layers.0.weight"][:, order])}
    # Others read what a convolution of one base puts in the order of the alphabet.
    turn = numpy.zeros((4, 4, 1), numpy.float32)
    turn[order, range(4), 0] = 1
    layers = [{"kind": "convolution", "filters": 4, "width": 1, "padding": "none"}, *layers]
    moved = {}
    for name, values in tensors.items():
        if name.startswith("layers."):
            _, place, rest = name.split(".", 2)
            name = f"layers.{int(place) + 1}.{rest}"
        moved[name] = values
    return layers, {**moved, "layers.0.weight": turn, "layers.0.bias": numpy.zeros(4, numpy.float32)}
