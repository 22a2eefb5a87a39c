"""The checks of scripts/cross-check, which runs this file: python cross_checks.py BINARY FOLDER WORDS.

Each check computes a number of the program again with a program of others, from what the run folder holds. They share no code
with the program or with each other beyond reading files, and every rule that they follow is one that the documentation states.
"""
import csv
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np

BINARY, FOLDER, WORDS = sys.argv[1], Path(sys.argv[2]), [word for word in sys.argv[3].lower().split(",") if word]
BLOCK = 20_000  # bp, so that the small genomes have blocks enough
CHECKS = []


def check(what, partner, allowed, relative=False):
    """Registers a check: a function that returns the program's numbers and those of the partner."""
    def register(function):
        CHECKS.append((what, partner, allowed, relative, function))
        return function
    return register


# Data and runs


def words_of(random, count, length=100):
    """Sequences of varied GC content, and which of two words was put into each, on either strand."""
    sequences, held = [], random.random((count, 2)) < 0.5
    for i in range(count):
        gc = random.uniform(0.35, 0.6)
        bases = random.choice(list("ACGT"), length, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])
        for word, here in zip(("GATTACAGCT", "CAGGTATGTC"), held[i]):
            if here:
                start = random.integers(0, length - len(word))
                if random.random() < 0.5:
                    word = word.translate(str.maketrans("ACGT", "TGCA"))[::-1]
                bases[start:start + len(word)] = list(word)
        sequences.append("".join(bases))
    return sequences, held


def table(name, random, count, target):
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        sequences, held = words_of(random, count)
        splits = ["train", "train", "train", "valid", "test"]
        rows = [f"{s},{target(h)},{splits[i % 5]}\n" for i, (s, h) in enumerate(zip(sequences, held))]
        path.write_text("sequence,label,split\n" + "".join(rows))
    return path


def strandnet(*command):
    done = subprocess.run([BINARY, *map(str, command)], cwd=FOLDER, text=True, capture_output=True,
                          env={"GOMP_SPINCOUNT": "1000", **os.environ})
    if done.returncode:
        sys.exit(f"cross-check: strandnet {' '.join(map(str, command))} fails: {done.stderr[-2000:]}")
    return done.stdout


def train(name, *flags):
    if not (FOLDER / name / "checksums.sha256").exists():
        print(f"cross-check: training {name}", file=sys.stderr)
        strandnet("train", *flags, "--out", name, "--force", "--quiet")


def make():
    random = np.random.default_rng(20)
    if not (FOLDER / "genomes" / "simulation.json").exists():
        strandnet("simulate", "genomes")
    small = ["--arch", "shallow", "--width", "20", "--epochs", "12"]
    genomes = ["--genome", "human=genomes/human.fa", "--genome", "mouse=genomes/mouse.fa", "--fragments", "6000",
               "--block-length", BLOCK]
    train("genomic", *genomes, *small)
    for seed in (2, 3):
        train(f"genomic-{seed}", "--examples", "genomic/examples.tsv", "--block-length", BLOCK, *small, "--seed", seed)
    two = table("two", random, 4000, lambda held: int(held[0] if random.random() < 0.85 else random.random() < 0.3))
    train("two", "--train", two, *small, "--baselines")
    train("two-raw", "--train", two, *small, "--calibration", "none")
    train("two-other", "--train", two, *small, "--seed", "2")
    three = table("three", random, 4000, lambda held: int(held.sum()) if random.random() < 0.8 else random.integers(3))
    train("three", "--train", three, *small, "--class-weights", "auto")
    values = table("values", random, 3000, lambda held: round(float(held @ [1.0, -0.5] + random.normal(0, 0.4)), 4))
    train("values", "--train", values, "--task", "regression", *small)
    if not (FOLDER / "signal" / "simulation.json").exists():
        strandnet("simulate", "signal", "--signal")
    train("profiles", "--task", "profile", "--reference", "signal/genome.fa", "--regions", "signal/peaks.narrowPeak",
          "--signal", "reads=signal/reads.bw", "--length", "512", "--output-length", "200", "--arch", "bpnet", "--filters", "8",
          "--depth", "3", "--epochs", "3")


# Reading


