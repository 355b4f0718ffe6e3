"""Design points drawn at random: what the checks against tools are made on, besides named ones."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from hwmodel.designs.base import Design
from hwmodel.designs.box_muller import BoxMuller
from hwmodel.designs.clt import Clt
from hwmodel.designs.inverse_cdf import InverseCdf
from hwmodel.designs.lfsr import Lfsr
from hwmodel.designs.lfsr_bank import LfsrBank
from hwmodel.designs.pool import Pool
from hwmodel.designs.replicate import Replicate
from hwmodel.designs.scale import Multiplier, PowerOfTwo
from hwmodel.designs.tree import TreeGrng
from hwmodel.designs.wallace import WallaceHadamard
from hwmodel.gf2 import coprime_leap

# Larger memories take a simulator or a synthesis minutes.
_MEMORY_BITS = 1 << 20

# The product with a factor of twelve bits must fit a code of 32.
_MULTIPLIED_BITS = 18


class Draw:
    """Uniform draws that depend on a seed alone."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def between(self, low: int, high: int) -> int:
        """Return an integer of ``low..high``."""
        return int(self._rng.integers(low, high + 1))

    def scale(self, low: int, high: int) -> int:
        """Return an integer of ``low..high``, its logarithm uniform."""
        return round(low * (high / low) ** float(self._rng.random()))

    def one_of(self, *choices: int) -> int:
        """Return one of the choices."""
        return choices[self.between(0, len(choices) - 1)]

    def seed(self) -> int:
        """Return a seed for a design."""
        return self.between(0, 1 << 40)


def random_designs(
    seed: int, *, families: tuple[str, ...] | None = None, known: tuple[Design, ...] = ()
) -> Iterator[tuple[str, Design]]:
    """Yield families and designs, one family after the other, for ever.

    No shape (a design without its seeds) comes twice; a family whose shapes are used up is left
    out.

    Args:
        seed: Equal seeds yield equal designs.
        families: Names out of ``FAMILIES``; all by default.
        known: Designs whose shapes are not to be drawn.
    """
    draw = Draw(seed)
    seen = {_shape(design) for design in known}
    left = list(families or FAMILIES)
    while left:
        for family in tuple(left):
            design = next((d for d in _attempts(family, draw) if _shape(d) not in seen), None)
            if design is None:
                left.remove(family)
                continue
            seen.add(_shape(design))
            yield family, design


def _attempts(family: str, draw: Draw) -> Iterator[Design]:
    return (FAMILIES[family](draw) for _ in range(100))


def _shape(design: Design) -> Design:
    fields = vars(design)
    given = {"seed": 0} if "seed" in fields else {"design": _shape(fields["design"])}
    return replace(design, **given)


def _lfsr(draw: Draw) -> Lfsr:
    bits = draw.between(4, 24)
    return Lfsr(
        state_bits=bits,
        leap=coprime_leap(bits, at_least=draw.between(1, min(32, 2**bits - 2))),
        form="galois" if draw.between(0, 1) else "fibonacci",
        seed=draw.seed(),
    )


def _bank(draw: Draw) -> LfsrBank:
    bits = draw.between(4, 24)
    return LfsrBank(
        num_rngs=draw.between(2, min(64, 2**bits - 1)),
        bits=bits,
        leap=coprime_leap(bits, at_least=draw.between(1, min(2 * bits, 2**bits - 2))),
        rotation="none" if draw.between(0, 1) else "ring",
        seed=draw.seed(),
    )


def _barrel(draw: Draw) -> LfsrBank:
    bits = draw.between(4, 16)
    return LfsrBank(
        num_rngs=draw.between(2, min(64, 2**bits - 1)),
        bits=bits,
        rotation="barrel",
        seed=draw.seed(),
    )


def _pool(draw: Draw) -> Pool:
    while True:
        lanes, bits = draw.one_of(1, 2, 3, 4, 5, 8, 16, 32, 64), draw.between(1, 16)
        pool = Pool(size=draw.scale(65, 1 << 14), bits=bits, lanes=lanes, seed=draw.seed())
        if pool.depth * lanes * bits <= _MEMORY_BITS:
            return pool


def _clt(draw: Draw) -> Clt:
    bits = draw.between(2, 12)
    return Clt(terms=draw.between(2, min(24, 4**bits - 1)), bits=bits, seed=draw.seed())


def _inverse_cdf(draw: Draw) -> InverseCdf:
    return InverseCdf(address_bits=draw.between(3, 14), bits=draw.between(2, 16), seed=draw.seed())


def _box_muller(draw: Draw) -> BoxMuller:
    return BoxMuller(
        bits=draw.between(6, 16),
        radius_bits=draw.between(4, 10),
        angle_bits=draw.between(4, 8),
        seed=draw.seed(),
    )


def _wallace(draw: Draw) -> WallaceHadamard:
    return WallaceHadamard(
        depth=2 * draw.scale(4, 1 << 10), bits=draw.between(6, 18), seed=draw.seed()
    )


def _tree(draw: Draw) -> TreeGrng:
    return TreeGrng(bits=draw.between(2, 10), seed=draw.seed())


def _scaled(draw: Draw) -> Multiplier | PowerOfTwo:
    source = (_bank, _pool)[draw.between(0, 1)](draw)
    while source.word_bits > _MULTIPLIED_BITS:
        source = _bank(draw)
    if draw.between(0, 3) == 0:
        return PowerOfTwo(design=source, shift=draw.between(-4, 4))
    return Multiplier(design=source, factor=draw.between(2, (1 << 12) - 1))


def _replicate(draw: Draw) -> Replicate:
    inner = (_clt, _inverse_cdf, _tree, _pool)[draw.between(0, 3)](draw)
    return Replicate(design=inner, lanes=draw.between(2, 6))


FAMILIES: dict[str, Callable[[Draw], Design]] = {
    "LFSR": _lfsr,
    "bank": _bank,
    "barrel": _barrel,
    "pool": _pool,
    "CLT": _clt,
    "inverse CDF": _inverse_cdf,
    "Box-Muller": _box_muller,
    "Wallace-Hadamard": _wallace,
    "tree": _tree,
    "scaler": _scaled,
    "replicate": _replicate,
}
