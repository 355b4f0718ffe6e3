"""Whether a suffix says the same of coded feature maps as of the exact ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from freezelib.codecs import get_codec, parse_codec
from freezelib.modes import eval_mode


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a codec does to the probe maps, and to what the suffix says of them.

    Attributes:
        codec: Its address.
        agreement: Share of the probe samples that keep their top class.
        kl: Mean Kullback-Leibler divergence of the outputs, exact from coded, in nats.
        nrmse: Root mean square error of the maps over their standard deviation.
    """

    codec: str
    agreement: float
    kl: float
    nrmse: float

    def __str__(self) -> str:
        return f"agreement {self.agreement:.3f}, KL {self.kl:.2g}, NRMSE {self.nrmse:.3f}"


class Gate:
    """Holds what a suffix says of coded maps against what it says of the exact ones.

    Args:
        maps: Exact feature maps of some samples, ``float32 [n, C, *positions]``.
        suffix: Probed in eval mode, and left in its own; its outputs are logits ``[n, classes]``.
    """

    def __init__(self, maps: Tensor, suffix: nn.Module) -> None:
        self._maps, self._suffix = maps.contiguous().cpu(), suffix
        self._device = next((p.device for p in suffix.parameters()), maps.device)
        self._exact = self._log_probabilities(self._maps)

    def probe(self, codec: str) -> Probe | None:
        """What a codec does; None if it cannot code these maps.

        Raises:
            ValueError: Nothing can, because they are not finite.
        """
        quantiser = get_codec(codec)
        try:
            planes = quantiser.encode(self._maps)
        except ValueError:
            if parse_codec(codec).quantiser == "raw":
                raise
            return None
        coded = torch.empty_like(self._maps)
        unpacked = quantiser.unpack(planes, tuple(self._maps.shape[1:]))
        quantiser.decode_into(unpacked, torch.arange(len(coded)), coded)
        outputs = self._log_probabilities(coded)
        noise = (coded - self._maps).square().mean() / self._maps.var(correction=0).clamp_min(
            1e-30
        )
        return Probe(
            codec=codec,
            agreement=float((outputs.argmax(1) == self._exact.argmax(1)).float().mean()),
            kl=float(
                functional.kl_div(outputs, self._exact, log_target=True, reduction="none")
                .sum(1)
                .clamp_min(0)  # rounding alone, where it is negative
                .mean()
            ),
            nrmse=float(noise.sqrt()),
        )

    def _log_probabilities(self, maps: Tensor) -> Tensor:
        with eval_mode(self._suffix), torch.no_grad():
            return functional.log_softmax(self._suffix(maps.to(self._device)).double(), dim=1)