def rows(path, delimiter=","):
    with open(FOLDER / path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def metrics(run, split="test"):
    return json.loads((FOLDER / run / "metrics.json").read_text())[split]


def found(run, *names):
    return [metrics(run)[name]["value"] for name in names]


def scored(run, split="test", column="score"):
    """Labels, 1 for the positive class, and scores."""
    model = json.loads((FOLDER / run / "model.json").read_text())
    here = [row for row in rows(f"{run}/predictions.csv") if row["split"] == split]
    return np.array([row["label"] == model["positive"] for row in here]), np.array([float(row[column]) for row in here])


def scored_classes(run, split="test"):
    here = [row for row in rows(f"{run}/predictions.csv") if row["split"] == split]
    scores = np.array([[float(row[f"score_{k}"]) for k in range(3)] for row in here])
    return np.array([int(row["label"]) for row in here]), scores


def scored_values(run):
    here = [row for row in rows(f"{run}/predictions.csv") if row["split"] == "test"]
    return tuple(np.array([float(row[name]) for row in here]) for name in ("label", "score"))


def blocks_of(run):
    here = [row for row in rows(f"{run}/predictions.csv") if row["split"] == "test"]
    names = [(row["chrom"], (int(row["start"]) + int(row["end"])) // 2 // BLOCK) for row in here]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names])


def logit(p):
    from scipy.special import logit

    return logit(np.asarray(p, float))


def placements(labels, scores):
    """Of each positive the share of negatives below it, of each negative that of positives above it."""
    won = (scores[labels][:, None] > scores[~labels]) + 0.5 * (scores[labels][:, None] == scores[~labels])
    found = np.empty(len(labels))
    found[labels], found[~labels] = won.mean(axis=1), won.mean(axis=0)
    return found


def one_hot(sequences):
    import torch

    codes = np.frombuffer("".join(sequences).encode(), np.uint8).reshape(len(sequences), -1)
    return torch.from_numpy((codes[:, None, :] == np.frombuffer(b"ACGT", np.uint8)[:, None]).astype(np.float32))


def fasta(path):
    records = (FOLDER / path).read_text().split(">")[1:]
    return {record.split(None, 1)[0]: "".join(record.split("\n")[1:]).upper() for record in records}


def examples(run, split="test"):
    """Test sequences in the order of predictions.csv, on the strand that was scored."""
    here = [row for row in rows(f"{run}/examples.tsv", "\t") if row["split"] == split]
    if here[0].get("sequence"):
        return [row["sequence"].upper() for row in here]
    genomes = {name: fasta(f"genomes/{name}.fa") for name in ("human", "mouse")}
    found = [genomes[row["label"]][row["chrom"]][int(row["start"]):int(row["end"])] for row in here]
    turned = str.maketrans("ACGT", "TGCA")
    return [text.translate(turned)[::-1] if row["strand"] == "-" else text for text, row in zip(found, here)]


def exported(run):
    import torch

    return torch.jit.load(str(FOLDER / run / "model.pt")).eval()


def log_odds(run):
    """The exported model as a module that gives log-odds, `[N, 1]`."""
    import torch

    class LogOdds(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = exported(run)

        def forward(self, x):
            return torch.logit(self.model(x).double())[:, None]

    return LogOdds()


# Metrics


@check("AUROC and average precision", "scikit-learn", 1e-7)
def areas():
    from sklearn.metrics import average_precision_score, roc_auc_score

    found_, known = [], []
    for run in ("two", "genomic"):
        labels, scores = scored(run)
        found_ += found(run, "auroc", "average_precision")
        known += [roc_auc_score(labels, scores), average_precision_score(labels, scores)]
    return found_, known


@check("accuracy, MCC, F1 at the threshold and at one half", "scikit-learn", 1e-7)
def at_thresholds():
    from sklearn import metrics as of

    labels, scores = scored("two")
    names = {"accuracy": of.accuracy_score, "balanced_accuracy": of.balanced_accuracy_score, "mcc": of.matthews_corrcoef,
             "f1": of.f1_score}
    ours = found("two", *names, *(f"{name}_at_half" for name in names))
    return ours, [score(labels, scores >= at) for at in (metrics("two")["threshold"], 0.5) for score in names.values()]


@check("log loss and Brier score", "scikit-learn", 1e-6)
def proper_scores():
    from sklearn.metrics import brier_score_loss, log_loss

    labels, scores = scored("two")
    return found("two", "log_loss", "brier_score"), [log_loss(labels, scores), brier_score_loss(labels, scores)]


@check("macro AUROC, macro average precision, log loss of three classes", "scikit-learn", 1e-6)
def classes():
    from sklearn import metrics as of

    labels, scores = scored_classes("three")
    scores = scores / scores.sum(axis=1, keepdims=True)  # to more than single precision, as scikit-learn wants
    known = [of.roc_auc_score(labels, scores, multi_class="ovr"), of.average_precision_score(np.eye(3)[labels], scores),
             of.accuracy_score(labels, scores.argmax(axis=1)), of.log_loss(labels, scores)]
    return found("three", "macro_auroc", "macro_average_precision", "accuracy", "log_loss"), known


@check("Pearson, Spearman, R2, RMSE of values", "SciPy, scikit-learn", 1e-5)
def values():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import r2_score, root_mean_squared_error

    labels, scores = scored_values("values")
    known = [pearsonr(labels, scores)[0], spearmanr(labels, scores)[0], r2_score(labels, scores), root_mean_squared_error(labels, scores)]
    return found("values", "pearson", "spearman", "r2", "rmse"), known


@check("calibration error, usual and debiased", "uncertainty-calibration", 1e-6)
def calibration_errors():
    import calibration

    labels, scores = scored("two")
    equal_width = np.minimum((scores * 15).astype(int), 14)
    usual = sum(abs((labels - scores)[equal_width == k].sum()) for k in range(15)) / len(scores)
    debiased = calibration.lower_bound_scaling_ce(scores, labels.astype(int), p=2, debias=True, num_bins=15)
    return found("two", "expected_calibration_error", "debiased_calibration_error"), [usual, debiased]


# Intervals and comparisons


@check("interval of accuracy (Wilson)", "statsmodels", 1e-7)
def wilson():
    from statsmodels.stats.proportion import proportion_confint

    metric = metrics("two")["accuracy"]
    n = metrics("two")["n"]
    assert metric["method"] == "wilson"
    return [metric["low"], metric["high"]], proportion_confint(round(metric["value"] * n), n, method="wilson")


@check("interval of AUROC (DeLong, on the logit scale)", "SciPy", 1e-7)
def logit_delong():
    from scipy.special import expit
    from scipy.stats import norm

    labels, scores = scored("two")
    metric, of = metrics("two")["auroc"], placements(labels, scores)
    assert metric["method"] == "logit-delong"
    area = of[labels].mean()
    error = np.sqrt(of[labels].var(ddof=1) / labels.sum() + of[~labels].var(ddof=1) / (~labels).sum())
    half = norm.ppf(0.975) * error / (area * (1 - area))
    return [metric["low"], metric["high"]], expit(logit(area) + half * np.array([-1, 1]))


def of_width(metric, ends):
    """The ends of both intervals in units of the width of the known one."""
    width = ends[1] - ends[0]
    return np.array([metric["low"], metric["high"]]) / width, np.array(ends) / width


@check("interval of average precision (BCa bootstrap), in widths", "SciPy", 0.15)
def bca():
    from scipy.stats import bootstrap
    from sklearn.metrics import average_precision_score

    labels, scores = scored("two")
    metric = metrics("two")["average_precision"]
    assert metric["method"] == "bca-bootstrap"
    drawn = bootstrap((labels, scores), average_precision_score, paired=True, vectorized=False, n_resamples=2000, rng=1)
    return of_width(metric, drawn.confidence_interval)


@check("interval of AUROC in blocks of a chromosome, in widths", "statsmodels", 0.25)
def in_blocks():
    import statsmodels.api as sm

    labels, scores = scored("genomic")
    metric, blocks = metrics("genomic")["auroc"], blocks_of("genomic")
    assert metric["method"] == "bca-block-bootstrap" and metrics("genomic")["blocks"]["count"] == blocks.max() + 1
    fitted = sm.OLS(influence(labels, scores), np.ones(len(labels))).fit(cov_type="cluster", cov_kwds={"groups": blocks}, use_t=True)
    return of_width(metric, fitted.conf_int()[0])


def influence(labels, scores):
    """Values of the examples whose mean is the AUROC and whose deviations are its influence function."""
    of, n, m = placements(labels, scores), len(labels), labels.sum()
    area = of[labels].mean()
    return area + np.where(labels, n / m, n / (n - m)) * (of - area)


def comparisons(*runs):
    report = json.loads(strandnet("report", *runs, "--json", "--out", FOLDER / "comparison.html", "--force"))
    return report["differences"]


@check("p-value of a difference of AUROCs (DeLong)", "MLstatkit", 1e-6, relative=True)
def delong():
    from MLstatkit import Delong_test

    (labels, first), (_, second) = scored("two"), scored("two-other")
    _, p, *_ = Delong_test(labels.astype(int), first, second)
    return [comparisons("two", "two-other")[0]["p_value"]], [p]


@check("p-values of differences in blocks (clustered DeLong)", "statsmodels", 1e-3, relative=True)
def clustered_delong():
    import statsmodels.api as sm

    runs = ["genomic", "genomic-2", "genomic-3"]
    known = []
    for other in runs[1:]:
        of = [influence(*scored(run)) for run in (runs[0], other)]
        fitted = sm.OLS(of[1] - of[0], np.ones(len(of[0]))).fit(cov_type="cluster", cov_kwds={"groups": blocks_of("genomic")})
        known.append(fitted.pvalues[0])
    return [one["p_value"] for one in comparisons(*runs)], known


@check("p-values of several differences (Holm)", "statsmodels", 1e-9)
def holm():
    from statsmodels.stats.multitest import multipletests

    found_ = comparisons("genomic", "genomic-2", "genomic-3")
    return [one["p_value_holm"] for one in found_], multipletests([one["p_value"] for one in found_], method="holm")[1]


# Probabilities and baselines


@check("probabilities of two classes (Platt scaling)", "statsmodels", 1e-5)
def platt():
    import statsmodels.api as sm

    labels, raw = scored("two-raw", "valid")
    n, share = len(labels), np.mean([row["label"] == "1" for row in rows("two.csv") if row["split"] == "train"])
    weights = np.where(labels, share * n / labels.sum(), (1 - share) * n / (~labels).sum())
    plus, minus = share * n, (1 - share) * n
    targets = np.where(labels, (plus + 1) / (plus + 2), 1 / (minus + 2))
    family = sm.families.Binomial()
    fitted = sm.GLM(targets, sm.add_constant(logit(raw)), family=family, var_weights=weights).fit(tol=1e-12)
    return scored("two")[1], fitted.predict(sm.add_constant(logit(scored("two-raw")[1])))


def raw_logits(run, split):
    """Those of the shallow network on both strands, from its weights."""
    import torch
    from pytorch_networks import read_weights

    weights = read_weights(FOLDER / run / "best.safetensors")
    x, of = one_hot(examples(run, split)), torch.nn.functional
    with torch.no_grad():
        both = []
        for strand in (x, x.flip(1, 2)):
            hidden = of.max_pool1d(of.conv1d(strand, weights["0.weight"], weights["0.bias"]).relu(), 16).flatten(1)
            hidden = of.linear(hidden, weights["5.weight"], weights["5.bias"]).relu()
            both.append(of.linear(hidden, weights["8.weight"], weights["8.bias"]))
    return ((both[0] + both[1]) / 2).double().numpy()


@check("probabilities of three classes (vector scaling)", "SciPy, PyTorch", 1e-4)
def vector():
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    labels, raw = scored_classes("three", "valid")[0], raw_logits("three", "valid")
    n, counts = len(labels), np.bincount(labels)
    trained = np.bincount([int(row["label"]) for row in rows("three.csv") if row["split"] == "train"])
    prior = trained / trained.sum()
    weights = (prior * n / counts)[labels]
    targets = np.array([np.where(np.arange(3) == c, (prior[c] * n + 1) / (prior[c] * n + 2),
                                 prior / (1 - prior[c]) / (prior[c] * n + 2)) for c in range(3)])[labels]

    def loss(p):
        return -(weights[:, None] * targets * log_softmax(raw * p[:3] + p[3:], axis=1)).sum() / n

    fitted = minimize(loss, np.r_[np.ones(3), np.zeros(3)], method="BFGS", options={"gtol": 1e-8}).x
    return scored_classes("three")[1], softmax(raw_logits("three", "test") * fitted[:3] + fitted[3:], axis=1)


@check("scores moved to a prevalence of 1 % (Saerens)", "SciPy", 1e-6)
def prior_shift():
    from scipy.special import expit

    records = FOLDER / "records.fa"
    records.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(examples("two")[:200])))
    before, after = ([float(line.split("\t")[4]) for line in strandnet("predict", "two", records, *flags).splitlines()[1:]]
                     for flags in ([], ["--prior", "0.01"]))
    of_run = json.loads((FOLDER / "two" / "model.json").read_text())["prior"][0]
    return after, expit(logit(before) + logit(0.01) - logit(of_run))


@check("scores of logistic regression on 6-mers", "scikit-learn", 1e-4)
def baseline():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    def other(word):
        return word.translate(str.maketrans("ACGT", "TGCA"))[::-1]

    def canonical(sequence):
        kmers = (sequence[i:i + 6] for i in range(len(sequence) - 5))
        return [min(word, other(word)) for word in kmers]

    table_ = {split: [row for row in rows("two.csv") if row["split"] == split] for split in ("train", "test")}
    texts, labels = ([[row[name] for row in table_[split]] for split in ("train", "test")] for name in ("sequence", "label"))
    counter = CountVectorizer(analyzer=canonical).fit(texts[0] + texts[1])
    x, x_test = (counter.transform(part).toarray().astype(float) for part in texts)
    mean = x.mean(axis=0)
    scale = np.sqrt(((x - mean) ** 2).sum(axis=1).mean())
    what = json.loads((FOLDER / "two" / "metrics.json").read_text())["baselines"]["6-mers"]["what"]
    penalty = float(what.rsplit("penalty", 1)[1])
    model = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000).fit((x - mean) / scale, labels[0])
    return scored("two", column="baseline_6-mers")[1], model.predict_proba((x_test - mean) / scale)[:, 1]


# Networks and attributions


@check("scores of the exported models", "PyTorch", 1e-6)
def exports():
    import torch

    with torch.no_grad():
        known = [exported(run)(one_hot(examples(run))).numpy() for run in ("two", "genomic")]
    return np.concatenate([scored(run)[1] for run in ("two", "genomic")]), np.concatenate(known)


def attributions():
    """Sequences, explained output and attributions of thirty test sequences."""
    if not (FOLDER / "attributions" / "importance.npz").exists():
        records = FOLDER / "thirty.fa"
        records.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(examples("two")[:30])))
        strandnet("explain", "sequences", "two", records, "--method", "ism,saliency,ig", "--steps", 256, "--out", "attributions",
                  "--pictures", 0)
    return np.load(FOLDER / "attributions" / "importance.npz"), one_hot(examples("two")[:30])


