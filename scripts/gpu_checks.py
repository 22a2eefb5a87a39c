"""Checks strandnet on a GPU; scripts/check-gpu puts this file into a folder with the program and its inputs.

    python3 check.py                    on a machine with a GPU, libtorch 2.11 and no network; at most 10 minutes
    python3 check.py --device cpu       every line that has a meaning without a GPU
    python3 check.py --only graph,speed only lines with one of these words

The folder has `strandnet` and its unit tests, `unit`, built with the CUDA half of libtorch. libtorch is that of this Python's torch
package, unless --libtorch names a folder. Prints a line per check, and writes report.txt, numbers.json and table.md, the table of
docs/performance.md, into --out. Fails if a check does. A line whose tool is missing is skipped and counted, as is one that needs a GPU
where there is none.
"""
import argparse
import array
import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ["shallow", "residual", "gated", "basset", "danq"]
EXPLAINED = ["residual", "danq"]  # with convolutions alone, and with an LSTM
# The published experiment, as scripts/pytorch_seed_job.py has it.
SEED_JOB = ["--arch", "seed", "--strands", "single", "--optimizer", "adam", "--lr", "0.001", "--schedule", "constant", "--warmup", "0",
            "--weight-decay", "0", "--dropout", "0.2", "--batch-size", "64"]
# What warnings about the GPU have in common; others are about the data, which are simulated.
OF_THE_GPU = re.compile(r"\[W|warning:.*(CUDA|GPU|graph|cuDNN|contiguous|device)|went on without")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu for a dry run")
parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", HERE / "results")), help="folder for what is found")
parser.add_argument("--libtorch", type=Path, help="folder with libtorch_cpu.so")
parser.add_argument("--minutes", type=float, default=10, help="no check begins that would not be done by then")
parser.add_argument("--only", default="", metavar="WORDS", help="only checks with one of these words, comma-separated")
parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1), help="CPU threads")
options = parser.parse_args()
DEVICE, DRY = options.device, options.device == "cpu"
WORK = options.out.resolve() / "work"
STRIDE = 512 if DRY else 64
BEGAN = time.monotonic()
REPORT = []


class NeedsGpu(Exception):
    """The line has no meaning without a GPU."""


class Skipped(Exception):
    """A tool is missing, or there is no time left."""


CHECKS, NUMBERS = [], {}


def check(what, seconds):
    """Registers a check that takes so long at most; it returns what to print beside its name."""
    def register(function):
        CHECKS.append((what, seconds, function))
        return function
    return register


def need_gpu():
    if DRY:
        raise NeedsGpu


def require(truth, message):
    if not truth:
        raise AssertionError(message)


# Running things


def libtorch():
    if options.libtorch:
        return options.libtorch
    found = importlib.util.find_spec("torch")
    return Path(found.submodule_search_locations[0]) / "lib" if found else None


def environment(**more):
    own = {"GOMP_SPINCOUNT": "1000", **os.environ}
    folder = None if DRY and not options.libtorch else libtorch()
    if folder:
        own["LD_LIBRARY_PATH"] = f"{folder}:{own.get('LD_LIBRARY_PATH', '')}"
    return {**own, **more}


def left():
    """Seconds until the time is up."""
    return options.minutes * 60 - (time.monotonic() - BEGAN)


