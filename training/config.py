"""A training run as one YAML file, checked before anything long starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from depth_estimation_ros.errors import ParameterError
from training.data.augment import Augmentation


@dataclass(frozen=True)
class NamedConfig:
    """A network or loss by name; in the file its options stand beside the name."""

    name: str
    options: dict[str, Any]


@dataclass(frozen=True)
class DataSetConfig:
    """One data set: how its files lie, where, its share of the pictures, its layout's options.

    In the file the options stand beside the other keys; ``path`` is relative to the data root.
    """

    path: str
    layout: str
    weight: float
    options: dict[str, Any]


@dataclass(frozen=True)
class DataConfig:
    """What is trained on, at which size, and in which canonical camera (None: none)."""

    height: int
    width: int
    canonical_focal_px: float | None
    training: tuple[DataSetConfig, ...]
    validation: tuple[DataSetConfig, ...]
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
    """Everything that decides what a run learns."""

    name: str
    seed: int
    network: NamedConfig
    encoder_weights: str
    loss: NamedConfig
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
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ParameterError(f"{path} is not YAML ({' '.join(str(error).split())})") from error
    return parse_config(values, str(path))


def parse_config(values: Any, source: str) -> TrainingConfig:
    """Checks a mapping as read from YAML or kept in a checkpoint; ``source`` names it in errors."""
    config: TrainingConfig = _build(TrainingConfig, values, source)
    if config.optimizer.steps % config.trainer.validate_every:
        raise ParameterError(
            f"{source}: optimizer.steps",
            found=config.optimizer.steps,
            expected=f"a multiple of trainer.validate_every, {config.trainer.validate_every}",
            fix="A checkpoint is written at each validation; later steps would be lost.",
        )
    return config


def _build(kind: Any, value: Any, where: str) -> Any:
    if kind is NamedConfig:
        return _named(value, where)
    if kind is DataSetConfig:
        return _data_set(value, where)
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ParameterError(f"{where} is not a mapping", found=value)
        names = [field.name for field in fields(kind)]
        required = [field.name for field in fields(kind) if field.default is MISSING]
        unknown, missing = set(value) - set(names), set(required) - set(value)
        if unknown or missing:
            problem = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
            raise ParameterError(f"{where}: {problem}", expected=", ".join(names))
        hints = get_type_hints(kind)
        given = [name for name in names if name in value]
        return kind(
            **{name: _build(hints[name], value[name], f"{where}: {name}") for name in given}
        )
    if getattr(kind, "__origin__", None) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ParameterError(f"{where} is not a list", found=value)
        return tuple(_build(kind.__args__[0], item, where) for item in value)
    accepted = get_args(kind) or (kind,)  # of a union, its members
    if float in accepted:
        accepted = (*accepted, int)
    if isinstance(value, bool) or not isinstance(value, accepted):
        expected = " or ".join(sorted(member.__name__ for member in accepted))
        raise ParameterError(f"{where} has a wrong type", found=repr(value), expected=expected)
    return value


def _named(value: Any, where: str) -> NamedConfig:
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ParameterError(where, found=repr(value), expected="a name and its options")
    # As kept in a checkpoint the options are a mapping of their own.
    options = value.get("options", {key: value[key] for key in value if key != "name"})
    return NamedConfig(value["name"], dict(options))


def _data_set(value: Any, where: str) -> DataSetConfig:
    if not isinstance(value, Mapping):
        raise ParameterError(f"{where} is not a mapping", found=repr(value), expected="path: ...")
    own = {"layout": "folder", "weight": 1.0, **value}
    path, layout, weight = (
        _build(kind, own.pop(key, None), f"{where}: {key}")
        for key, kind in (("path", str), ("layout", str), ("weight", float))
    )
    # As kept in a checkpoint the options are a mapping of their own.
    return DataSetConfig(path, layout, weight, dict(own.pop("options", own)))
