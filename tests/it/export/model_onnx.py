"""Checks ONNX models and prints what ONNX Runtime gives for them: a list with, for each, its outputs row by row and its metadata.

    python model_onnx.py QUESTIONS.json

A question is {"model", "sequences", "control"}; control may be null.
"""
import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime

OPTIONS = onnxruntime.SessionOptions()
OPTIONS.intra_op_num_threads = 1


def one_hot(sequences):
    rows = [[[base == row for base in sequence] for row in "ACGT"] for sequence in sequences]
    return numpy.array(rows, dtype=numpy.float32)


def answer(question):
    onnx.checker.check_model(onnx.load(question["model"]), full_check=True)
    session = onnxruntime.InferenceSession(question["model"], OPTIONS)
    inputs = {"sequences": one_hot(question["sequences"])}
    if question["control"] is not None:
        inputs["control"] = numpy.array(question["control"], dtype=numpy.float32)
    assert [entry.shape[0] for entry in session.get_inputs() + session.get_outputs()] == ["N"] * (
        len(session.get_inputs()) + len(session.get_outputs()))
    outputs = session.run(None, inputs)
    return {
        "outputs": [{"shape": list(output.shape), "values": output.flatten().tolist()} for output in outputs],
        "metadata": session.get_modelmeta().custom_metadata_map,
    }


print(json.dumps([answer(question) for question in json.loads(Path(sys.argv[1]).read_text())]))