@check("integrated gradients", "Captum", 1e-3)
def integrated_gradients():
    from captum.attr import IntegratedGradients

    ours, x = attributions()
    known = IntegratedGradients(log_odds("two")).attribute(x, target=0, n_steps=256, method="riemann_middle")
    return ours["ig"], known.numpy()


@check("gradient times input", "Captum", 1e-5)
def saliency():
    from captum.attr import InputXGradient

    ours, x = attributions()
    return ours["saliency"], InputXGradient(log_odds("two")).attribute(x.requires_grad_(), target=0).detach().numpy()


@check("in-silico mutagenesis", "tangermeme", 1e-4)
def mutagenesis():
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    ours, x = attributions()
    before, after = saturation_mutagenesis(log_odds("two"), x, raw_outputs=True, device="cpu", fast=False)
    return ours["ism"], (after[..., 0] - before[..., None]).numpy().reshape(ours["ism"].shape)


@check("log-odds of single-base variants", "tangermeme", 1e-4)
def variants():
    import torch
    from tangermeme.variant_effect import substitution_effect

    genome, length = fasta("genomes/human.fa"), 128
    chromosome, sequence = next(iter(genome.items()))
    random, lines, windows, changes = np.random.default_rng(4), [], [], []
    for i, position in enumerate(sorted(random.choice(np.arange(10_000, 60_000), 100, replace=False))):
        reference = sequence[position]
        alternative = random.choice([base for base in "ACGT" if base != reference])
        start = position - length // 2
        lines.append(f"{chromosome}\t{position + 1}\tv{i}\t{reference}\t{alternative}\t.\t.\t.\n")
        windows.append(sequence[start:start + length])
        changes.append([i, position - start, "ACGT".index(alternative)])
    vcf = FOLDER / "variants.vcf"
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
    strandnet("explain", "variants", "genomic", "--vcf", vcf, "--reference", "genomes/human.fa", "--out", "effects.tsv", "--force")
    model = log_odds("genomic")
    before, after = substitution_effect(model, one_hot(windows), torch.tensor(changes), device="cpu")
    return [float(row["log_odds"]) for row in rows("effects.tsv", "\t")], (after - before)[:, 0].numpy()


