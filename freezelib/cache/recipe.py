"""What a cache is made of, and the key that follows from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from freezelib.codecs.spec import parse_codec

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CacheRecipe:
    """Everything that the bytes of a cache depend on, and nothing of the suffix.

    Attributes:
        prefix_digest: Digest of the frozen prefix: structure, parameters and buffers.
        data_fingerprint: Fingerprint of the images, labels and canonical preprocessing.
        codec: Address of the codec, as ``"int8+lz4"``.
        views: Addresses of the views whose sensitive channels are cached once more.
        similarity_threshold: Channels with a lower centred correlation are sensitive.
        max_fraction: Budget of sensitive channels per view, as a share of all channels.
        score_samples: Images on which the similarity is measured.
        chunk_samples: Samples per chunk.
        order_seed: Seed of the permutation that deals samples to chunks.
    """

    prefix_digest: str
    data_fingerprint: str
    codec: str = "int8+lz4"
    views: tuple[str, ...] = ()
    similarity_threshold: float = 0.9
    max_fraction: float = 0.25
    score_samples: int = 512
    chunk_samples: int = 512
    order_seed: int = 0

    def __post_init__(self) -> None:
        parse_codec(self.codec)
        if not -1 <= self.similarity_threshold <= 1.01:
            raise ValueError(
                "-1 <= similarity_threshold <= 1.01 must hold (a correlation; 1.01 takes every "
                f"channel), but got {self.similarity_threshold}."
            )
        if not 0 <= self.max_fraction <= 1:
            raise ValueError(f"0 <= max_fraction <= 1 must hold, but got {self.max_fraction}.")
        if self.chunk_samples < 1 or self.score_samples < 1:
            raise ValueError(
                "chunk_samples and score_samples must be at least 1, but got "
                f"{self.chunk_samples} and {self.score_samples}."
            )

    @property
    def key(self) -> str:
        """BLAKE2b-160 of the recipe as canonical JSON, as hex."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def to_json(self) -> dict[str, object]:
        """The recipe and the format version, as they stand in the manifest.

        One spelling for one meaning: ``1`` and ``1.0``, or ``raw`` and ``raw+none``, share a key.
        """
        return {
            "format_version": FORMAT_VERSION,
            **asdict(self),
            "codec": str(parse_codec(self.codec)),
            "views": list(self.views),
            "similarity_threshold": float(self.similarity_threshold),
            "max_fraction": float(self.max_fraction),
        }
