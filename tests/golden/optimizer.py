"""Golden numbers of src/train/optimizer.rs: three steps of PyTorch's optimizers.

    python tests/golden/optimizer.py          (made with PyTorch 2.11.0)

Loss sum(p^2 * w), p = [1, -2, 3], w = [1, 10, 100]; decay applies to the first two.
"""
import torch


def three_steps(optimizer, decay=0.0, clip=None, **options):
    matrix = torch.tensor([[1.0, -2.0]], requires_grad=True)
    bias = torch.tensor([3.0], requires_grad=True)
    weights = torch.tensor([1.0, 10.0, 100.0])
    groups = [{"params": [matrix], "weight_decay": decay}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = optimizer(groups, lr=1e-3, **options)
    for _ in range(3):
        optimizer.zero_grad()
        (torch.cat([matrix.view(-1), bias]) ** 2 * weights).sum().backward()
        if clip:
            torch.nn.utils.clip_grad_norm_([matrix, bias], clip)
        optimizer.step()
    return ", ".join(f"{value:.9f}" for value in torch.cat([matrix.view(-1), bias]).tolist())


sgd = torch.optim.SGD
print("ADAM", three_steps(torch.optim.Adam))
print("SGD", three_steps(sgd, momentum=0.9))
print("ADAMW", three_steps(torch.optim.AdamW, decay=0.5))
print("NESTEROV_L2", three_steps(sgd, decay=0.5, momentum=0.9, nesterov=True))
print("SGD_CLIPPED", three_steps(sgd, clip=1.5, momentum=0.9))
