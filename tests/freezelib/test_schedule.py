import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from freezelib.schedule import CompressionSchedule

TEXT = "int8+lz4, int4+lz4@0.34, int2+zstd:3@0.67"


def maps(*, seed=0, size=1.0):
    return size * torch.relu(
        torch.randn(64, 6, 5, 5, generator=torch.Generator().manual_seed(seed))
    )


def close_maps(*, difference):
    """Whose halves differ by little, so that a coarse code can change their order."""
    half = maps()[:, :3]
    other = half + difference * torch.randn(half.shape, generator=torch.Generator().manual_seed(1))
    return torch.cat([half, torch.relu(other)], 1)


class Judge(nn.Module):
    """Says which of two halves of a map is larger, the more surely the sharper it is."""

    def __init__(self, sharpness):
        super().__init__()
        self.norm, self.sharpness = nn.BatchNorm2d(6), sharpness

    def forward(self, x):
        rows = self.norm(x).flatten(1).unflatten(1, (2, -1)).mean(2)
        return self.sharpness * rows


def choose(text, sharpness, *, depth=1.0, inputs=None, **gate):
    schedule = CompressionSchedule.parse(text, **gate)
    return schedule.choose(depth, maps() if inputs is None else inputs, Judge(sharpness))


@pytest.mark.parametrize(
    ("depth", "codec"),
    [
        (0.0, "int8+lz4"),
        (0.33, "int8+lz4"),
        (0.34, "int4+lz4"),
        (0.67, "int2+zstd:3"),
        (1.0, "int2+zstd:3"),
    ],
)
def test_the_rate_rises_with_depth(depth, codec):
    assert CompressionSchedule.parse(TEXT).wanted(depth) == codec


def test_a_schedule_goes_out_as_text_and_comes_in_again():
    schedule = CompressionSchedule.parse(TEXT)
    assert str(schedule) == TEXT
    assert CompressionSchedule.parse(str(schedule)) == schedule
    assert CompressionSchedule.parse("raw").steps == ((0.0, "raw"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "depth 0"),
        ("int8@0.5", "depth 0"),
        ("int8, int4@0.5, int2@0.5", "rising depths"),
        ("int8, int4@0.5, int2@0.3", "rising depths"),
        ("int8, int4@1.5", "up to 1"),
        ("int8, int4@deep", "CODEC@DEPTH"),
        ("int9", "Unknown codec 'int9'"),
    ],
)
def test_a_bad_schedule_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        CompressionSchedule.parse(text)


def test_a_gate_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="min_agreement <= 1"):
        CompressionSchedule.parse("int8", min_agreement=1.1)


def test_what_is_wanted_is_taken_where_the_suffix_bears_it():
    choice = choose(TEXT, 0.01)
    assert choice.codec == choice.wanted == "int2+zstd:3"
    assert "int2+zstd:3 passes" in choice.reason
    assert [probe["codec"] for probe in choice.probes] == ["int2+zstd:3"]
    assert choice.probes[0]["nrmse"] > 0.1


def test_a_codec_that_fails_gives_way_to_the_one_before():
    choice = choose(TEXT, 1000, inputs=close_maps(difference=0.03), max_kl=0.0)
    assert choice.wanted == "int2+zstd:3"
    assert choice.codec == "int8+lz4"
    assert [probe["codec"] for probe in choice.probes] == ["int2+zstd:3", "int4+lz4", "int8+lz4"]
    assert "int4+lz4 fails" in choice.reason
    errors = [probe["nrmse"] for probe in choice.probes]
    assert errors == sorted(errors, reverse=True)


def test_the_last_resorts_keep_the_coder():
    choice = choose("int2+zstd:3", 1e5, max_kl=0.0, min_agreement=1.0)
    assert choice.codec in ("f16+zstd:3", "raw+zstd:3")
    strict = choose("int2", 1e9, inputs=maps() * 1e-3 + 1, max_kl=0.0, min_agreement=1.0)
    assert strict.codec == "raw"
    assert strict.probes[-1] == {"codec": "raw", "agreement": 1.0, "kl": 0.0, "nrmse": 0.0}


def test_a_codec_that_cannot_hold_the_maps_gives_way_too():
    choice = choose("f16", 1.0, inputs=maps(size=1e6))
    assert choice.codec == "raw"
    assert "f16 cannot code these maps" in choice.reason


def test_either_half_of_the_gate_lets_a_codec_pass():
    agreeing = choose("int2", 1000, max_kl=0.0, min_agreement=0.5)
    close = choose("int2", 1e-4, max_kl=0.01, min_agreement=1.0)
    assert agreeing.codec == close.codec == "int2"
    assert agreeing.probes[0]["kl"] > 0.01
    assert close.probes[0]["agreement"] < 1.0


@pytest.mark.parametrize("training", [True, False])
def test_probing_leaves_the_suffix_as_it_was(training):
    suffix = Judge(1.0).train(training)
    before = {name: value.clone() for name, value in suffix.state_dict().items()}
    CompressionSchedule.parse(TEXT).choose(0.5, maps(), suffix)
    assert suffix.training is suffix.norm.training is training
    assert all(torch.equal(value, before[name]) for name, value in suffix.state_dict().items())


def test_maps_that_are_not_finite_are_refused():
    broken = maps()
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        choose(TEXT, 1.0, inputs=broken)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), depth=st.floats(0, 1), sharpness=st.sampled_from([0.1, 10, 1e4]))
def test_the_choice_passes_the_gate_and_nothing_bolder_did(seed, depth, sharpness):
    choice = choose(TEXT, sharpness, depth=depth, inputs=maps(seed=seed))
    passed = [p["agreement"] >= 0.99 or p["kl"] <= 0.01 for p in choice.probes]
    assert passed == [False] * (len(passed) - 1) + [True]
    assert choice.probes[-1]["codec"] == choice.codec
