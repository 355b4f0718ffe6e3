"""Whether reused perturbations cost accuracy on text: MiniLM-L6's last layer, by source.

Is a sentence from a film review, a product review, a tweet or an editorial? The example's model
(``examples/zo_transformer.py``) over the hidden states of its first five layers, which are frozen
and run once: the last layer and four class vectors are trained, which begin without a label. 8,000
sentences in one random order: 3,000 to test, 1,000 to tune, and of the rest each seed draws 2,000
to train. A seed also stands for batches (of 16) and perturbations, and is the same in all arms.
Two-sided, one perturbation per step, eps 1e-3, exact scaling, learning rate falling linearly to
zero. Each arm takes the best of the same learning rates, by the tuning sentences, on a seed that
is not reported and with equally many steps; the control takes Gaussian's. Sentences next to each
other in one text may lie on both sides of the split, which flatters all arms alike.

    python benchmarks/zo_text.py --archive vaderSentiment-3.3.2.tar.gz --seeds 3
    python benchmarks/zo_text.py --archive vaderSentiment-3.3.2.tar.gz --seeds 5    # two more
"""

import argparse
import copy
import json
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from fashion import paired
from harness import RESULTS, save
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from sentence_classifier import (
    Classifier,
    Inputs,
    accuracy,
    cached,
    encoded,
    load_encoder,
    prefix_of,
    rows_of,
    suffix_of,
    vectors,
)
from vader_sentences import ARCHIVE
from zo_transformer import CLASSES, labelled, loss_of, train

import zo

ARMS: dict[str, dict[str, Any]] = {
    "gaussian": {"source": "gaussian"},
    "pool 4093x8": {"source": "pool"},
    "bank 31x8": {"source": "lfsr_bank"},
}
CONTROL = {"[0,1) uniform, none": {"source": "uniform:signed=false", "scaling": "none"}}
"""Its numbers have a mean, so that every perturbation goes mostly the same way."""
RATES = [1e-4, 2e-4, 4e-4]
TUNING_SEED = 100
BACKPROP = {"lr": 2e-4, "epochs": 3}
"""AdamW; a usual choice, not tuned."""

Part = tuple[Inputs, Tensor]


@dataclass
class Text:
    """Hidden states and labels in three parts, and the model before any training."""

    test: Part
    tuning: Part
    pool: Part
    start: nn.Module

    def drawn(self, seed: int) -> Part:
        """Return a seed's 2,000 sentences to train on."""
        (inputs, labels), drawn = self.pool, torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(labels), generator=drawn)[:2000]
        return rows_of(inputs, rows), labels[rows]


@torch.no_grad()
def prepared(archive: Path, *, frozen: int) -> Text:
    """Run the prefix once over all sentences."""
    sentences, labels = labelled(archive, per_class=2000)
    tokenizer, encoder = load_encoder()
    start = Classifier(encoder, vectors(encoder, encoded(tokenizer, list(CLASSES))))
    states = cached(prefix_of(encoder, frozen), encoded(tokenizer, sentences))
    start.encoder = suffix_of(encoder, frozen)
    parts = (slice(3000), slice(3000, 4000), slice(4000, None))
    return Text(*((rows_of(states, part), labels[part]) for part in parts), start=start)


def adapted(text: Text, seed: int, steps: int, arm: dict[str, Any]) -> tuple[nn.Module, float]:
    """Return a trained model and the milliseconds per step; the last model if it diverged."""
    model, began = copy.deepcopy(text.start), time.perf_counter()
    optimizer = zo.ZO(model, seed=seed, **arm)
    try:
        train(optimizer, model, *text.drawn(seed), steps=steps, seed=seed)
    except zo.DivergedError as error:
        print(f"    {error}")
    optimizer.flush()
    return model, 1e3 * (time.perf_counter() - began) / steps


