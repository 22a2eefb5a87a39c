"""bpnet-lite's network in PyTorch, with its names, and a plain training loop for it.

    network = BPNet(filters, depth, length_bp, output_length_bp)
    network.load_state_dict(renamed(read_weights("RUN/best.safetensors")))

    logits, log_counts = network.eval()(one_hot(codes))

One track, no control. It computes what runs of `--arch bpnet --strands single` do.
"""
import time

import torch
from torch import nn


class BPNet(nn.Module):
    def __init__(self, filters, depth, length, output_length):
        super().__init__()
        self.iconv = nn.Conv1d(4, filters, 21, padding=10)
        self.rconvs = nn.ModuleList(nn.Conv1d(filters, filters, 3, padding=2**i, dilation=2**i) for i in range(1, depth + 1))
        self.fconv = nn.Conv1d(filters, 1, 75, padding=37)
        self.linear = nn.Linear(filters, 1)
        self.trimming = (length - output_length) // 2

    def forward(self, x):
        start, end = self.trimming, x.shape[2] - self.trimming
        x = self.iconv(x).relu()
        for convolution in self.rconvs:
            x = x + convolution(x).relu()
        profile = self.fconv(x)[:, :, start:end]
        return profile, self.linear(x[:, :, max(start - 37, 0) : end + 37].mean(2))


def renamed(weights):
    """Weights of a run under the names that they have here: the program keeps both heads in one block."""
    return {name.removeprefix("head."): tensor for name, tensor in weights.items()}


def loss_of(logits, log_counts, counts, is_peak, counts_weight):
    """The multinomial loss of peaks, without the combinatorial term that no weight changes, and the weighted squared error of
    log(1 + counts)."""
    logs = logits.flatten(1).log_softmax(1)
    profile = -((counts * logs).sum(1) * is_peak).sum() / is_peak.sum().clamp_min(1)
    return profile + counts_weight * (log_counts[:, 0] - counts.sum(1).log1p()).square().mean()


def train(network, inputs, counts, is_peak, counts_weight, lr, batch, epochs):
    """Adam with a constant rate and gradients clipped to 1; returns the mean loss of each epoch, and the examples a second of the last."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    losses = []
    for _ in range(epochs):
        started, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(len(inputs)).split(batch):
            loss = loss_of(*network(inputs[chosen]), counts[chosen], is_peak[chosen], counts_weight)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(chosen)
        losses.append(total / len(inputs))
        speed = len(inputs) / (time.perf_counter() - started)
    return losses, speed
