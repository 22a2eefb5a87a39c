"""Golden event file: writes events.out.tfevents.golden beside this file with TensorBoard's own writer (2.21.0 and protobuf
7.36.2 when it was made).

    python tests/golden/events.py
"""
import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

HERE = pathlib.Path(__file__).parent


def epoch(wall_time, step, scalars):
    values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    return event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=values))


def main():
    scalars = {
        "loss/train": 0.75,
        "loss/valid": float("nan"),
        "accuracy/train": 0.5,
        "accuracy/valid": 0.25,
        "auroc/valid": 0.0,
        "learning_rate": 0.001,
        "fragments_per_second": 123456.0,
    }
    without = {tag: value for tag, value in scalars.items() if tag != "accuracy/valid"}
    events = [
        event_pb2.Event(wall_time=1.5, file_version="brain.Event:2"),
        epoch(2.5, 1, scalars),
        epoch(1790000000.25, 300, without),
    ]
    with open(HERE / "events.out.tfevents.golden", "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


main()
