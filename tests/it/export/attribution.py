"""Has tangermeme and Captum explain the networks of runs by their model.py; prints for each run the shapes of attributions and how
far those of DeepLIFT are from adding up, as a share of the largest difference that they explain.

    python attribution.py RUN ...
"""
import json
import sys

from captum.attr import IntegratedGradients
from model_py import module_of
from tangermeme.deep_lift_shap import _nonlinear, deep_lift_shap
from tangermeme.predict import predict
from tangermeme.saturation_mutagenesis import saturation_mutagenesis
from tangermeme.utils import random_one_hot

found = []
for run in sys.argv[1:]:
    module = module_of(run)
    model = module.load(run, module.Logits)
    # All rules that tangermeme lacks.
    rules = {module.Exp: _nonlinear} if hasattr(module, "Exp") else {}
    sequences = random_one_hot((2, 4, module.LENGTH), random_state=0).float()
    logits = predict(model, sequences, device="cpu")
    target = logits.shape[1] - 1
    mutated = saturation_mutagenesis(model, sequences, target=target, device="cpu")
    references = random_one_hot((2, 4, module.LENGTH), random_state=1).float()[:, None]
    attributions = deep_lift_shap(
        model, sequences, target=target, references=references, additional_nonlinear_ops=rules, device="cpu")
    gradients = IntegratedGradients(model).attribute(sequences, target=target, n_steps=10)
    # Attributions add up to the difference from the reference.
    differences = (logits - predict(model, references[:, 0], device="cpu"))[:, target]
    delta = (attributions.sum((1, 2)) - differences).abs().max() / differences.abs().max().clamp(min=1e-6)
    found.append({"shapes": [list(a.shape) for a in (mutated, attributions, gradients)], "delta": float(delta)})
print(json.dumps(found))