# Motifs


def motifs(run):
    """The folder of the motifs of a run, compared with its own words and 60 random ones."""
    out = f"motifs-{run}"
    if not (FOLDER / out / "motifs.json").exists():
        random, lines = np.random.default_rng(5), ["MEME version 4\n\nALPHABET= ACGT\n\n"]
        planted = [word for of in json.loads((FOLDER / "genomes" / "simulation.json").read_text())["words"].values() for word in of]
        for i, word in enumerate(planted + [None] * 60):
            if word:
                columns = np.eye(4)[["ACGT".index(base) for base in word]] * 0.88 + 0.03
            else:
                columns = random.dirichlet([0.4] * 4, random.integers(8, 15))
            lines.append(f"MOTIF {word or f'random_{i}'}\nletter-probability matrix: alength= 4 w= {len(columns)} nsites= 100\n")
            lines += [" ".join(f"{p:.6f}" for p in column / column.sum()) + "\n" for column in columns] + ["\n"]
        (FOLDER / "known.meme").write_text("".join(lines))
        strandnet("explain", "motifs", run, "--database", "known.meme", "--out", out)
    return FOLDER / out


def meme(path):
    """Names and columns `[width, 4]` of the motifs of a MEME file."""
    found_ = {}
    for part in path.read_text().split("MOTIF ")[1:]:
        name, rest = part.split(None, 1)
        lines = rest.split("letter-probability")[1].splitlines()[1:]
        columns = [list(map(float, line.split())) for line in lines if len(line.split()) == 4 and line.split()[0][0].isdigit()]
        found_[name] = np.array(columns)
    return found_


