"""HDF5 files that Keras wrote: the arrays of their layers and how the layers are connected. What networks they are is not decided
here.

Nothing of a file is run: neither TensorFlow nor Keras is needed, and what is read are arrays and the JSON of `model_config`.
"""
import json
import lzma
import os
import tarfile
import zlib
from collections import namedtuple

# kind is Keras's class, config its settings, feeds the names of the layers whose output it takes.
Layer = namedtuple("Layer", "kind config feeds")

# The largest array that is read. A layer of 1024 filters of width 75 has 79 million numbers.
MOST_VALUES = 2**27

CONVERT = "tf.keras.models.load_model('{}', compile=False).save('model.h5')"


class File:
    """layers: a dict from a layer's name to its arrays by name, "kernel" and "bias", f32. models: for each model in the file, which
    may be nested, a dict from a layer's name to a Layer; empty in a file of weights alone."""

    def __init__(self, path, layers, models):
        self.path, self.layers, self.models = path, layers, models

    def model_with(self, name):
        """The layers of the model that has a layer of this name; empty where there is none."""
        return next((model for model in self.models if name in model), {})


def read(path):
    """The File at a path.

    Raises OSError where it cannot be read, ValueError where it is no such file, and ImportError without h5py."""
    path = os.fspath(path)
    _refuse_other_kinds(path)
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: files of Keras are read with h5py, which is not installed; install it with: pip install h5py") from error
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: is no HDF5 file, expected one that Keras wrote; give the network's .h5 file")
    try:
        with h5py.File(path, "r") as file:
            return File(path, _arrays(path, file, h5py), _models_of(path, file.attrs.get("model_config")))
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is a damaged HDF5 file ({error}), expected a whole one; get it again") from error


def _refuse_other_kinds(path):
    """Raises for what networks also come as, with what to do."""
    if os.path.isdir(path):
        for folder in (path, *(entry.path for entry in os.scandir(path) if entry.is_dir())):
            if os.path.isfile(os.path.join(folder, "saved_model.pb")):
                raise ValueError(f"{path}: is a SavedModel of TensorFlow, expected an .h5 file; convert it once where TensorFlow "
                                 f"is: {CONVERT.format(folder)}")
        raise ValueError(f"{path}: is a folder, expected an .h5 file that Keras wrote; give the file in it")
    with open(path, "rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        raise ValueError(f"{path}: is a .keras file, expected an .h5 file; convert it once where Keras is: "
                         f"keras.models.load_model('{path}', compile=False).save('model.h5')")
    if start != b"\x89HDF" and tarfile.is_tarfile(path):
        folder = _saved_model_in(path)
        if folder is not None:
            raise ValueError(f"{path}: is an archive of a SavedModel of TensorFlow, expected an .h5 file; unpack it and convert it "
                             f"once where TensorFlow is: {CONVERT.format(folder)}")
        raise ValueError(f"{path}: is an archive, expected an .h5 file that Keras wrote; unpack it and give the file in it")


def _saved_model_in(path):
    """The folder of a SavedModel in a tar archive, or None."""
    try:
        with tarfile.open(path) as archive:
            names = (os.path.split(member.name) for member in archive)
            return next((folder or "." for folder, name in names if name == "saved_model.pb"), None)
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError):  # it ends early
        return None


def _arrays(path, file, h5py):
    """The arrays of each layer: TensorFlow 2.8 calls them `model_weights/NAME/NAME/kernel:0`, Keras 3
    `model_weights/NAME/NAME/kernel`."""
    import numpy

    root, layers = file["model_weights"] if "model_weights" in file else file, {}

    def visit(name, item):
        parts = name.split("/")
        if not isinstance(item, h5py.Dataset) or parts[0] in ("optimizer_weights", "top_level_model_weights"):
            return
        if len(parts) < 2 or "vars" in parts:
            raise ValueError(f"{path}: dataset {name}: has no layer's name, expected such as NAME/kernel:0; save the model whole, "
                             "with model.save('model.h5')")
        layer, array = parts[-2], parts[-1].partition(":")[0]
        if item.dtype.kind != "f" or item.ndim > 3 or item.size > MOST_VALUES or item.external or item.is_virtual:
            raise ValueError(f"{path}: layer {layer}: {array} is {item.dtype} {list(item.shape)}, expected numbers with at most 3 "
                             "axes in the file itself; give a file that Keras wrote")
        if array in layers.setdefault(layer, {}):
            raise ValueError(f"{path}: layer {layer}: {array} is there twice, expected it once; give the file of one network")
        layers[layer][array] = numpy.ascontiguousarray(item[()], "float32")

    root.visititems(visit)
    return layers


def _models_of(path, text):
    if text is None:
        return []
    try:
        models = []
        _collect(json.loads(text), models)
        return models
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: model_config is not as Keras writes it ({error}), expected its JSON; give a file that Keras "
                         "wrote") from error


def _collect(model, models):
    """Adds a model and those nested in it."""
    layers = {}
    for layer in model["config"]["layers"]:
        config = layer["config"]
        if "layers" in config:
            _collect(layer, models)
        feeds = set()
        _names(layer.get("inbound_nodes", []), feeds)
        layers[str(config["name"])] = Layer(str(layer["class_name"]), config, feeds)
    models.append(layers)


def _names(nodes, names):
    """Adds the layers' names in inbound nodes: lists [name, node, output, ...], which Keras 3 has under "keras_history"."""
    if isinstance(nodes, dict):
        nodes = list(nodes.values())
    if isinstance(nodes, list):
        if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            names.add(nodes[0])
        else:
            for node in nodes:
                _names(node, names)
