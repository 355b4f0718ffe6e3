"""The compression schedule: which codec a freeze at some depth is cached with, and why.

The rate rises with depth, because deeper maps are smaller and bear coarser codes. What a schedule
wants is tried on the suffix at hand before it is taken: the suffix must say the same of the coded
maps as of the exact ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from freezelib.codecs.spec import parse_codec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from freezelib.gate import Probe

LAST_RESORTS = ("f16", "raw")


@dataclass(frozen=True, kw_only=True)
class CodecChoice:
    """The codec of a cache.

    Attributes:
        codec: The one to take.
        wanted: The one that the schedule names at this depth.
        reason: Why it is that one, in words.
        probes: What was tried on the way, as dicts: ``codec``, ``agreement``, ``kl``, ``nrmse``.
    """

    codec: str
    wanted: str
    reason: str
    probes: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class CompressionSchedule:
    """Codecs by freeze depth, and the gate that a codec must pass.

    Attributes:
        steps: ``(depth, codec)``, from the front of the model on; depths are shares of the cuts.
            A codec that does not pass gives way to those before it, then to ``f16``, then to
            ``raw``.
        min_agreement: A codec passes if so many of the samples keep their top class,
        max_kl: or if the outputs diverge by no more than this.
    """

    steps: tuple[tuple[float, str], ...]
    min_agreement: float = 0.99
    max_kl: float = 0.01

    def __post_init__(self) -> None:
        for _, codec in self.steps:
            parse_codec(codec)
        depths = [depth for depth, _ in self.steps]
        if not depths or depths[0] != 0 or depths != sorted(set(depths)) or depths[-1] > 1:
            raise ValueError(
                "A compression schedule must start at depth 0 and go on at rising depths up to 1, "
                f"as 'int8+lz4, int4+lz4@0.34', but got depths {depths}."
            )
        if not (0 <= self.min_agreement <= 1 and self.max_kl >= 0):
            raise ValueError(
                "0 <= min_agreement <= 1 and max_kl >= 0 must hold, but got "
                f"{self.min_agreement} and {self.max_kl}."
            )

    @classmethod
    def parse(
        cls, text: str, *, min_agreement: float = 0.99, max_kl: float = 0.01
    ) -> CompressionSchedule:
        """A schedule as text: ``"int8+lz4, int4+lz4@0.34, int2+zstd:1@0.67"``.

        A codec without a depth holds from the front on.

        Raises:
            ValueError: A codec is unknown, or the depths do not rise from 0.
        """
        steps = tuple(_step(item.strip()) for item in text.split(",") if item.strip())
        return cls(steps=steps, min_agreement=min_agreement, max_kl=max_kl)

    def __str__(self) -> str:
        return ", ".join(f"{codec}@{depth:g}" if depth else codec for depth, codec in self.steps)

    def wanted(self, depth_fraction: float) -> str:
        """The codec that is named at a depth, given as a share of the cuts."""
        return [codec for depth, codec in self.steps if depth <= depth_fraction + 1e-9][-1]

    def passes(self, probe: Probe) -> bool:
        """Whether the suffix says enough of the same."""
        return probe.agreement >= self.min_agreement or probe.kl <= self.max_kl

    def choose(self, depth_fraction: float, maps: Tensor, suffix: nn.Module) -> CodecChoice:
        """The boldest codec at a depth with which the suffix still says the same.

        Args:
            depth_fraction: The freeze point over the number of cuts.
            maps: Exact feature maps of some samples, ``float32 [n, C, *positions]``.
            suffix: What is trained on them; probed in eval mode and left in its own.

        Raises:
            ValueError: The maps are not finite.
        """
        from freezelib.gate import Gate  # a schedule can be read without the weight of torch

        gate = Gate(maps, suffix)
        wanted = self.wanted(depth_fraction)
        said: list[str] = []
        probes: list[dict[str, Any]] = []
        for codec in self._from(wanted):
            probe = gate.probe(codec)
            if probe is None:
                said.append(f"{codec} cannot code these maps")
                continue
            probes.append(asdict(probe))
            passes = self.passes(probe)
            said.append(f"{codec} {'passes' if passes else 'fails'}: {probe}")
            if passes:
                return CodecChoice(
                    codec=codec, wanted=wanted, reason="; ".join(said), probes=probes
                )
        raise AssertionError("raw is exact, and passes")

    def _from(self, wanted: str) -> Iterator[str]:
        """A codec and what it gives way to, each once."""
        codecs = [codec for _, codec in self.steps]
        back = codecs[: codecs.index(wanted) + 1][::-1]
        spec = parse_codec(wanted)
        last = [str(replace(spec, quantiser=name, parameters=())) for name in LAST_RESORTS]
        yield from dict.fromkeys([*back, *last])


def _step(item: str) -> tuple[float, str]:
    codec, at, depth = item.partition("@")
    if at and not re.fullmatch(r"\d*\.?\d+", depth):
        raise ValueError(f"A step of a schedule reads CODEC@DEPTH, but got {item!r}.")
    return (float(depth) if at else 0.0), codec.strip()