def tuned(text: Text, steps: int, arm: dict[str, Any]) -> dict[float, float]:
    """Return the accuracy on the tuning sentences by learning rate."""
    return {
        lr: accuracy(adapted(text, TUNING_SEED, steps, {**arm, "lr": lr})[0], *text.tuning)
        for lr in RATES
    }


def backprop(text: Text, seed: int) -> float:
    """Return the test accuracy after backpropagation through the same layers."""
    model, (inputs, labels) = copy.deepcopy(text.start), text.drawn(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=BACKPROP["lr"])
    drawn = torch.Generator().manual_seed(seed)
    for _ in range(int(BACKPROP["epochs"])):
        for rows in torch.randperm(len(labels), generator=drawn).split(16):
            optimizer.zero_grad()
            loss_of(model, rows_of(inputs, rows), labels[rows]).backward()
            optimizer.step()
    return accuracy(model, *text.test)


def begun(text: Text, arm: dict[str, Any], tuning: dict[float, float]) -> dict[str, Any]:
    """Return an arm's row without scores: its best learning rate, and what it means."""
    lr = max(tuning, key=lambda lr: tuning[lr])
    optimizer = zo.ZO(copy.deepcopy(text.start), lr=lr, **arm)
    return {
        "lr": lr,
        "lr_equiv": optimizer.lr_equiv,
        "tuning": tuning,
        "distinct_directions": str(optimizer.distinct_directions),
        "weights": optimizer.num_weights,
        "scores": [],
        "ms_per_step": [],
    }


def summarise(rows: dict[str, dict[str, Any]]) -> None:
    """Add mean, spread and paired differences to Gaussian, with 95 % intervals, to the rows."""
    gaussian = rows["gaussian"]["scores"]
    for row in rows.values():
        scores = row["scores"]
        row["mean"] = statistics.mean(scores)
        if len(scores) > 1:
            row["stdev"] = statistics.stdev(scores)
            row["minus_gaussian"] = paired(scores, gaussian)


def earlier(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a run with the same settings left, so that more seeds need no second tuning."""
    path = RESULTS / "zo_text.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    same = all(kept.get(name) == value for name, value in settings.items())
    names = (*settings, "zero_shot", "backprop_scores", "arms")
    return {name: kept[name] for name in names} if same else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=Path(ARCHIVE))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--frozen", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = prepared(given.archive, frozen=given.frozen)
    settings = {"unit": "percent", "steps": given.steps, "frozen": given.frozen, "rates": RATES}
    settings |= {"backprop": BACKPROP, "transformers": version("transformers")}
    result = earlier(settings) or {**settings, "backprop_scores": [], "arms": {}}
    result["zero_shot"], rows = accuracy(text.start, *text.test), result["arms"]
    print(f"zero-shot: {result['zero_shot']:.1f} %", flush=True)
    for name in (name for name in ARMS if name not in rows):
        rows[name] = begun(text, ARMS[name], tuned(text, given.steps, ARMS[name]))
        print(f"  {name:20} {rows[name]['tuning']}", flush=True)
        save("zo_text", result)
    for name in (name for name in CONTROL if name not in rows):
        rows[name] = begun(text, CONTROL[name], rows["gaussian"]["tuning"])
    for seed in range(len(result["backprop_scores"]), given.seeds):
        for name, arm in (ARMS | CONTROL).items():
            model, ms = adapted(text, seed, given.steps, {**arm, "lr": rows[name]["lr"]})
            rows[name]["scores"].append(accuracy(model, *text.test))
            rows[name]["ms_per_step"].append(ms)
            print(f"  seed {seed}, {name:20} {rows[name]['scores'][-1]:.1f} %", flush=True)
        result["backprop_scores"].append(backprop(text, seed))
        print(f"  seed {seed}, backprop {result['backprop_scores'][-1]:.1f} %", flush=True)
        summarise(rows)
        save("zo_text", result)


if __name__ == "__main__":
    main()
