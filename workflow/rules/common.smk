import gzip
from pathlib import Path

RESULTS = Path(config["results"])
CV = RESULTS / "cv"
FOLDS = range(config["folds"] if isinstance(config["folds"], int) else len(config["folds"]))
# As strandnet numbers them: from the seed of the experiment on, 1 where it names none.
SEEDS = range(config["first_seed"], config["first_seed"] + config["seeds"])
THREADS = config["threads"]


def folds():
    """Flags that say what the folds are."""
    if isinstance(config["folds"], int):
        return f"--folds {config['folds']}"
    return " ".join(f"--fold-file {path}" for path in config["folds"])


def chromosomes():
    """Names of the chromosomes to be scored, in the order of the genome."""
    if isinstance(config["chromosomes"], list):
        return config["chromosomes"]
    genome = Path(config["genome"])
    index = Path(f"{genome}.fai")
    if index.exists():
        return [line.split("\t")[0] for line in index.read_text().splitlines()]
    with (gzip.open if genome.suffix == ".gz" else open)(genome, "rt") as file:
        return [line[1:].split()[0] for line in file if line.startswith(">")]


def device():
    return "cuda" if config["gpus"] else "cpu"


def gres():
    """What a job asks SLURM for; nothing on a machine of its own."""
    return {"gres": f"gpu:{config['gpus']}"} if config["gpus"] else {}
