"""Batches that are gathered and dequantised in one compiled loop.

Torch alone goes over a batch three times: it gathers codes, converts them and scales the values.
That keeps up with a copy of float32 as long as a batch stays in the processor's cache. One loop,
made by ``torch.compile``, keeps up with it beyond. To make it takes a C++ compiler and seconds,
and it serves batches of one shape. Which of the two is faster depends on shape, codec and machine,
so both are tried.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from freezelib.codecs.base import Codec, Planes, gather
from freezelib.codecs.groups import from_scale
from freezelib.codecs.integers import Integer, low_groups, turned
from freezelib.codecs.race import Race
from freezelib.codecs.scratch import Scratch

_LOOPS = 64  # of a kind in a process, after which torch goes back to running without

_Case = tuple[bool, bool]
"""Whether rows are gathered, and whether there are negative values: each has a loop of its own."""


class Compiled(Codec):
    """An integer codec that may decode batches of one shape by a compiled loop, to the same bits.

    The loop is compiled at the first batch, and what it gives is compared with what the codec
    gives. The next batches are decoded in turns and timed, all others by the faster way. Batches
    of other shapes, or on an accelerator, are left to the codec.

    Args:
        codec: ``int8``, ``int8c``, ``int7`` or ``int4``.
        shape: Of the batches, ``(samples, C, *positions)``.

    Raises:
        ValueError: There is no loop for the codec.
    """

    def __init__(self, codec: Codec, *, shape: tuple[int, ...]) -> None:
        if not isinstance(codec, Integer):
            raise ValueError(
                "What is decoded by a compiled loop is int8, int8c, int7 or int4, but got "
                f"{type(codec).__name__}: take one of them, or do not compile."
            )
        self._codec, self._shape = codec, torch.Size(shape)
        self.detachable = codec.detachable
        self._loop = torch.compile(
            _nibbles if codec.bits == 4 else _bytes,
            dynamic=False,  # where a size is a variable, the loop is not vectorised
            options={"cpp_wrapper": True},  # which gives up Python's lock while it runs
        )
        self._races: dict[_Case, Race] = {}

    def encode(self, maps: Tensor) -> dict[str, Tensor]:
        """See :class:`~freezelib.codecs.base.Codec`."""
        return self._codec.encode(maps)

    def error_bound(self, maps: Tensor) -> Tensor:
        """See :class:`~freezelib.codecs.base.Codec`."""
        return self._codec.error_bound(maps)

    def dequantise_into(self, planes: Planes, out: Tensor, scratch: Scratch) -> None:
        """See :class:`~freezelib.codecs.base.Codec`."""
        self._decode(
            lambda: self._run(planes["codes"], None, planes, out),
            lambda to: self._codec.dequantise_into(planes, to, scratch),
            case=(False, "zero" in planes),
            out=out,
        )

    def decode_into(
        self, planes: Planes, rows: Tensor, out: Tensor, scratch: Scratch | None = None
    ) -> None:
        """See :class:`~freezelib.codecs.base.Codec`; the loop gathers the codes as well."""
        scratch = scratch or Scratch()
        scales = {name: plane for name, plane in planes.items() if name != "codes"}
        self._decode(
            lambda: self._run(planes["codes"], rows, gather(scales, rows, scratch), out),
            lambda to: self._codec.decode_into(planes, rows, to, scratch),
            case=(True, "zero" in planes),
            out=out,
        )

    def _decode(
        self,
        loop: Callable[[], None],
        codec: Callable[[Tensor], None],
        *,
        case: _Case,
        out: Tensor,
    ) -> None:
        if out.shape != self._shape or out.device.type != "cpu" or out.numel() == 0:
            codec(out)
        elif case not in self._races:
            _compile_and_compare(loop, codec, out)
            self._races[case] = Race()
        else:
            self._races[case].run(loop, lambda: codec(out))

    def _run(self, codes: Tensor, rows: Tensor | None, scales: Planes, out: Tensor) -> None:
        self._loop(*self._arranged(codes, rows, scales, out))

    def _arranged(
        self, codes: Tensor, rows: Tensor | None, scales: Planes, out: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None, Tensor]:
        """Arguments of the loop, seen by group, or by channel where columns are to be turned."""
        step = from_scale(scales["scale"])
        zero = scales["zero"].float() if "zero" in scales else None
        if self._codec.by_columns:
            maps = turned(out)
            shape, like = maps.shape[1:], (*maps.shape[:2], *(1,) * (maps.ndim - 2))
        else:
            maps = out.view(len(out), step.shape[1], -1)
            groups = low_groups(step) if self._codec.bits == 4 else step.shape[1]
            shape, like = torch.Size((groups, maps.shape[2])), (*step.shape, 1)

        merged = like[1] // step.shape[1]  # channels that share a scale

        def spread(of_groups: Tensor) -> Tensor:
            each = of_groups if merged == 1 else of_groups.repeat_interleave(merged, 1)
            return each.view(like)

        return (
            codes.view(len(codes), *shape),
            rows,
            spread(step),
            None if zero is None else spread(zero),
            maps,
        )


def _compile_and_compare(
    loop: Callable[[], None], codec: Callable[[Tensor], None], out: Tensor
) -> None:
    """Write a batch by a loop that is new, and hold it against the codec's.

    Raises:
        RuntimeError: It cannot be compiled, or gives something else.
    """
    try:
        with torch._dynamo.config.patch(recompile_limit=_LOOPS):
            loop()
    except Exception as error:
        raise RuntimeError(
            "A decoding loop is compiled by C++ with Python's headers, which failed: install g++ "
            "and python3-dev, or do not compile."
        ) from error
    codec(exact := torch.empty_like(out))
    if not torch.equal(out, exact):
        raise RuntimeError(
            f"The decoding loop compiled by torch {torch.__version__} does not give what the "
            "codec gives: do not compile."
        )


# The loops: codes uint8 [N, ...] or two in a byte, the rows of them to take (None: all), step and
# zero of each, and the maps [n, ...] to write.


def _bytes(
    codes: Tensor, rows: Tensor | None, step: Tensor, zero: Tensor | None, maps: Tensor
) -> None:
    maps.copy_(_values(_taken(codes, rows), step, zero))


def _nibbles(
    codes: Tensor, rows: Tensor | None, step: Tensor, zero: Tensor | None, maps: Tensor
) -> None:
    packed, groups = _taken(codes, rows).int(), step.shape[1]
    low = packed.shape[1]
    first, second = slice(None, low), slice(low, None)
    high = (packed >> 4)[:, : groups - low]
    for part, mine in ((first, packed & 15), (second, high)):
        zeros = None if zero is None else zero[:, part]
        maps[:, part].copy_(_values(mine, step[:, part], zeros))


def _taken(codes: Tensor, rows: Tensor | None) -> Tensor:
    return codes if rows is None else codes[rows]


def _values(codes: Tensor, step: Tensor, zero: Tensor | None) -> Tensor:
    values = codes.float()
    return (values if zero is None else values - zero) * step
