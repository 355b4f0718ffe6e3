"""What a cache is made of, and the key that follows from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from freezelib.codecs.spec import parse_codec
from freezelib.scorers import SCORERS

FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class CacheRecipe:
    """Everything that the bytes of a cache depend on, and nothing of the suffix.

    Digest and fingerprint are empty in a template, which :class:`~freezelib.FreezeTrainer` fills
    in at each freeze.

    Attributes:
        prefix_digest: Digest of the frozen prefix: structure, parameters and buffers.
        data_fingerprint: Fingerprint of the images, labels and canonical preprocessing.
        codec: Address of the codec, as ``"int8+lz4"``.
        views: Addresses of the views whose sensitive channels are cached once more.
        scorer: How channels are ranked; ``all`` caches each of them once more per view.
        similarity_threshold: Channels with a lower score are sensitive.
        max_fraction: Budget of sensitive channels per view, as a share of all channels.
        correct: Whether an affine 1x1 map brings the other channels closer; it needs no storage.
        channel_gain: Weight of each channel in ``error_energy`` (squared norm of the next
            layer's weights at the time of the freeze); empty for equal weights.
        stored_views: Maps per sample; all but the first are of randomly augmented images, and
            then ``views``, ``view_probability`` and ``shift_pixels`` say how.
        view_probability: Share of the augmented images that take one of the views.
        shift_pixels: Their largest shift along each axis.
        advanced_from: Key of the cache whose maps were run through the newly frozen layers;
            empty if the maps are made of the images.
        score_samples: Images on which the similarity is measured.
        chunk_samples: Samples per chunk.
        order_seed: Seed of the permutation that deals samples to chunks, and of what is random.
    """

    prefix_digest: str = ""
    data_fingerprint: str = ""
    codec: str = "int8+lz4"
    views: tuple[str, ...] = ()
    scorer: str = "corr"
    similarity_threshold: float = 0.9
    max_fraction: float = 0.25
    correct: bool = False
    channel_gain: tuple[float, ...] = ()
    stored_views: int = 1
    view_probability: float = 0.5
    shift_pixels: int = 0
    advanced_from: str = ""
    score_samples: int = 512
    chunk_samples: int = 512
    order_seed: int = 0

    def __post_init__(self) -> None:
        parse_codec(self.codec)
        if self.scorer not in SCORERS:
            raise ValueError(f"scorer must be one of {SCORERS}, but got {self.scorer!r}.")
        if not -1 <= self.similarity_threshold <= 1.01:
            raise ValueError(
                "-1 <= similarity_threshold <= 1.01 must hold (a correlation; 1.01 takes every "
                f"channel), but got {self.similarity_threshold}."
            )
        for name in ("max_fraction", "view_probability"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"0 <= {name} <= 1 must hold, but got {value}.")
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} >= {least} must hold, but got {value}.")

    @property
    def key(self) -> str:
        """BLAKE2b-160 of the recipe as canonical JSON, as hex."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def effective(self) -> CacheRecipe:
        """The same recipe with every knob that does not act at its default."""
        idle: dict[str, object] = {}
        if self.stored_views == 1:
            idle |= {name: getattr(CacheRecipe, name) for name in _STORED_VIEW_KNOBS}
        if self.stored_views > 1 or not self.views:
            idle |= {name: getattr(CacheRecipe, name) for name in _CHANNEL_KNOBS}
        elif self.scorer in ("all", "none"):
            idle |= {name: getattr(CacheRecipe, name) for name in ("max_fraction", "channel_gain")}
            idle["similarity_threshold"] = CacheRecipe.similarity_threshold
        elif self.scorer != "error_energy":
            idle["channel_gain"] = ()
        return replace(self, **idle)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, object]:
        """The recipe and the format version, as they stand in the manifest.

        One spelling for one meaning: ``1`` and ``1.0``, or ``raw`` and ``raw+none``, share a key,
        and so do recipes that differ only in what does not act.
        """
        one = self.effective()
        return {
            "format_version": FORMAT_VERSION,
            **asdict(one),
            "codec": str(parse_codec(one.codec)),
            "views": list(one.views),
            "channel_gain": [float(gain) for gain in one.channel_gain],
            "similarity_threshold": float(one.similarity_threshold),
            "max_fraction": float(one.max_fraction),
            "view_probability": float(one.view_probability),
        }

    @classmethod
    def from_json(cls, fields: dict[str, object]) -> CacheRecipe:
        """The recipe that stands in a manifest."""
        values = {name: fields[name] for name in cls.__dataclass_fields__}
        values["views"] = tuple(fields["views"])  # type: ignore[arg-type]
        values["channel_gain"] = tuple(fields["channel_gain"])  # type: ignore[arg-type]
        return cls(**values)  # type: ignore[arg-type]


_LEAST = {"chunk_samples": 1, "score_samples": 1, "stored_views": 1, "shift_pixels": 0}
_STORED_VIEW_KNOBS = ("view_probability", "shift_pixels")
_CHANNEL_KNOBS = (
    "scorer",
    "similarity_threshold",
    "max_fraction",
    "correct",
    "channel_gain",
    "score_samples",
)
