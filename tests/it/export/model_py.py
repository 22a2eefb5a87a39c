"""Prints what the model.py of runs gives: a list with, for each run, its outputs row by row.

    python model_py.py QUESTIONS.json

A question is {"run", "sequences", "control"}; control may be null.
"""
import importlib.util
import json
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)


def module_of(run):
    spec = importlib.util.spec_from_file_location("model", Path(run) / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(question):
    module = module_of(question["run"])
    model = module.load(question["run"])
    inputs = [module.one_hot(question["sequences"])]
    if question["control"] is not None:
        inputs.append(torch.tensor(question["control"], dtype=torch.float32))
    with torch.no_grad():
        outputs = model(*inputs)
        logits = module.load(question["run"], module.Logits)(*inputs)
    assert logits.ndim == 2, logits.shape
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [{"shape": list(output.shape), "values": output.flatten().tolist()} for output in outputs]


if __name__ == "__main__":
    print(json.dumps([answer(question) for question in json.loads(Path(sys.argv[1]).read_text())]))
