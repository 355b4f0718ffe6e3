"""The worked example on text: its reader, its training, and its layers in two parts."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

import zo

EXAMPLES = str(Path(__file__).parents[2] / "examples")
NEEDS_TRANSFORMERS = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed: pip install -c constraints.txt -e '.[text]'",
)


@pytest.fixture(autouse=True)
def _examples_can_be_imported(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, EXAMPLES])


@pytest.fixture
def reader():
    return importlib.import_module("vader_sentences")


@pytest.fixture
def example():
    return importlib.import_module("zo_transformer")


@pytest.fixture
def parts():
    return importlib.import_module("sentence_classifier")


def _tar(path, files):
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def archive(reader, tmp_path):
    """The layout of the real archive, with two sentences of each kind and one of them twice."""
    table = "1\t2.5\tFine {0}.\n2\t-1.5\tNot so fine {0}.\n3\t0.5\tFine {0}.\n"
    inner = {
        f"hutto_ICWSM_2014/{name}_GroundTruth.txt": table.format(name).encode()
        for name in reader.WHERE_FROM
    }
    packed = _tar(tmp_path / "inner.tar.gz", inner).read_bytes()
    return _tar(tmp_path / reader.ARCHIVE, {reader._INNER: packed})


def test_sentences_are_read_once_each_with_their_ratings(reader, archive, monkeypatch):
    monkeypatch.setattr(reader, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    sentences = reader.read_sentences(archive)
    assert tuple(sentences) == reader.WHERE_FROM
    assert sentences["tweets"] == [(2.5, "Fine tweets."), (-1.5, "Not so fine tweets.")]


def test_a_missing_archive_is_refused_with_the_command_that_gets_it(reader, tmp_path):
    with pytest.raises(reader.MissingArchiveError, match="pip download --no-deps --no-binary"):
        reader.read_sentences(tmp_path / reader.ARCHIVE)


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_an_archive_that_is_cut_off_is_refused(reader, archive, kept):
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(reader.DamagedArchiveError, match=r"cannot be unpacked.*pip download"):
        reader.read_sentences(archive)


def test_a_changed_byte_is_refused(reader, archive):
    changed = bytearray(archive.read_bytes())
    changed[len(changed) // 2] ^= 1
    archive.write_bytes(changed)
    with pytest.raises(reader.DamagedArchiveError, match="pip download"):
        reader.read_sentences(archive)


def test_another_archive_is_refused_by_its_hash(reader, archive):
    with pytest.raises(reader.WrongArchiveError, match=r"SHA-256 5d7c06e0.*pip download"):
        reader.read_sentences(archive)


def test_the_wheel_is_not_the_archive(reader, tmp_path):
    wheel = tmp_path / reader.ARCHIVE
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("vaderSentiment/vaderSentiment.py", "")
    with pytest.raises(reader.WrongArchiveError, match=r"wheel.*pip download"):
        reader.read_sentences(wheel)


def _classifier(parts):
    """A small BERT with random weights, in float64 so that only the order of sums may differ."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=8,
    )
    encoder = BertModel(config, add_pooling_layer=False).eval()
    return parts.Classifier(encoder, torch.randn(2, 32) / 32**0.5).double()


def _sentences():
    """Sentences of random tokens and lengths; their class is that of their first token."""
    drawn = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 40, (96, 8), generator=drawn)
    lengths = torch.randint(3, 9, (96, 1), generator=drawn)
    mask = (torch.arange(8) < lengths).long()
    return {"input_ids": tokens * mask, "attention_mask": mask}, (tokens[:, 0] > 20).long()


@NEEDS_TRANSFORMERS
@pytest.mark.parametrize("source", ["gaussian", "pool", "lfsr_bank"])
def test_training_lowers_the_loss_and_replays_from_its_log(example, parts, source):
    model, (inputs, labels) = _classifier(parts), _sentences()
    fresh = copy.deepcopy(model)
    before = example.loss_of(model, inputs, labels).item()
    optimizer = zo.ZO(model, lr=3e-4, source=source)
    losses = example.train(optimizer, model, inputs, labels, steps=150, seed=0)
    after = example.loss_of(model, inputs, labels).item()
    assert len(losses) == 150
    assert after < 0.9 * before

    optimizer.log.replay(zo.ZO(fresh, lr=3e-4, source=source))
    kept, again = model.state_dict(), fresh.state_dict()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


@NEEDS_TRANSFORMERS
def test_the_example_trains_as_plain_zo_does(example, parts):
    model, (inputs, labels) = _classifier(parts), _sentences()
    plain = copy.deepcopy(model)
    optimizer, drawn = zo.ZO(model, lr=1e-4, source="pool"), torch.Generator().manual_seed(3)
    losses = example.train(optimizer, model, inputs, labels, steps=20, seed=3)
    optimizer.flush()

    optimizer = zo.ZO(plain, lr=1e-4, source="pool")
    for step in range(20):
        rows = torch.randint(0, 96, (16,), generator=drawn)
        tokens, mask = inputs["input_ids"][rows], inputs["attention_mask"][rows]
        wanted = labels[rows]

        def closure(tokens=tokens, mask=mask, wanted=wanted):
            states = plain.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            cosines = torch.nn.functional.cosine_similarity(
                mean[:, None], plain.prototypes, dim=-1
            )
            lengths = plain.prototypes.norm(dim=1)
            return torch.nn.functional.cross_entropy(20 * cosines * lengths, wanted)

        optimizer.param_groups[0]["lr"] = 1e-4 * (1 - step / 20)
        assert optimizer.step(closure) == pytest.approx(losses[step], rel=1e-9)
    optimizer.flush()
    torch.testing.assert_close(plain.state_dict(), model.state_dict(), rtol=1e-8, atol=1e-10)


@NEEDS_TRANSFORMERS
@pytest.mark.parametrize("frozen", [0, 2, 3])
def test_training_on_cached_states_is_training_with_a_frozen_prefix(example, parts, frozen):
    whole, (inputs, labels) = _classifier(parts), _sentences()
    model = copy.deepcopy(whole)
    for part in (whole.encoder.embeddings, *whole.encoder.encoder.layer[:frozen]):
        part.requires_grad_(False)
    encoder = model.encoder
    states = parts.cached(parts.prefix_of(encoder, frozen), inputs)
    model.encoder = parts.suffix_of(encoder, frozen)

    optimizers = [zo.ZO(one, lr=1e-4, source="pool") for one in (whole, model)]
    assert optimizers[0].num_weights == optimizers[1].num_weights
    one = example.train(optimizers[0], whole, inputs, labels, steps=30, seed=0)
    other = example.train(optimizers[1], model, states, labels, steps=30, seed=0)
    assert one == pytest.approx(other, rel=1e-9)
    assert one[0] != one[-1]
    torch.testing.assert_close(whole(**inputs), model(**states), rtol=1e-7, atol=1e-9)

    model.encoder = encoder  # the layers are the encoder's own: nothing has to be put back
    torch.testing.assert_close(whole(**inputs), model(**inputs), rtol=1e-7, atol=1e-9)


@NEEDS_TRANSFORMERS
def test_padding_does_not_change_a_sentence_s_vector(parts):
    model, (inputs, _) = _classifier(parts), _sentences()
    row = int(inputs["attention_mask"].sum(1).argmin())
    length = int(inputs["attention_mask"][row].sum())
    alone = {name: values[row : row + 1, :length] for name, values in inputs.items()}
    torch.testing.assert_close(
        parts.vectors(model.encoder, inputs)[row], parts.vectors(model.encoder, alone)[0]
    )
