"""Adapt a trained classifier to shifted digits with forward passes only, and keep 16 KB of it.

python examples/zo_quickstart.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import zo


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the bundled 8x8 digits in a fixed random order."""
    bundled = load_digits()
    order = torch.randperm(len(bundled.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(bundled.images, dtype=torch.float32)[order] / 16
    return images, torch.tensor(bundled.target)[order]


def trained(x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    """Return a classifier trained by backpropagation, as one finds it somewhere."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def main() -> None:
    """Train, drift, adapt, and compare."""
    images, labels = digits()
    model = trained(images[:700].flatten(1), labels[:700])
    shifted = images.roll(1, dims=2).flatten(1)
    x, y = shifted[700:1300], labels[700:1300]

    def accuracy() -> float:
        return (model(shifted[1300:]).argmax(1) == labels[1300:]).float().mean().item()

    print(f"on shifted digits: {accuracy():.1%}")
    optimizer = zo.ZO(model, lr=4e-3, source="pool", restore="delta")
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=3000)
    for step in range(3000):
        pick = torch.arange(step * 64, step * 64 + 64) % len(x)
        loss = optimizer.step(lambda p=pick: nn.functional.cross_entropy(model(x[p]), y[p]))
        schedule.step()
    print(f"after 3,000 steps of two forwards each: {accuracy():.1%}, last loss {loss:.3f}")
    (slots,) = optimizer.state_dict()["zo"]["walk"]["slots"]
    kept = sum(kept.nbytes for kept in slots.values())
    print(f"all that was learned: {kept} bytes, beside {4 * optimizer.num_weights} of weights")


if __name__ == "__main__":
    main()
