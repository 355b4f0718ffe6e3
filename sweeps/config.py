"""What one trial is, and what a sweep of trials is: frozen, validated, typed.

A config that exists is a config that is inside its ranges. Names (codecs, sources) are checked
here as well; what depends on the model (does it have that cut?) is checked before a sweep starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from freezelib.codecs.spec import parse_codec
from freezelib.policies import Guards, get_policy
from freezelib.scorers import SCORERS
from sweeps.typed import field_type, to_dict, unknown_key
from zo.addresses import parse_source

METHODS = ("backprop", "zo")
SEARCHES = ("grid", "random", "optuna")


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """Which data, and whether the sensor has drifted since the trunk was trained."""

    name: str = "digits"
    drift: bool = False  # adapt the trunk to rotated, shifted, noisy images
    train_samples: int | None = None  # of the images to train on; all of them by default
    seed: int = 0  # of the split, the drift, and the synthetic images

    def __post_init__(self) -> None:
        _law(self.train_samples is None or self.train_samples >= 1, "train_samples >= 1", self)


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """The warm-up training that trials fork from."""

    model: str = "resnet8"
    steps: int = 360
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0

    def __post_init__(self) -> None:
        _law(self.steps >= 0, "steps >= 0", self)
        _check_sgd(self)


@dataclass(frozen=True, kw_only=True)
class CacheConfig:
    """How the feature maps of the frozen prefix are cached."""

    codec: str = "int8+lz4"
    views: tuple[str, ...] = ()
    view_probability: float = 0.5
    similarity_threshold: float = 0.9
    scorer: str = "corr"  # how channels are ranked; "all" caches each under each view
    max_fraction: float = 0.25  # budget of sensitive channels per view
    correct: bool = False  # an affine 1x1 map brings the other channels closer
    stored_views: int = 1  # maps per sample; all but the first of augmented images
    shift_pixels: int = 0  # largest random shift
    chunk_samples: int = 512

    def __post_init__(self) -> None:
        parse_codec(self.codec)
        _law(0 <= self.view_probability <= 1, "0 <= view_probability <= 1", self)
        _law(-1 <= self.similarity_threshold <= 1.01, "-1 <= similarity_threshold <= 1.01", self)
        _law(0 <= self.max_fraction <= 1, "0 <= max_fraction <= 1", self)
        _law(self.scorer in SCORERS, f"scorer in {list(SCORERS)}", self)
        _law(self.stored_views >= 1, "stored_views >= 1", self)
        _law(self.shift_pixels >= 0, "shift_pixels >= 0", self)
        _law(self.chunk_samples >= 1, "chunk_samples >= 1", self)


@dataclass(frozen=True, kw_only=True)
class FreezeConfig:
    """When to freeze, if that happens on the way and not once, at ``cut``, before the training."""

    policy: str = ""  # as "linear:start=0.3"; empty for a trial that forks from a frozen trunk
    warmup: float = 0.1  # share of the epochs in which nothing is frozen
    max_fraction: float = 2 / 3  # deepest freeze, as a share of the cuts
    break_even: float = 1.2  # what a freeze must save, over what its cache costs
    unfreeze_last: int = 0  # epochs at the end that train everything again
    schedule: str = ""  # codecs by depth, as "int8+lz4, int4+lz4@0.5"; empty for cache.codec
    recache: str = "images"  # what a deeper cache is made of: images, or the cache before

    def __post_init__(self) -> None:
        if self.policy:
            get_policy(self.policy)
        for item in filter(None, self.schedule.split(",")):
            parse_codec(item.partition("@")[0].strip())
        _law(self.recache in ("images", "cache"), "recache in [images, cache]", self)
        Guards(
            warmup=self.warmup,
            max_fraction=self.max_fraction,
            break_even=self.break_even,
            unfreeze_last=self.unfreeze_last,
        )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the suffix is trained. The second half acts on zeroth-order training alone."""

    method: str = "backprop"
    steps: int = 240
    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    source: str = "gaussian"  # perturbation source
    eps: float = 1e-3
    scaling: str = "exact"  # modulus scale
    scope: str = "global"  # of the modulus scale: global or per_tensor
    queries: int = 1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, but got {self.method!r}.")
        parse_source(self.source)
        _law(self.steps >= 1, "steps >= 1", self)
        _law(self.eps > 0, "eps > 0", self)
        _law(self.scaling in ("exact", "pow2", "none"), "scaling in [exact, pow2, none]", self)
        _law(self.scope in ("global", "per_tensor"), "scope in [global, per_tensor]", self)
        _law(self.queries >= 1, "queries >= 1", self)
        _check_sgd(self)


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """How the random number generator is priced."""

    lanes: int = 32  # numbers per clock of designs that can be made any width
    clock_mhz: float = 100.0
    technology: str = "rapidsilicon-published"

    def __post_init__(self) -> None:
        _law(self.lanes >= 1, "lanes >= 1", self)
        _law(self.clock_mhz > 0, "clock_mhz > 0", self)


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial: task -> trunk -> cut -> cache -> train -> score."""

    task: TaskConfig = field(default_factory=TaskConfig)
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    cut: int = 0  # freeze point; 0 freezes nothing and caches nothing
    cache: CacheConfig = field(default_factory=CacheConfig)
    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    seed: int = 0  # of sample order, views and perturbations

    def __post_init__(self) -> None:
        _law(self.cut >= 0, "cut >= 0", self)
        by_policy = bool(self.freeze.policy)
        _law(not (by_policy and self.cut), "cut = 0 where a policy freezes", self)
        _law(not by_policy or self.train.method == "backprop", "backprop under a policy", self)
        _law(self.seed >= 0, "seed >= 0", self)

    def effective(self) -> TrialConfig:
        """The same trial with every knob that does not act at its default.

        Two configs that differ only in what does not act are one trial.
        """
        cache, train, hardware = self.cache, self.train, self.hardware
        freeze = self.freeze if self.freeze.policy else FreezeConfig()
        if (
            self.cut == 0 and not freeze.policy
        ):  # views act on the images; nothing is coded or compared
            cache = CacheConfig(
                views=cache.views,
                view_probability=cache.view_probability,
                shift_pixels=cache.shift_pixels,
                chunk_samples=cache.chunk_samples,
            )
        if not cache.views:
            cache = replace(cache, view_probability=CacheConfig.view_probability)
        if not cache.views or cache.stored_views > 1:
            idle = {name: getattr(CacheConfig, name) for name in _CHANNEL_KNOBS}
            cache = replace(cache, **idle)
        if train.method == "backprop":
            hardware = HardwareConfig()
            unused = {name: getattr(TrainConfig, name) for name in _ZEROTH_ORDER_KNOBS}
            train = replace(train, **unused)
        else:
            train = replace(train, momentum=TrainConfig.momentum)
        return replace(self, cache=cache, freeze=freeze, train=train, hardware=hardware)

    @property
    def id(self) -> str:
        """Twelve hex digits that name the trial by its content."""
        text = json.dumps(to_dict(self.effective()), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    @property
    def label(self) -> str:
        """The trial in a few words, for lists."""
        parts = [self.freeze.policy or f"cut {self.cut}"]
        if self.cut or self.freeze.policy:
            parts.append(self.cache.codec)
            if self.cache.views:
                parts.append(f"similarity {self.cache.similarity_threshold:g}")
        parts.append(self.train.source if self.train.method == "zo" else "backprop")
        if self.seed:
            parts.append(f"seed {self.seed}")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One branch of a search space: what it fixes, and the choices along its axes.

    Attributes:
        fixed: ``{dotted path: value}``.
        axes: ``{dotted path: choices}``.
    """

    fixed: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (*self.fixed, *self.axes):
            field_type(TrialConfig, path)
        for path, choices in self.axes.items():
            if not choices:
                raise ValueError(f"An axis needs at least one choice, but {path!r} has none.")


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A search over trials.

    Attributes:
        description: One line for ``freezo presets``.
        base: What every trial starts from.
        arms: Branches of the search space, named; knobs that only make sense together share one.
        search: ``grid`` runs every point, ``random`` and ``optuna`` (multi-objective) sample.
        num_trials: How many to sample; a grid runs all its points.
        objectives: Scores that span the Pareto front.
        seed: Of the sampler.
        trial_cpus: CPUs per trial.
        trial_gpus: GPUs per trial.
    """

    description: str = ""
    base: TrialConfig = field(default_factory=TrialConfig)
    arms: Mapping[str, Arm] = field(default_factory=lambda: {"base": Arm()})
    search: str = "grid"
    num_trials: int | None = None
    objectives: tuple[str, ...] = (
        "accuracy",
        "cache_bytes",
        "train_wall_s",
        "train_memory_bytes",
        "lut",
        "ff",
        "power_mw",
    )
    seed: int = 0
    trial_cpus: float = 1.0
    trial_gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            raise ValueError(f"search must be one of {SEARCHES}, but got {self.search!r}.")
        if (self.search == "grid") != (self.num_trials is None):
            raise ValueError(
                "A sampled search needs num_trials and a grid has none, but got "
                f"search={self.search!r}, num_trials={self.num_trials}."
            )
        _law(self.num_trials is None or self.num_trials >= 1, "num_trials >= 1", self)
        _law(len(self.arms) >= 1, "at least one arm", self)
        _law(self.trial_cpus > 0 and self.trial_gpus >= 0, "trial_cpus > 0, trial_gpus >= 0", self)
        if unknown := [name for name in self.objectives if name not in OBJECTIVES]:
            raise unknown_key(unknown[0], list(OBJECTIVES))


# Every score that may span the front, and whether more of it is better.
OBJECTIVES = {
    "accuracy": True,
    "cache_bytes": False,
    "build_wall_s": False,
    "train_wall_s": False,
    "train_memory_bytes": False,
    "lut": False,
    "ff": False,
    "bram": False,
    "power_mw": False,
}

_CHANNEL_KNOBS = ("scorer", "similarity_threshold", "max_fraction", "correct")
_ZEROTH_ORDER_KNOBS = ("source", "eps", "scaling", "scope", "queries")


def _check_sgd(config: TrunkConfig | TrainConfig) -> None:
    _law(config.batch_size >= 2, "batch_size >= 2", config)
    _law(config.lr > 0, "lr > 0", config)
    _law(0 <= config.momentum < 1, "0 <= momentum < 1", config)
    _law(config.weight_decay >= 0, "weight_decay >= 0", config)


def _law(holds: bool, law: str, config: object) -> None:
    if not holds:
        raise ValueError(f"{law} must hold, but got {config}.")
