"""``freezo cache ls``, ``verify`` and ``gc``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from freezelib.cache import CacheStore, FeatureCache
from sweeps.mending import mend
from sweeps.storage import Storage


def ls(options: argparse.Namespace) -> int:
    """List the caches, least recently used first."""
    rows = [_row(cache) for cache in _store(options).entries()]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(
            f"{row['key']}  {row['cache_bytes']:>12,} B  {row['codec']:9}  "
            f"{'x'.join(map(str, row['map_shape'])):>10}  nrmse {row['nrmse']:.4f}"
        )
    print(f"{len(rows)} caches, {sum(row['cache_bytes'] for row in rows):,} B")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Name everything that is damaged, and make it anew unless told not to."""
    storage = Storage.at(options.storage)
    if options.no_repair:
        found = [(problem, "") for problem in CacheStore(storage.caches).verify()]
    else:
        found = list(mend(storage))
    rows = [{"damage": str(problem), "outcome": outcome} for problem, outcome in found]
    if options.json:
        print(json.dumps({"damaged": rows}, indent=1))
    else:
        lines = [" -> ".join(filter(None, row.values())) for row in rows]
        print("\n".join(lines) if lines else "No damage.")
    return 1 if rows else 0


def step_down(options: argparse.Namespace) -> int:
    """Delete the detachable planes of a cache."""
    freed = _store(options).step_down(options.key)
    print(json.dumps({"freed_bytes": freed}) if options.json else f"{freed:,} B freed")
    return 0


def gc(options: argparse.Namespace) -> int:
    """Delete caches until the rest fit into the budget."""
    if options.max_bytes < 0:
        raise ValueError(f"--max-bytes >= 0 must hold, but got {options.max_bytes}.")
    deleted = _store(options).collect(max_bytes=options.max_bytes)
    if options.json:
        print(json.dumps({"deleted": deleted}, indent=1))
    else:
        print("\n".join([*deleted, f"{len(deleted)} caches deleted"]))
    return 0


def _store(options: argparse.Namespace) -> CacheStore:
    return CacheStore(Storage.at(options.storage).caches)


def _row(cache: FeatureCache) -> dict[str, Any]:
    manifest = cache.manifest
    return {
        "key": manifest.key,
        "codec": manifest.recipe["codec"],
        "map_shape": list(manifest.map_shape),
        "num_samples": manifest.num_samples,
        "cache_bytes": manifest.cache_bytes,
        "nrmse": manifest.nrmse,
        "build_wall_s": manifest.build_wall_s,
    }
