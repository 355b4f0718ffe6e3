"""Every cut of the models that people freeze: where, how large its maps, how much work before it.

Each cut is verified (``suffix(prefix(x)) == model(x)``, bit for bit, in eval mode), and the
multiply-accumulates of each model are held against those that torchvision publishes.

python benchmarks/freezelib_cuts.py [--models resnet18 vit_b_16 ...]
"""

import argparse
import time

import torch
from harness import save
from torch import nn

from freezelib import find_cuts, get_model, split
from freezelib.cuts.trace import trace
from freezelib.cuts.work import measure
from freezelib.vision import models

TORCHVISION = (
    "resnet18",
    "resnet50",
    "vgg16_bn",
    "mobilenet_v3_small",
    "densenet121",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
)
CIFAR = ("resnet8", "resnet14", "resnet20", "resnet32", "resnet56")


def main() -> None:
    """Print a table per model and save all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*TORCHVISION, *CIFAR])
    wanted = parser.parse_args().models
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = [row for name in wanted for row in cuts_of(name)]
    save("freezelib_cuts", {"rows": rows, "refused": refused()})


def cuts_of(name: str) -> list[dict[str, object]]:
    """A row for each cut of a model."""
    side, address, published = 32, name, None
    if name in TORCHVISION:
        side, address = 224, f"torchvision/{name}"
        published = models.get_model_weights(name).DEFAULT.meta["_ops"]
    model = get_model(address, in_channels=3, num_classes=1000 if published else 10).eval()
    lively(model)
    x = torch.randn(2, 3, side, side)
    began = time.perf_counter()
    cuts = find_cuts(model, x)
    seconds = time.perf_counter() - began
    gmacs = sum(w.macs for w in measure(trace(model), x).values()) / len(x) / 1e9
    beside = f", published {published:.3f}" if published else ""
    print(f"\n{name} at {side} px: {len(cuts)} cuts in {seconds:.1f} s, {gmacs:.3f} GMAC{beside}")
    print("   k  node                                  map            KiB/sample   MACs before")
    rows = []
    for cut in cuts:
        split(model, cut, example_input=x)  # raises unless the halves are the model, bit for bit
        rows.append(
            {
                "model": name,
                "side": side,
                "k": cut.index,
                "node": cut.node,
                "map_shape": list(cut.map_shape),
                "bytes_per_sample": cut.bytes_per_sample,
                "prefix_mac_share": cut.prefix_mac_share,
                "model_gmacs": gmacs,
                "published_gmacs": published,
            }
        )
        shape = "x".join(map(str, cut.map_shape))
        print(
            f"  {cut.index:2}  {cut.node:36}  {shape:13}  {cut.bytes_per_sample / 1024:10.1f}   "
            f"{cut.prefix_mac_share:10.4%}"
        )
    assert rows[-1]["prefix_mac_share"] < 1, "the head multiplies, too"
    return rows


def lively(model: nn.Module) -> None:
    """No zeros at the start, behind which everything would be equal to everything."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)


def refused() -> dict[str, str]:
    """What is said of models that cannot be cut there."""
    found = {}
    for name, model in {
        "hidden tensor": Hides(),
        "tied weights": Ties(),
        "branch": Branches(),
    }.items():
        x = torch.randn(2, 3, 16, 16)
        try:
            for cut in find_cuts(model, x):
                split(model, cut, example_input=x)
        except ValueError as error:
            found[name] = str(error)
            print(f"\n{name}: {error}")
    assert len(found) == 3
    return found


class Hides(nn.Module):
    """Hands a second tensor from its first layer to its second, past the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = Keeps(), Recalls(), nn.Conv2d(3, 3, 3)
        self.second.keeper = (self.first,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One tensor, as far as a tracer sees."""
        return self.last(self.second(self.first(x))).flatten(1)


class Keeps(nn.Conv2d):
    """Keeps the mean of its input."""

    def __init__(self) -> None:
        super().__init__(3, 3, 3)
        self.kept: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, and keep."""
        self.kept[:] = [x.mean()]
        return super().forward(x)


class Recalls(nn.Conv2d):
    """Adds what another layer has kept."""

    keeper: tuple[Keeps]

    def __init__(self) -> None:
        super().__init__(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, and recall."""
        return super().forward(x) + self.keeper[0].kept[0]


class Ties(nn.Module):
    """One layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same weights on both sides of its one cut."""
        return self.layer(self.layer(x).relu()).flatten(1)


class Branches(nn.Module):
    """A skip connection over everything."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two live tensors everywhere."""
        return self.last(self.first(x)) + x


if __name__ == "__main__":
    main()
