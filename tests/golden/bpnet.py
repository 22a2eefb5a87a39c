"""Writes bpnet.json: what bpnet-lite's network gives with two tracks, in one group, and a control of one track.

    python bpnet.py     (torch 2.11)

Every weight and input follows from its place, so that the test sets the same.
"""
import json
import math
from pathlib import Path

import torch
from torch import nn

FILTERS, DEPTH, TRACKS, CONTROL = 6, 3, 2, 1
LENGTH, OUTPUT_LENGTH, SEQUENCES = 180, 60, 3
TRIMMING = (LENGTH - OUTPUT_LENGTH) // 2


class BPNet(nn.Module):
    """As bpnet-lite 1.0 has it: features and control enter the convolution of the profile as one, and the dense layer takes the mean of
    the features and the log of 1 + the counts of the control."""

    def __init__(self):
        super().__init__()
        self.iconv = nn.Conv1d(4, FILTERS, 21, padding=10)
        self.rconvs = nn.ModuleList(nn.Conv1d(FILTERS, FILTERS, 3, padding=2**i, dilation=2**i) for i in range(1, DEPTH + 1))
        self.fconv = nn.Conv1d(FILTERS + CONTROL, TRACKS, 75, padding=37)
        self.linear = nn.Linear(FILTERS + 1, 1)

    def forward(self, x, control):
        start, end = TRIMMING, LENGTH - TRIMMING
        x = self.iconv(x).relu()
        for convolution in self.rconvs:
            x = x + convolution(x).relu()
        profile = self.fconv(torch.cat([x, control], 1))[:, :, start:end]
        seen = control[:, :, start - 37 : end + 37].sum((1, 2)).unsqueeze(1)
        return profile, self.linear(torch.cat([x[:, :, start - 37 : end + 37].mean(2), (seen + 1).log()], 1))


def at(step, i, n, below):
    return int(below * abs(math.sin(step * i * i + n)))


def main():
    network = BPNet().eval()
    with torch.no_grad():
        for place, (name, parameter) in enumerate(network.named_parameters()):
            values = [0.2 * math.sin(1.3 * i * i + place) for i in range(parameter.numel())]
            parameter.copy_(torch.tensor(values).view_as(parameter))
        codes = torch.tensor([[at(0.7, i, n, 5) for i in range(LENGTH)] for n in range(SEQUENCES)])
        one_hot = torch.stack([(codes == base).float() for base in range(4)], 1)
        control = torch.tensor([[[float(at(0.3, i, n, 4)) for i in range(LENGTH)]] for n in range(SEQUENCES)])
        profile, log_counts = network(one_hot, control)
    found = {
        "names": [name for name, _ in network.named_parameters()],
        "profile": profile.flatten(1).tolist(),
        "log_counts": log_counts.tolist(),
    }
    Path(__file__).with_name("bpnet.json").write_text(json.dumps(found) + "\n")


main()
