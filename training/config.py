"""A training run as one YAML file, checked before anything long starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from depth_estimation_ros.errors import ParameterError
from training.data.augment import Augmentation


@dataclass(frozen=True)
class FolderConfig:
    """One data folder, relative to the data root, and its share of the training pictures."""

    path: str
    weight: float


@dataclass(frozen=True)
class DataConfig:
    """What is trained on, at which size, and in which canonical camera (None: none)."""

    height: int
    width: int
    canonical_focal_px: float | None
    folders: tuple[FolderConfig, ...]
    validation: tuple[str, ...]
    augmentation: Augmentation


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and cosine decay to zero over ``steps``."""

    steps: int
    batch_size: int
    lr: float
    encoder_lr: float
    weight_decay: float
    warmup_steps: int
    gradient_clip: float
    ema_decay: float


@dataclass(frozen=True)
class TrainerConfig:
    """Lightning's precision, data-loader workers, and steps between validations."""

    precision: str
    workers: int
    validate_every: int


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a run learns.

    ``network`` and ``loss`` hold a ``name`` and the options of that network or loss.
    """

    name: str
    seed: int
    network: dict[str, Any]
    encoder_weights: str
    loss: dict[str, Any]
    data: DataConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig


def load_config(path: str | Path) -> TrainingConfig:
    """Reads ``path``.

    Raises:
        ParameterError: naming the file and the key that is missing, unknown or of a wrong kind.
    """
    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"no training config {path}", fix="See config/training/.")
    return parse_config(yaml.safe_load(path.read_text()), str(path))


def parse_config(values: Any, source: str) -> TrainingConfig:
    """Checks a mapping as read from YAML or kept in a checkpoint; ``source`` names it in errors."""
    return _build(TrainingConfig, values, source)


def _build(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ParameterError(f"{where} is not a mapping", found=value)
        names = [field.name for field in fields(kind)]
        unknown, missing = set(value) - set(names), set(names) - set(value)
        if unknown or missing:
            problem = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
            raise ParameterError(f"{where}: {problem}", expected=", ".join(names))
        hints = get_type_hints(kind)
        return kind(
            **{name: _build(hints[name], value[name], f"{where}: {name}") for name in names}
        )
    if getattr(kind, "__origin__", None) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ParameterError(f"{where} is not a list", found=value)
        return tuple(_build(kind.__args__[0], item, where) for item in value)
    accepted = (int, float) if kind is float else getattr(kind, "__origin__", kind)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise ParameterError(f"{where} has a wrong type", found=repr(value), expected=kind)
    return value
