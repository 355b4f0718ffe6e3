"""Data-parallel and direction-parallel training, with scalars as the only traffic.

Every rank holds the same weights and makes every perturbation itself, so all that has to travel
are losses or slopes: 8 bytes per number.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hwmodel.checks import require
from zo.guards import as_loss
from zo.looks import Closure
from zo.optimizer import ZO
from zo.restore import Delta, Master


def averaged(closure: Closure, *, group: dist.ProcessGroup | None = None) -> Closure:
    """Return a closure whose loss is the mean over all ranks, each on its own share of the data.

    With it ``ZO`` is data-parallel: all ranks see the same two losses, so they learn the same. A
    look communicates 8 bytes.

    Args:
        closure: This rank's loss.
        group: The ranks; by default all.
    """

    def mean_loss() -> float:
        total = torch.tensor(as_loss(closure()), dtype=torch.float64)
        dist.all_reduce(total, group=group)
        return total.item() / dist.get_world_size(group)

    return mean_loss


class DirectionParallel(ZO):
    """One perturbation per rank: as many queries as ranks, each looked at by one of them.

    A step costs every rank the two forwards of one query, and 16 bytes per rank.

    Args:
        params: As in ``ZO``.
        group: The ranks; by default all.
        options: Further arguments of ``ZO``, without ``queries``. ``restore`` must be ``master``
            or ``delta``: ranks that walk through different places come back with different
            roundings, unless they never add to what they keep.

    Raises:
        ValueError: For another ``restore``.
    """

    def __init__(
        self, params: Any, *, group: dist.ProcessGroup | None = None, **options: Any
    ) -> None:
        self._ranks = group
        super().__init__(params, queries=dist.get_world_size(group), **options)
        require(
            isinstance(self.walk, (Master, Delta)),
            law="ranks with directions of their own restore exactly",
            got=f"restore={self.restore!r}",
            fix="use restore='delta', or 'master' for a source that is not periodic",
        )

    def _measure(self, closure: Closure, scales: dict[int, float]) -> tuple[float, list[float]]:
        token = list(scales)[dist.get_rank(self._ranks)]
        loss, (slope,) = super()._measure(closure, {token: scales[token]})
        mine = torch.tensor([loss, slope], dtype=torch.float64)
        gathered: Sequence[Tensor] = [torch.empty_like(mine) for _ in scales]
        dist.all_gather(gathered, mine, group=self._ranks)
        losses, slopes = torch.stack(list(gathered)).T.tolist()
        return sum(losses) / len(losses), slopes
