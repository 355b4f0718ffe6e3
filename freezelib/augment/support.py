"""What caching makes of an augmentation at a given cut: exact, approximate or unsupported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freezelib.augment.shifts import map_stride
from freezelib.augment.views import View

_STORE = "Store random views (stored_views=V) or train without a cache."
_STORE_WHOLE = f"Store the view whole (scorer='all'). {_STORE}"


@dataclass(frozen=True)
class Support:
    """Whether cached maps follow a part of an augmentation, and why."""

    kind: Literal["exact", "approximate", "unsupported"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class CachedMaps:
    """What a cache holds of each image.

    Attributes:
        image_shape: ``(c, h, w)``.
        map_shape: ``(C, h', w')``, or ``(tokens, features)`` of a transformer.
        whole_views: Whether every channel is held under every view.
        stored_views: Maps per sample; all but the first are of randomly augmented images.
    """

    image_shape: tuple[int, ...]
    map_shape: tuple[int, ...]
    whole_views: bool = False
    stored_views: int = 1

    def of_view(self, view: View) -> Support:
        """A view of the image."""
        if self.stored_views > 1:
            return self._stored()
        if self.whole_views:
            return Support("exact", "every channel is cached under the view")
        if not view.moves:
            return Support(
                "approximate", "the map stays the same; its sensitive channels are cached"
            )
        if len(self.map_shape) != 3:
            return Support(
                "unsupported",
                "tokens carry the place that they came from, and the class token has none, so "
                f"that moving tokens is not moving the image. {_STORE_WHOLE}",
            )
        return Support(
            "approximate", "the map is moved like the image; its sensitive channels are cached"
        )

    def of_shift(self, pixels: int) -> Support:
        """Shifts of the image by up to some pixels along each axis."""
        if self.stored_views > 1:
            return self._stored()
        if len(self.map_shape) != 3:
            return Support("unsupported", f"tokens carry the place that they came from. {_STORE}")
        stride = map_stride(self.image_shape, self.map_shape)
        if stride is None:
            return Support(
                "unsupported",
                "height and width of the image must be one whole multiple of the map's, but are "
                f"{self.image_shape[1:]} and {self.map_shape[1:]}. {_STORE}",
            )
        if pixels < stride:
            return Support(
                "unsupported",
                f"shift_pixels must reach the next cell, {stride} pixels away, but is {pixels}. "
                f"Shift by {stride} or more. {_STORE}",
            )
        return Support(
            "approximate", f"the map is moved by whole cells of {stride} pixels, its edge repeated"
        )

    def of_batch(self, meaning: str) -> Support:
        """What acts on whatever the trained part reads, here the maps."""
        return Support("exact", f"acts on the feature maps: {meaning}")

    def _stored(self) -> Support:
        return Support(
            "exact",
            f"{self.stored_views - 1} maps of randomly augmented images are cached per sample",
        )
