"""The program's networks in PyTorch, with its names: weights that it trained fit them.

    network = NETWORKS["residual"](length_bp, dropout)
    network.load_state_dict(read_weights("RUN/best.safetensors"))

    logits = network.eval()(one_hot(codes))

Every size is at its default and there is one logit. They compute what runs with `--strands single` do.
"""
import json
import math
from pathlib import Path

import torch
from torch import nn


def one_hot(codes):
    """f32 `[batch, 4, length_bp]` of codes u8 `[batch, length_bp]`: 0 to 3 for A, C, G, T, and 4 for unknown bases."""
    return (codes.unsqueeze(1) == torch.arange(4, dtype=torch.uint8).view(1, 4, 1)).float()


def convolution(inputs, filters, width, dilation=1):
    return nn.Conv1d(inputs, filters, width, dilation=dilation, padding="same")


class Basset(nn.Module):
    def __init__(self, length, dropout):
        super().__init__()
        sizes = [(4, 300, 19, 3), (300, 200, 11, 4), (200, 200, 7, 4)]
        self.convolutions = nn.ModuleList(
            nn.ModuleDict({"conv": convolution(inputs, filters, width), "norm": nn.BatchNorm1d(filters)})
            for inputs, filters, width, _ in sizes)
        self.pools = [pool for *_, pool in sizes]
        self.dense = nn.ModuleList([nn.Linear(200 * (length // math.prod(self.pools)), 1000), nn.Linear(1000, 1000)])
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(1000, 1)

    def forward(self, x):
        for layer, pool in zip(self.convolutions, self.pools):
            x = nn.functional.max_pool1d(layer["norm"](layer["conv"](x)).relu(), pool)
        x = x.flatten(1)
        for layer in self.dense:
            x = self.dropout(layer(x).relu())
        return self.output(x)


class ResidualBlock(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm1d(channels), convolution(channels, channels, 5, dilation)
        self.norm2, self.conv2 = nn.BatchNorm1d(channels), convolution(channels, channels, 1)

    def forward(self, x):
        inner = self.conv1(nn.functional.gelu(self.norm1(x)))
        return x + self.conv2(nn.functional.gelu(self.norm2(inner)))


class GatedBlock(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.conv, self.gate = (convolution(channels, channels, 9, dilation) for _ in range(2))

    def forward(self, x):
        normed = self.norm(x)
        return x + self.conv(normed) * self.gate(normed).sigmoid()


class Dilated(nn.Module):
    """The stem and head that residual and gated share, and blocks of one kind."""

    def __init__(self, dropout, block, depth, filters=256, channels=96, mixed=16, places=20):
        super().__init__()
        self.stem_conv, self.stem_norm = convolution(4, filters, 15), nn.BatchNorm1d(filters)
        self.stem_narrow = convolution(filters, channels, 1)
        self.blocks = nn.Sequential(*(block(channels, 2**i) for i in range(depth)))
        self.final_norm = nn.BatchNorm1d(channels)
        self.place, self.places = convolution(channels, mixed, 1), places
        self.hidden = nn.Linear(2 * channels + mixed * places, 64)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(64, 1)

    def forward(self, x):
        x = self.stem_norm(nn.functional.max_pool1d(self.stem_conv(x), 4)).clamp(max=6).exp()
        x = self.blocks(self.stem_narrow(x))
        x = nn.functional.gelu(self.final_norm(x))
        places = nn.functional.adaptive_max_pool1d(self.place(x), self.places).flatten(1)
        x = self.dropout(torch.cat([x.amax(2), x.mean(2), places], 1))
        return self.output(self.dropout(nn.functional.gelu(self.hidden(x))))


class Danq(nn.Module):
    def __init__(self, length, dropout, filters=320, pool=13):
        super().__init__()
        # Filters of even width have no middle: one zero more behind than before.
        self.pad, self.conv, self.pool = nn.ZeroPad1d((12, 13)), nn.Conv1d(4, filters, 26), nn.MaxPool1d(pool)
        self.lstm = nn.LSTM(filters, filters, batch_first=True, bidirectional=True)
        self.dropout_before, self.dropout = nn.Dropout(0.4 * dropout), nn.Dropout(dropout)
        self.dense, self.output = nn.Linear(2 * filters * (length // pool), 925), nn.Linear(925, 1)

    def forward(self, x):
        x = self.dropout_before(self.pool(self.conv(self.pad(x)).relu()))
        x = self.dropout(self.lstm(x.transpose(1, 2))[0])
        return self.output(self.dense(x.transpose(1, 2).flatten(1)).relu())


NETWORKS = {
    "basset": Basset,
    "residual": lambda _, dropout: Dilated(dropout, ResidualBlock, 3),
    "gated": lambda _, dropout: Dilated(dropout, GatedBlock, 4),
    "danq": Danq,
}


def read_weights(path):
    """The `state_dict` in a safetensors file of f32."""
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(bytearray(data[start:][slice(*about["data_offsets"])]), dtype=torch.float32)
            .view(about["shape"]) for name, about in header.items()}
