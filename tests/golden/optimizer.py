"""Golden values of the optimizer tests in src/train/optimizer.rs, from PyTorch 2.11.0.

    python tests/golden/optimizer.py
"""
import torch

for name, make in [
    ("ADAM", lambda p: torch.optim.Adam([p], lr=1e-3)),
    ("SGD", lambda p: torch.optim.SGD([p], lr=1e-3, momentum=0.9)),
]:
    p = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    optimizer = make(p)
    for _ in range(3):
        optimizer.zero_grad()
        (p.square() * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
        optimizer.step()
    print(name, p.detach().tolist())
