"""One phase of a training: what is frozen, what is trained, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from freezelib.cache import CacheRecipe, CacheSpaceError, CacheStore, FeatureCache
from freezelib.cache.maps import AdvancedMaps, Maps
from freezelib.cuts import Cut, find_cuts, split
from freezelib.frozen import FrozenPrefix
from freezelib.images import ImageSet
from freezelib.schedule import CompressionSchedule
from freezelib.sources import ChunkSource, FrozenImages, ImageChunks
from freezelib.trainer.config import TrainerConfig

_PROBE_SAMPLES = 256  # on which a codec is tried before it is taken


@dataclass(frozen=True, kw_only=True)
class Phase:
    """The time between two freeze events.

    Attributes:
        k: The freeze point; 0 if nothing is frozen.
        network: What is trained: the suffix, or the whole model.
        source: What it reads.
        prefix: What is frozen.
        codec: Of the cache, once it is chosen; empty without one.
        reason: Why this codec, or why there is no cache.
    """

    k: int
    network: nn.Module
    source: ChunkSource
    prefix: FrozenPrefix | None = None
    codec: str = ""
    reason: str = ""

    @property
    def cache(self) -> FeatureCache | None:
        """The cache, if there is one."""
        return self.source if isinstance(self.source, FeatureCache) else None


class Phases:
    """Makes the phases of one training.

    Args:
        model: The model; all phases share its parameters.
        data: The training images.
        config: How to cache.
        store: Where caches are kept; None to run frozen layers at each step.

    Attributes:
        cuts: All freeze points of the model.
        example: Two images.
    """

    def __init__(
        self, model: nn.Module, data: ImageSet, config: TrainerConfig, store: CacheStore | None
    ) -> None:
        self._model, self._data, self._config, self._store = model, data, config, store
        self.example = data.read(slice(0, 2))
        self._schedule = CompressionSchedule.parse(config.schedule)
        self.cuts: list[Cut] = find_cuts(model, self.example)

    @property
    def has_store(self) -> bool:
        """Whether frozen layers are cached."""
        return self._store is not None and self._config.cached

    def cost_of_freezing(self, k: int, deeper: int) -> tuple[float, float]:
        """What a deeper freeze would cost and save, in full training epochs.

        Counted in multiply-accumulates, a backward pass as two forward passes, so that the
        decision does not hang on how busy the machine is.

        Returns:
            ``(build, saved)``: of the cache, and in each epoch after it.
        """
        share = [0.0, *(cut.prefix_mac_share for cut in self.cuts)]
        if not self.has_store:
            return 0.0, (share[deeper] - share[k]) * 2 / 3
        passes = max(self._config.recipe.stored_views, 1 + len(self._config.augmentation.views))
        return passes * share[deeper] / 3, share[deeper] - share[k]

    def enter(self, k: int, *, codec: str = "", before: Phase | None = None) -> Phase:
        """Freeze at a cut, with a cache that is found or built.

        Args:
            k: The freeze point; 0 for nothing.
            codec: The cache's, if it was chosen already (a training that is resumed).
            before: The phase that ends, whose cache the new one may be made of.

        Returns:
            The phase. If there is no room for a cache the prefix runs at each step: slower, and
            just as right.
        """
        chunks = {
            "chunk_samples": self._config.recipe.chunk_samples,
            "order_seed": self._config.recipe.order_seed,
        }
        if k == 0:
            return Phase(k=0, network=self._model, source=ImageChunks(self._data, **chunks))
        head, suffix = split(self._model, self.cuts[k - 1], example_input=self.example)
        prefix = FrozenPrefix(head)
        online = Phase(
            k=k,
            network=suffix,
            source=FrozenImages(self._data, prefix, **chunks),
            prefix=prefix,
            reason="no cache was asked for",
        )
        if not self.has_store:
            return online
        reason = "chosen before"
        if not codec:
            codec, reason = self._choose(k, prefix, suffix)
        try:
            cache = self._cache(k, prefix, codec, before)
        except CacheSpaceError as error:
            return replace(online, reason=f"no room for a cache: {error}")
        return replace(online, source=cache, codec=codec, reason=reason)

    def _choose(self, k: int, prefix: FrozenPrefix, suffix: nn.Module) -> tuple[str, str]:
        """The codec that the schedule wants at this depth, if the suffix bears it."""
        maps = prefix(self._data.read(slice(0, _PROBE_SAMPLES)))
        choice = self._schedule.choose(k / len(self.cuts), maps, suffix)
        return choice.codec, choice.reason

    def _cache(
        self, k: int, prefix: FrozenPrefix, codec: str, before: Phase | None
    ) -> FeatureCache:
        assert self._store is not None
        recipe = self.recipe(prefix, codec)
        maps: Maps | None = None
        if self._config.recache == "cache" and before is not None and before.cache is not None:
            recipe = replace(recipe, advanced_from=before.cache.manifest.key)
            maps = AdvancedMaps(before.cache, self._middle(before, k), recipe)
        return self._store.get_or_build(recipe, prefix=prefix, data=self._data, maps=maps)

    def _middle(self, before: Phase, k: int) -> nn.Module:
        """The layers between the freeze point of a phase and a deeper one."""
        assert before.prefix is not None
        maps = before.prefix(self.example)
        cuts = find_cuts(before.network, maps)
        middle, _ = split(before.network, cuts[k - before.k - 1], example_input=maps)
        return middle

    def recipe(self, prefix: FrozenPrefix, codec: str) -> CacheRecipe:
        """The recipe of a prefix's cache."""
        augmentation = self._config.augmentation
        return replace(
            self._config.recipe,
            prefix_digest=prefix.digest,
            data_fingerprint=self._data.fingerprint,
            codec=codec,
            views=augmentation.views,
            view_probability=augmentation.view_probability,
            shift_pixels=augmentation.shift_pixels,
        )