def sites():
    """Of each filter: its largest activation, and in which of the test sequences it has a site, from the weights alone."""
    import torch
    from pytorch_networks import read_weights

    weights = read_weights(FOLDER / "genomic" / "best.safetensors")
    with torch.no_grad():
        given, reverse = (torch.nn.functional.conv1d(x, weights["0.weight"], weights["0.bias"])
                          for x in (one_hot(examples("genomic")), one_hot(examples("genomic")).flip(1, 2)))
    largest = torch.maximum(given.amax((0, 2)), reverse.amax((0, 2)))
    number = sum((strand >= largest[:, None] / 2).sum(2) for strand in (given, reverse))
    return largest.numpy(), number.numpy()


@check("largest activation and number of sites of each filter", "PyTorch", 1e-4, relative=True)
def activations():
    largest, number = sites()
    table_ = rows(motifs("genomic") / "motifs.tsv", "\t")
    places = [int(row["filter"][1:]) - 1 for row in table_]
    ours = [[float(row[name]) for row in table_] for name in ("largest_activation", "sites")]
    return ours, [largest[places], number.sum(axis=0)[places]]


@check("logarithms of odds ratios and p-values of enrichment (Mantel-Haenszel)", "statsmodels", 5e-3)
def enrichment():
    from statsmodels.stats.contingency_tables import StratifiedTable

    here = [row["label"] == "human" for row in rows("genomic/examples.tsv", "\t") if row["split"] == "test"]
    human, number = np.array(here), sites()[1]
    gc = np.array([(text.count("G") + text.count("C")) / len(text) for text in examples("genomic")])
    count = len(gc) // 20
    borders = np.unique(np.sort(gc)[np.arange(1, count) * len(gc) // count])
    strata = np.searchsorted(borders, gc, side="right")
    ours, known = [], []
    for row in rows(motifs("genomic") / "enrichment.tsv", "\t"):
        has = number[:, int(row["filter"][1:]) - 1] > 0
        tables = [[[(has & group & (strata == k)).sum(), (~has & group & (strata == k)).sum()] for group in (human, ~human)]
                  for k in np.unique(strata)]
        tables = [one for one in tables if np.sum(one) > 1]
        of = StratifiedTable(np.array(tables, float).transpose(1, 2, 0))
        ours += [log10(row["odds_ratio"]), log10(row["p_value"])]
        known += [np.log10(of.oddsratio_pooled), log10_of_chi_square(of.test_null_odds(correction=True).statistic)]
    return ours, known


def log10(text):
    """Of a number that may be too small for floating point."""
    digits, _, exponent = text.partition("e")
    return np.log10(float(digits)) + int(exponent or 0)


def log10_of_chi_square(statistic):
    from scipy.stats import norm

    return (norm.logsf(np.sqrt(statistic)) + np.log(2)) / np.log(10)


@check("q-values of enrichment (Benjamini-Hochberg)", "statsmodels", 0.02, relative=True)
def benjamini_hochberg():
    from statsmodels.stats.multitest import multipletests

    table_ = rows(motifs("genomic") / "enrichment.tsv", "\t")
    p, q = (np.array([float(row[name]) for row in table_]) for name in ("p_value", "q_value"))
    return np.maximum(q, 1e-300), np.maximum(multipletests(p, method="fdr_bh")[1], 1e-300)


@check("logarithms of p-values below 0.001 of similar known motifs", "memelite's Tomtom", 0.35, relative=True)
def known_motifs():
    """Theirs is the complete score of Tomtom, ours the earlier one with incomplete columns, so p-values are near but not equal."""
    from memelite import tomtom

    folder = motifs("genomic")
    targets, ours, theirs = meme(FOLDER / "known.meme"), [], []
    queries = meme(folder / "motifs.meme")
    for name in ("matches.tsv", "discovered_matches.tsv"):
        table_ = rows(folder / name, "\t")
        for query in dict.fromkeys(row[next(iter(row))] for row in table_):
            columns = queries[query]
            informative = np.flatnonzero((columns * np.log2(np.maximum(columns, 1e-9) / 0.25)).sum(axis=1) >= 0.25)
            columns = columns[informative[0]:informative[-1] + 1]
            p = tomtom([columns.T], [target.T for target in targets.values()])[0][0]
            best = min((row for row in table_ if row[next(iter(row))] == query), key=lambda row: log10(row["tomtom_p_value"]))
            if log10(best["tomtom_p_value"]) < -3:
                ours.append(log10(best["tomtom_p_value"]))
                theirs.append(np.log10(p[list(targets).index(best["match"])]))
    return ours, theirs


@check("median Jensen-Shannon distance, mean log likelihood of profiles of peaks", "SciPy", 1e-5)
def profiles():
    from scipy.spatial.distance import jensenshannon
    from scipy.special import softmax
    from scipy.stats import multinomial

    found = metrics("profiles")["profile"]["peaks"]
    arrays = np.load(FOLDER / "profiles" / "profiles.npz")
    pairs = [(observed.ravel().astype(float), softmax(predicted.ravel().astype(float)))
             for name, observed, predicted in zip(arrays["names"], arrays["observed"], arrays["predicted"])
             if str(name).startswith("peak") and observed.sum() > 0]
    theirs = [np.median([jensenshannon(observed, predicted) for observed, predicted in pairs]),
              np.mean([-multinomial.logpmf(observed, observed.sum(), predicted / predicted.sum()) for observed, predicted in pairs])]
    return [found["profile_jsd"]["value"], found["profile_mnll"]["value"]], theirs


def tracks():
    """The same prediction as bedGraph, and the path of it as bigWig."""
    common = ["predict", "profiles", "--reference", "signal/genome.fa", "--chroms", "chr6", "--stride", 50]
    for name in ("bedgraph", "bigwig"):
        if not (FOLDER / f"chr6.{name}").exists():
            strandnet(*common, "--format", name, "--out", f"chr6.{name}")
    lines = [line.split("\t") for line in (FOLDER / "chr6.bedgraph").read_text().splitlines()]
    values = np.full(int(lines[-1][2]), np.nan)
    for _, start, end, value in lines:
        values[int(start):int(end)] = float(value)
    first = int(lines[0][1])
    return first, values[first:].astype(np.float32), str(FOLDER / "chr6.bigwig")


@check("bigWig of predict, and its bedGraph, base by base", "pyBigWig", 0)
def track_by_pybigwig():
    import pyBigWig

    first, ours, path = tracks()
    with pyBigWig.open(path) as file:
        return ours, file.values("chr6", first, first + len(ours), numpy=True)


@check("bigWig of predict, and its bedGraph, base by base", "bigtools", 0)
def track_by_bigtools():
    import pybigtools

    first, ours, path = tracks()
    with pybigtools.open(path) as file:
        return ours, file.values("chr6", first, first + len(ours))


@check("planted words among discovered motifs, correlation", "tfmodisco-lite", 0.1)
def discovered():
    """Each planted word that either finds must be found by the other, with the same columns."""
    from modiscolite.tfmodisco import TFMoDISco

    records = FOLDER / "thousand.fa"
    chosen = examples("genomic")[::10]
    records.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(chosen)))
    strandnet("explain", "sequences", "genomic", records, "--method", "ism", "--attributions-out", "modisco", "--pictures", 0,
              "--out", "thousand", "--force")
    bases, effects = (np.load(FOLDER / f"modisco.{kind}.npz")["arr_0"].transpose(0, 2, 1).astype(np.float32) for kind in ("ohe", "hyp"))
    patterns = [pattern for side in TFMoDISco(one_hot=bases, hypothetical_contribs=effects) for pattern in side or []]
    theirs = [pattern.sequence for pattern in patterns]
    ours = [columns for name, columns in meme(motifs("genomic") / "motifs.meme").items() if not name.startswith("f")]
    words = [word for of in json.loads((FOLDER / "genomes" / "simulation.json").read_text())["words"].values() for word in of]
    return tuple([max(likeness(word, motif) for motif in side) for word in words] for side in (ours, theirs))


