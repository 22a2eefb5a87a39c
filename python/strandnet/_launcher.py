"""The command `strandnet`: starts the program with the libtorch of the PyTorch that this Python has, or the one that scores without."""
import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

BIN = Path(__file__).resolve().parent / "bin"
TORCH = "2.11.0"
# What the program without libtorch knows; of explain, sequences and variants.
SCORING = ("predict", "evaluate", "explain", "report")


def libtorch():
    """The folder of libtorch and where it is from, or None and why there is none. Does not import torch, which takes seconds."""
    try:
        spec = find_spec("torch")
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None, f"this Python has no PyTorch, expected {TORCH}; install it with: pip install 'strandnet[train]'"
    folder = Path(list(spec.submodule_search_locations)[0])
    try:
        text = (folder / "version.py").read_text()
    except OSError:
        text = ""
    found = re.search(r"^__version__ = '([^'+]+)", text, re.MULTILINE)
    if found is None or found.group(1) != TORCH:
        version = "of an unknown version" if found is None else found.group(1)
        return None, f"PyTorch in {folder} is {version}, expected {TORCH}; install it with: pip install 'strandnet[train]'"
    if not (folder / "lib" / "libtorch_cpu.so").is_file():
        return None, f"PyTorch in {folder} has no lib/libtorch_cpu.so; install it anew with: pip install --force-reinstall torch=={TORCH}"
    return folder / "lib", f"libtorch {TORCH} of PyTorch in {folder}"


def start(program, arguments, environment):
    try:
        os.execve(program, [str(program), *arguments], environment)
    except OSError as error:
        sys.exit(f"error: {program}: cannot be started ({error.strerror}); install strandnet again")


def main():
    arguments = sys.argv[1:]
    command = next((word for word in arguments if not word.startswith("-")), None)
    full, scoring = BIN / "strandnet", BIN / "strandnet-score"
    lib, why = libtorch()
    if not full.is_file():
        lib, why = None, "this wheel was built without the program that trains; build it where libtorch is, with scripts/build-wheel"
    environment = dict(os.environ)
    if command == "doctor":
        if "--json" not in arguments:
            print(f"{'launcher':<18}{why}", flush=True)
        elif lib is None:
            print(json.dumps({"libtorch": None, "problems": [why]}))
        if lib is None:
            if "--json" not in arguments:
                print(f"{'without libtorch':<18}predict, evaluate, explain sequences, explain variants, report")
            sys.exit(1)
    if lib is not None:
        before = environment.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = f"{lib}:{before}" if before else str(lib)
        start(full, arguments, environment)
    # Without libtorch, and for help and the version.
    if command is None or (command in SCORING and "motifs" not in arguments[:4]) or command == "help":
        if scoring.is_file():
            if command is None or command == "help":
                print(f"without libtorch: {why}", file=sys.stderr)
            start(scoring, arguments, environment)
        sys.exit("error: this wheel was built without strandnet-score; build it with scripts/build-wheel")
    print(f"error: strandnet {command} needs libtorch, and {why}", file=sys.stderr)
    sys.exit(1)
