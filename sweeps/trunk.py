"""Trunks: warm-up checkpoints from which many trials fork."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from freezelib.cache.files import write_whole
from freezelib.images import ImageSet
from freezelib.loader import CacheLoader, ImageChunks
from freezelib.models import get_model
from sweeps.config import TrunkConfig
from sweeps.training import warm_up
from sweeps.typed import to_dict

_CHUNK_SAMPLES = 512


def get_trunk(config: TrunkConfig, data: ImageSet, *, folder: Path) -> nn.Module:
    """The trained trunk, made by the first who asks and read by all others.

    Args:
        config: Model and training.
        data: Images that it is trained on.
        folder: Where trunks are kept.

    Returns:
        The model in eval mode.
    """
    model = _fresh(config, data)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{trunk_key(config, data)}.pt"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            chunks = ImageChunks(data, chunk_samples=_CHUNK_SAMPLES, order_seed=config.seed)
            loader = CacheLoader(chunks, batch_size=config.batch_size, seed=config.seed)
            warm_up(model, loader, config)
            checkpoint = io.BytesIO()
            torch.save(model.state_dict(), checkpoint)
            write_whole(path, checkpoint.getbuffer())
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def trunk_key(config: TrunkConfig, data: ImageSet) -> str:
    """What a trunk depends on: its config and the images."""
    text = json.dumps([to_dict(config), data.fingerprint], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def _fresh(config: TrunkConfig, data: ImageSet) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return get_model(
            config.model, in_channels=data.images.shape[1], num_classes=data.num_classes
        )