def run(*command, code=0, seconds=120, **more):
    """Runs to the end, or ends it with all that it started; returns its output and errors together."""
    command = [str(part) for part in command]
    child = subprocess.Popen(command, cwd=WORK, text=True, env=environment(**more), start_new_session=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said, _ = child.communicate(timeout=max(1, min(seconds, left())))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise
    last = said.strip().splitlines()[-1:] or ["no output"]
    require(child.returncode == code, f"{' '.join(command)} ended with {child.returncode}, expected {code}: {last[0]}")
    return said


def strandnet(*command, **how):
    return run(HERE / "strandnet", *command, **how)


def error_of(*command, code=1, **how):
    """The one line of error of a command that must fail."""
    lines = [line for line in strandnet(*command, code=code, **how).splitlines() if line.startswith("error: ")]
    require(len(lines) == 1, f"{len(lines)} lines of error, expected one")
    return lines[0]


def data(train="middle.csv", test="test.csv"):
    return ["--train", HERE / train, "--valid", HERE / test, "--test", HERE / test, "--threads", options.threads, "--quiet", "--force"]


def train(name, *flags, device=None, epochs=3, **how):
    """Trains into a folder of that name, with no word of the GPU's; returns the folder."""
    said = strandnet("train", *data(), "--device", device or DEVICE, "--epochs", epochs, *flags, "--out", name, **how)
    faults = [line for line in said.splitlines() if OF_THE_GPU.search(line)]
    require(not faults, f"{name}: {faults[:1]}")
    return WORK / name


def trained(arch):
    """A run of an architecture as it comes, trained once."""
    folder = WORK / f"plain-{arch}"
    return folder if (folder / "metrics.json").exists() else train(folder.name, "--arch", arch)


def auroc(run_folder):
    return json.loads((run_folder / "metrics.json").read_text())["test"]["auroc"]["value"]


def near_the_cpu(arch, *flags, like=()):
    """Trains an architecture with flags; AUROC must be about that of the CPU, there with the flags of `like`. Returns it."""
    reference = WORK / "-".join(["cpu", arch, *like])
    if not (reference / "metrics.json").exists():
        train(reference.name, "--arch", arch, *like, device="cpu")
    found, expected = auroc(train(f"trained-{arch}", "--arch", arch, *flags)), auroc(reference)
    allowed = 0.3 if DRY else 0.06  # few sequences in a dry run, and a GPU draws other dropout
    require(found > expected - allowed, f"AUROC {found:.3f} with {' '.join(flags) or 'no flags'}, on the CPU {expected:.3f}")
    return found


def numbers_of(path):
    """All cells of a table, numbers as such."""
    with open(path) as file:
        for row in csv.reader(file, delimiter="\t"):
            for cell in row:
                try:
                    yield float(cell)
                except ValueError:
                    yield cell


def largest_difference(one, other):
    """Of two tables whose words must be the same, relative for numbers above 1."""
    worst, count = 0.0, 0
    for a, b in zip(numbers_of(one), numbers_of(other), strict=True):
        if isinstance(a, float) and isinstance(b, float):
            worst, count = max(worst, abs(a - b) / max(1.0, abs(b))), count + 1
        else:
            require(a == b, f"{one.name}: {a} here and {b} there")
    require(count > 0, f"{one.name} has no numbers")
    return worst


def agree(name, allowed, command):
    """Runs a command that writes a table or a folder of them on both devices, and compares."""
    outputs = []
    for device in ["cpu", DEVICE]:
        output = WORK / f"{name}-{len(outputs)}-{device}"
        said = strandnet(*command(output), "--device", device, "--force")
        outputs.append(output)
    tables = sorted(path.name for path in outputs[0].glob("*.tsv")) if outputs[0].is_dir() else [None]
    pairs = [[output / table if table else output for output in outputs] for table in tables]
    worst = max(largest_difference(*pair) for pair in pairs)
    require(worst <= allowed, f"{name}: {worst:.1e} apart, allowed {allowed:.0e}")
    return worst, said


# The checks


@check("doctor finds nothing wrong", 30)
def doctor():
    found = json.loads(strandnet("doctor", "--json"))
    require(not found["problems"], found["problems"])
    if DRY:
        return found["default_device"]
    require(found["cuda_devices"] >= 1 and found["cudnn"] and found["cuda_graphs"] and found["nccl"], json.dumps(found))
    gpu, driver = found["nvidia_driver"]["gpus"][0], found["nvidia_driver"]
    NUMBERS["gpu"], NUMBERS["driver"] = gpu["name"], driver["release"] or f"for CUDA {driver['cuda']}"
    NUMBERS["libtorch"], NUMBERS["strandnet"] = found["libtorch"], f"{found['version']} ({found['git_revision']})"
    return f"{gpu['name']}, {gpu['memory_bytes'] / 2**30:.0f} GiB, capability {gpu['compute_capability']}, driver {NUMBERS['driver']}"


@check("unit tests of the GPU, one at a time", 120)
def unit_tests():
    wanted = ["cpu_and_cuda_agree", "train::step_graph", "train::transfer", "train::device_examples", "train::optimizer", "train::totals", "cuda::", "distributed::"]
    said = run(HERE / "unit", "--test-threads=1", "--nocapture", *wanted, seconds=120)
    passed = int(re.search(r"(\d+) passed", said).group(1))
    require(passed > 20, f"only {passed} tests ran")
    skipped = said.count("skipped:")
    require(DRY or not skipped, f"{skipped} tests were skipped")
    return f"{passed} passed" + (f", of which {skipped} need a GPU" if skipped else "")


@check("without a visible GPU, CUDA is refused in one sentence", 30)
def hidden():
    error = error_of("train", *data(), "--device", "cuda", "--out", "hidden", CUDA_VISIBLE_DEVICES="")
    require("--device cpu" in error and not (WORK / "hidden").exists(), error)
    return error.removeprefix("error: ")


@check("cuda:99 is refused in one sentence", 30)
def no_such_device():
    error = error_of("train", *data(), "--device", "cuda:99", "--out", "hidden")
    require("cuda" in error and not (WORK / "hidden").exists(), error)
    return error.removeprefix("error: ")


def add_training(arch):
    for name, flags in [
        ("training as it comes", []),
        ("--cuda-graph", ["--cuda-graph"]),
        ("streamed (--shift 3)", ["--shift", "3"]),
        ("streamed (--shift 3) --cuda-graph", ["--shift", "3", "--cuda-graph"]),
    ]:
        @check(f"{arch}: {name}", 60)
        def trains(flags=flags):
            if "--cuda-graph" in flags:
                need_gpu()
            return f"AUROC {near_the_cpu(arch, *flags):.3f}"

    @check(f"{arch}: --precision bf16", 60)
    def half():
        if DRY:  # slow on processors without it
            return f"AUROC {auroc(train('half', '--arch', arch, '--precision', 'bf16', epochs=1)):.3f}"
        return f"AUROC {near_the_cpu(arch, '--precision', 'bf16', '--cuda-graph'):.3f}"

    @check(f"{arch}: --ema 0.9 --clip-norm 1 --accumulate 3", 60)
    def accumulated():
        flags = ["--ema", "0.9", "--clip-norm", "1", "--accumulate", "3", "--batch-size", "64"]
        return f"AUROC {near_the_cpu(arch, *flags, like=flags):.3f}"

    @check(f"{arch}: predict{', explain and verify' if arch in EXPLAINED else ''} on both devices", 90)
    def both_devices():
        folder = trained(arch)
        predicted, _ = agree(f"predict-{arch}", 1e-4, lambda out: ["predict", folder, HERE / "genome.fa", "--stride", STRIDE, "--out", out])
        if arch not in EXPLAINED:
            return f"scores {predicted:.0e} apart"
        explained, said = agree(f"explain-{arch}", 1e-3, lambda out: [
            "explain", "sequences", folder, HERE / "few.fa", "--method", "ism,saliency,ig", "--out", out])
        complete = re.search(r"([\d.]+) % at most", said)
        require(complete and float(complete.group(1)) <= 1, f"completeness: {said.strip().splitlines()[-1]}")
        variants, _ = agree(f"variants-{arch}", 1e-3, lambda out: [
            "explain", "variants", folder, "--vcf", HERE / "variants.vcf", "--reference", HERE / "genome.fa", "--out", out])
        strandnet("verify", folder)
        strandnet("verify", folder, CUDA_VISIBLE_DEVICES="")
        return f"scores {predicted:.0e} apart, attributions {explained:.0e}, variants {variants:.0e}"


def fragments_per_second(folder):
    with open(folder / "history.csv") as file:
        speeds = sorted(float(row["fragments_per_second"]) for row in list(csv.DictReader(file))[1:])
    return speeds[len(speeds) // 2]


def speed_of(name, device, *flags, **more):
    began = time.monotonic()
    strandnet("train", *data("train.csv"), "--device", device, *flags, "--out", "speed", seconds=200, **more)
    seconds = time.monotonic() - began
    row = {"fragments_per_second": fragments_per_second(WORK / "speed"), "seconds": seconds, "auroc": auroc(WORK / "speed")}
    NUMBERS.setdefault("speed", {})[name] = row
    return f"{row['fragments_per_second']:,.0f} fragments/s, {seconds:.1f} s in all, AUROC {row['auroc']:.3f}"


EPOCHS = ["--epochs", "3" if DRY else "25"]


@check("speed of the published experiment on the CPU", 120)
def seed_on_cpu():
    return speed_of("published experiment, CPU", "cpu", *SEED_JOB, *EPOCHS)


@check("speed of the published experiment on the GPU", 90)
def seed_on_gpu():
    return speed_of("published experiment, GPU", DEVICE, *SEED_JOB, *EPOCHS)


@check("speed of the published experiment with --cuda-graph", 90)
def seed_graphed():
    need_gpu()
    said = speed_of("published experiment, GPU, --cuda-graph", DEVICE, *SEED_JOB, *EPOCHS, "--cuda-graph")
    plain, graphed = [NUMBERS["speed"][f"published experiment, GPU{flag}"]["fragments_per_second"] for flag in ["", ", --cuda-graph"]]
    return f"{said}; {graphed / plain:.2f} times as fast as without"


def pytorch(name, *flags):
    missing = [package for package in ["torch", "numpy"] if not importlib.util.find_spec(package)]
    if missing:
        raise Skipped(f"no {missing[0]} in this Python")
    # Figures are not what is timed here: without matplotlib they are left out.
    start = ("import sys,runpy\nfrom unittest.mock import MagicMock\nimport importlib.util as u\n"
             "if not u.find_spec('matplotlib'): sys.modules.update({'matplotlib': MagicMock(), 'matplotlib.pyplot': MagicMock()})\n"
             "sys.argv=sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')")
    said = run(sys.executable, "-c", start, HERE / "pytorch_seed_job.py", HERE / "train.csv", HERE / "test.csv", "pytorch", *EPOCHS,
               "--threads", options.threads, "--device", DEVICE, *flags, seconds=200)
    found = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    row = {"fragments_per_second": found["train_fragments_per_s"], "seconds": found["total_s"], "auroc": found["test_auroc"]}
    NUMBERS.setdefault("speed", {})[name] = row
    return f"{row['fragments_per_second']:,.0f} fragments/s, {row['seconds']:.1f} s in all, AUROC {row['auroc']:.3f}"


@check("speed of the published experiment in PyTorch", 200)
def pytorch_eager():
    return pytorch("published experiment, PyTorch")


@check("speed of the published experiment in PyTorch, compiled", 200)
def pytorch_compiled():
    need_gpu()  # on the CPU it says nothing of this program
    if not any(map(shutil.which, ["cc", "gcc", "clang"])):
        raise Skipped("torch.compile needs a C compiler")
    return pytorch("published experiment, PyTorch compiled", "--compile")


def add_speed(arch, *flags):
    epochs = ["--epochs", "2" if DRY else "4"]
    name = " ".join([f"{arch}, GPU", *flags])

    @check(f"speed of {arch} {' '.join(flags)}".strip(), 90)
    def speed():
        if "--cuda-graph" in flags or "bf16" in flags:
            need_gpu()
        return speed_of(name, DEVICE, "--arch", arch, *epochs, *flags)


for architecture in ["residual", "basset"]:
    for more in [[], ["--cuda-graph"], ["--precision", "bf16", "--cuda-graph"]]:
        add_speed(architecture, *more)


# Batches of 60 divide the training sets, so that two halves of each are as two batches of 30.
SEVERAL = ["--arch", "residual", "--optimizer", "sgd", "--lr", "0.02"]
ALONE = [*SEVERAL, "--batch-size", "60"]
HALVES = [*SEVERAL, "--batch-size", "30", "--accumulate", "2"]
WITHOUT_NCCL = {"STRANDNET_NCCL": "0"}


def group_of_one():
    """Variables of a launcher that started one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def weights(folder):
    """All numbers of the best weights, whose file has the length of its head in 8 bytes, then the head, then them."""
    content = (folder / "best.safetensors").read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    kinds = {tensor["dtype"] for name, tensor in json.loads(content[8:begin]).items() if name != "__metadata__"}
    require(kinds == {"F32"}, f"{folder.name} has weights of {kinds}")
    return array.array("f", content[begin:])


def as_alone(name, flags, expected, alone, **more):
    """Trains in a group; its weights must be those of training alone with the flags of `alone`, and sums made as expected."""
    reference = WORK / "-".join(["alone", *alone[-4:]])
    if not (reference / "metrics.json").exists():
        train(reference.name, *alone, epochs=1)
    quiet = [part for part in data() if part != "--quiet"]
    said = strandnet("train", *quiet, "--device", DEVICE, "--epochs", 1, *flags, "--out", name, **more)
    faults = [line for line in said.splitlines() if OF_THE_GPU.search(line)]
    require(not faults, f"{name}: {faults[:1]}")
    means = re.search(r"gradients are summed by (.*)", said)
    require(means and re.match("gloo$" if DRY else expected, means.group(1)), f"{means and means.group(0)}, expected {expected}")
    pairs = list(zip(weights(WORK / name), weights(reference), strict=True))
    worst = max(abs(a - b) / max(1.0, abs(b)) for a, b in pairs)
    require(worst <= 1e-4, f"weights {worst:.1e} apart, allowed 1e-4")
    return f"by {means.group(1)}: {len(pairs):,} weights {worst:.0e} apart"


@check("several processes: a group of one learns what one alone does", 60)
def one_by_nccl():
    return as_alone("one-nccl", ALONE, "NCCL$", ALONE, **group_of_one())


@check("several processes: the same by gloo", 60)
def one_by_gloo():
    return as_alone("one-gloo", ALONE, "gloo on the CPU", ALONE, **group_of_one(), **WITHOUT_NCCL)


@check("several processes: the same with --cuda-graph", 60)
def one_graphed():
    need_gpu()
    flags = [*ALONE, "--cuda-graph"]
    return as_alone("one-graphed", flags, "NCCL$", flags, **group_of_one())


@check("several processes: two on one GPU learn what one alone does", 60)
def two_on_one():
    more = {} if DRY else {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]}
    return as_alone("two-gloo", [*ALONE, "--processes", 2], "gloo on the CPU, as processes 0 and 1 are on the same GPU", HALVES, **more)


@check("several processes: two on two GPUs learn what one alone does", 60)
def two_on_two():
    need_gpu()
    if json.loads(strandnet("doctor", "--json"))["cuda_devices"] < 2:
        raise Skipped("there is one GPU")
    return as_alone("two-nccl", [*ALONE, "--processes", 2], "NCCL$", HALVES)


@check("several processes: one that is gone is an error in one sentence", 60)
def one_is_gone():
    group = {**group_of_one(), "WORLD_SIZE": "2"}
    error = error_of("train", *data(), "--device", DEVICE, *ALONE, "--timeout", 2, "--out", "gone", **group)
    require("process 1 of 2 did not come within 2 s" in error, error)
    return error.removeprefix("error: ")


@check("speed of residual in a group of one", 120)
def speed_in_group():
    batch = 128
    flags = ["--arch", "residual", "--batch-size", batch, "--epochs", "2" if DRY else "4"]
    ways = [("", {}), (", group of one", group_of_one())]
    if not DRY:
        ways.append((", group of one by gloo", {**group_of_one(), **WITHOUT_NCCL}))
    steps = []
    for name, more in ways:
        speed_of(f"residual, GPU, batches of {batch}{name}", DEVICE, *flags, **more)
        steps.append(1000 * batch / NUMBERS["speed"][f"residual, GPU, batches of {batch}{name}"]["fragments_per_second"])
    return "a step takes " + ", ".join(f"{step:.2f} ms {name.removeprefix(', ') or 'alone'}" for step, (name, _) in zip(steps, ways))


for architecture in ARCHITECTURES:
    add_training(architecture)


@check("--precision tf32 trains, and scores stay those of f32", 60)
def tf32():
    need_gpu()
    near_the_cpu("basset", "--precision", "tf32")
    return f"scores {agree('tf32', 1e-4, lambda out: ['predict', WORK / 'trained-basset', HERE / 'genome.fa', '--stride', 64, '--out', out])[0]:.0e} apart"


@check("eight starts of eight with --shift 3 --cuda-graph", 90)
def starts():
    need_gpu()
    for i in range(8):
        train(f"start-{i}", "--arch", "residual", "--shift", "3", "--cuda-graph", epochs=1)
    return "no warning"


@check("an exported model scores the same on both devices", 60)
def exported():
    if not importlib.util.find_spec("torch") or not importlib.util.find_spec("numpy"):
        raise Skipped("no PyTorch with NumPy in this Python")
    folder = trained("residual")
    strandnet("export", folder, "--out", "exported.pt", "--force")
    strandnet("predict", folder, HERE / "few.fa", "--out", "few.tsv", "--force")
    script = WORK / "exported.py"
    script.write_text(f"""
import torch
sequences = [line.strip() for line in open({str(HERE / 'few.fa')!r}) if not line.startswith('>')]
codes = torch.tensor([['ACGT'.index(base) for base in sequence] for sequence in sequences])
one_hot = torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float()
for device in ['cpu', {DEVICE!r}]:
    with torch.no_grad():
        torch.backends.cudnn.allow_tf32 = False
        scores = torch.jit.load('exported.pt', map_location=device)(one_hot.to(device))
    print(*scores.flatten().tolist())
""")
    rows = [[float(word) for word in line.split()] for line in run(sys.executable, script).splitlines() if line[:1].isdigit()]
    own = [float(line.split("\t")[-1]) for line in (WORK / "few.tsv").read_text().splitlines()[1:]]
    worst = max(abs(a - b) for row in rows for a, b in zip(row, own, strict=True))
    require(len(rows) == 2 and worst < 1e-4, f"{worst:.1e} apart")
    return f"{worst:.0e} apart"


def resumed(begun, ended):
    folder = WORK / f"resumed-{begun}-{ended}"
    shutil.rmtree(folder, ignore_errors=True)
    command = ["train", *data(), "--arch", "residual", "--device", begun, "--epochs", 8 if DRY else 40, "--checkpoint-minutes", 0, "--out", folder]
    child = subprocess.Popen([str(part) for part in [HERE / "strandnet", *command]], cwd=WORK, env=environment(),
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (folder / "last.safetensors").exists() or child.poll() is not None:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    require(child.returncode == 130, f"ended with {child.returncode}, expected 130: {said.strip()[-200:]}")
    said = strandnet("train", "--resume", folder, "--device", ended)
    require(begun == ended or "goes on on" in said, said.strip()[:300])
    strandnet("verify", folder)
    return f"AUROC {auroc(folder):.3f}"


@check("a run begun on the GPU goes on on the CPU", 90)
def resumed_on_cpu():
    return resumed(DEVICE, "cpu")


@check("a run begun on the CPU goes on on the GPU", 90)
def resumed_on_gpu():
    return resumed("cpu", DEVICE)


@check("memory that runs out is answered with a batch size that then runs", 150)
def memory():
    need_gpu()
    if not importlib.util.find_spec("torch"):
        raise Skipped("no PyTorch in this Python to fill the memory with")
    hog = ("import torch,time\nfree,_=torch.cuda.mem_get_info()\nx=torch.empty(free-(3<<30),dtype=torch.uint8,device='cuda')\n"
           "print('full',flush=True)\ntime.sleep(140)")
    child = subprocess.Popen([sys.executable, "-c", hog], stdout=subprocess.PIPE, text=True)
    try:
        require(child.stdout.readline().strip() == "full", "the memory could not be filled")
        sizes = []
        for flags in [[], ["--cuda-graph"]]:
            large = ["--arch", "basset", *flags]
            error = error_of("train", *data(), "--device", DEVICE, *large, "--epochs", 1, "--batch-size", "6000", "--out", "large", seconds=60)
            advice = re.search(r"--batch-size (\d+)", error)
            require(advice, error)
            sizes.append(int(advice.group(1)))
            train("fits", *large, "--batch-size", sizes[-1], epochs=4, seconds=60)  # steps enough to record one
        return f"--batch-size {sizes[0]}, with graphs {sizes[1]}, instead of 6000 with 3 GiB"
    finally:
        child.kill()
        child.wait()


@check("a GPU of which others leave 1 GiB trains in small batches", 60)
def little_memory():
    need_gpu()
    if not importlib.util.find_spec("torch"):
        raise Skipped("no PyTorch in this Python to fill the memory with")
    hog = ("import torch,time\nfree,_=torch.cuda.mem_get_info()\nx=torch.empty(free-(1<<30),dtype=torch.uint8,device='cuda')\n"
           "print('full',flush=True)\ntime.sleep(60)")
    child = subprocess.Popen([sys.executable, "-c", hog], stdout=subprocess.PIPE, text=True)
    try:
        require(child.stdout.readline().strip() == "full", "the memory could not be filled")
        return f"AUROC {auroc(train('little', '--arch', 'shallow', '--batch-size', '64')):.3f} with 1 GiB free"
    finally:
        child.kill()
        child.wait()


@check("compute-sanitizer finds no error", 150)
def sanitizer():
    need_gpu()
    tool = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if not tool:
        raise Skipped("compute-sanitizer is not installed")
    said = run(tool, "--report-api-errors", "no", HERE / "strandnet", "train", *data(), "--device", DEVICE, "--arch", "seed", "--strands", "single", "--epochs", 1,
               "--batch-size", 1024, "--shift", 3, "--out", "sanitized", seconds=150, PYTORCH_NO_CUDA_MEMORY_CACHING="1")
    require("ERROR SUMMARY: 0 errors" in said, said.strip().splitlines()[-1])
    return "0 errors"


def table():
    """The table of docs/performance.md."""
    lines = ["| | fragments/s in training | in all, s | AUROC |", "| --- | --- | --- | --- |"]
    for name, row in NUMBERS.get("speed", {}).items():
        lines.append(f"| {name} | {row['fragments_per_second']:,.0f} | {row['seconds']:.1f} | {row['auroc']:.4f} |")
    machine = ", ".join(f"{what} {NUMBERS[key]}" for what, key in [("on one", "gpu"), ("driver", "driver"), ("libtorch", "libtorch"), ("strandnet", "strandnet")] if key in NUMBERS)
    epochs = "3 and 2" if DRY else "25 and 4"
    return "\n".join([*lines, "", f"Simulated sequences of 128 bp, {epochs} epochs, median of epochs after the first, once; {options.threads} CPU threads; {machine or 'a dry run on the CPU'}. Written by `scripts/check-gpu`.", ""])


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    words = [word for word in options.only.lower().split(",") if word]
    outcomes = {}

    def say(line):
        """Prints a line, and writes all that is known, so that nothing is lost where this is killed."""
        print(line, flush=True)
        REPORT.append(line)
        (options.out / "report.txt").write_text("\n".join(REPORT) + "\n")
        (options.out / "numbers.json").write_text(json.dumps(NUMBERS, indent=1) + "\n")
        (options.out / "table.md").write_text(table())

    for what, seconds, function in CHECKS:
        if words and not any(word in what.lower() for word in words):
            continue
        began = time.monotonic()
        try:
            if left() < min(seconds, 60):
                raise Skipped("no time left")
            outcome, note = "ok", function() or ""
        except NeedsGpu:
            outcome, note = "needs a GPU", ""
        except Skipped as why:
            outcome, note = "skipped", str(why)
        except subprocess.TimeoutExpired as error:
            outcome, note = ("skipped", "no time left") if left() < 2 else ("FAILED", f"no end after {error.timeout:.0f} s")
        except Exception as error:  # a check that fails must not keep the others from being made
            outcome, note = "FAILED", f"{error}"
            if not isinstance(error, AssertionError):
                note += f" ({traceback.extract_tb(error.__traceback__)[-1].lineno})"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        say(f"{outcome:<12} {what:<70} {time.monotonic() - began:5.1f} s  {note}".rstrip())
    say(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) + f", in {(time.monotonic() - BEGAN) / 60:.1f} min")
    shutil.rmtree(WORK, ignore_errors=True)
    sys.exit(1 if outcomes.get("FAILED") else 0)


main()