def likeness(word, motif):
    """Largest correlation of a word with the columns of a motif, on either strand."""
    columns, best = np.eye(4)[["ACGT".index(base) for base in word]], 0.0
    padded = np.pad(motif, ((len(word), len(word)), (0, 0)), constant_values=0.25)
    for strand in (columns, columns[::-1, ::-1]):
        for start in range(len(padded) - len(word) + 1):
            part = padded[start:start + len(word)].ravel()
            if part.std() > 0:
                best = max(best, np.corrcoef(strand.ravel(), part)[0, 1])
    return best


def main():
    make()
    print(f"{'':2} {'numbers':72} {'partner':24}{'count':>7}{'apart':>10}{'allowed':>9}")
    apart, missing = [], []
    chosen = [one for one in CHECKS if not WORDS or any(word in f"{one[0]} {one[1]}".lower() for word in WORDS)]
    for i, (what, partner, allowed, relative, function) in enumerate(chosen, 1):
        try:
            ours, known = (np.asarray(side, float) for side in function())
            assert ours.shape == known.shape and ours.size, f"{ours.shape} numbers and {known.shape}"
            difference = np.abs(ours - known) / (np.abs(known) if relative else 1)
            worst = float(difference.max())
            verdict = "" if worst <= allowed else "  APART"
            print(f"{i:2} {what:72} {partner:24}{ours.size:7,}{worst:10.1e}{allowed:9.2g}{verdict}")
        except ImportError as error:
            missing.append(error.name)
            verdict = ""
            print(f"{i:2} {what:72} {partner:24}  left out: {error.name} is missing")
        except Exception:
            verdict = "APART"
            print(f"{i:2} {what:72} {partner:24}  failed:\n{traceback.format_exc(limit=-2)}")
        if verdict:
            apart.append(what)
    print(f"{len(chosen) - len(apart) - len(missing)} of {len(chosen)} agree, {len(missing)} are left out")
    sys.exit(1 if apart or not chosen else 0)


main()
