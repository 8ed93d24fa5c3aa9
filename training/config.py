"""A training run as one YAML file, checked before anything long starts."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.utils.schema import Schema, read_yaml
from training.data.augment import Augmentation

Part = TypeVar("Part")


def build_named(
    what: str, choices: Mapping[str, Callable[..., Part]], name: str, options: Mapping[str, Any]
) -> Part:
    """``choices[name](**options)``.

    Raises:
        ParameterError: naming ``what``, if there is no such choice, if it does not take these
            options, or if it refuses their values.
    """
    if name not in choices:
        raise ParameterError(f"{what}: name", found=repr(name), expected=" or ".join(choices))
    make = choices[name]
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        takes = ", ".join(inspect.signature(make).parameters)
        raise ParameterError(f"{what} {name}: {error}", expected=f"options {takes}") from error
    try:
        return make(**options)
    except ValueError as error:
        raise ParameterError(f"{what} {name}: {error}") from error


@dataclass(frozen=True)
class NamedConfig:
    """A network or loss by name; in the file its options stand beside the name."""

    name: str
    options: dict[str, Any]


@dataclass(frozen=True)
class DataSetConfig:
    """One data set. In the file, options of its layout stand beside these keys.

    Attributes:
        path: relative to the data root that the command names.
        layout: how its files lie, a name of :data:`training.data.layouts.LAYOUTS`.
        weight: its share of the training images, of the sum of all weights.
        options: of the layout, for instance ``split``.
        holdout: share of its scenes, or of its frames in blocks, kept for validation: under
            ``training`` these are left out, under ``validation`` the others are. 0 takes all frames
            in both.
        holdout_end: hold out the last part in time, one block, whatever the scenes.
    """

    path: str
    layout: str
    weight: float
    options: dict[str, Any]
    holdout: float = 0.0
    holdout_end: bool = False


@dataclass(frozen=True)
class DataConfig:
    """What is trained on.

    Attributes:
        height, width: pixels of the network's input.
        canonical_focal_px: focal length, in pixels at that size, of the camera that depth is
            given in; None for depth as it is.
        training, validation: data sets; what is trained on is never validated or tested on.
        augmentation: how training images are changed.
        validation_frames: this many of the validation frames, evenly spaced, in each validation;
            None takes all.
        max_passes: how often the run may see a frame of a training set; the share of a small set
            is lowered to that. None for no limit.
        wide_share: share of the steps whose images keep a strip of a third to two thirds of their
            rows, so that the network knows the shape of a car's camera too.
    """

    height: int
    width: int
    canonical_focal_px: float | None
    training: tuple[DataSetConfig, ...]
    validation: tuple[DataSetConfig, ...]
    augmentation: Augmentation
    validation_frames: int | None = None
    max_passes: float | None = None
    wide_share: float = 0.0


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move.

    Attributes:
        steps: optimiser steps of the whole run.
        batch_size: images in one step, over all devices and parts together: a run learns the
            same on one device as on many.
        lr: learning rate of the decoder and head.
        encoder_lr: learning rate of the encoder.
        weight_decay: AdamW's decoupled decay, or Adam's L2 penalty.
        warmup_steps: steps over which the rates rise linearly from 0.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        ema_decay: of the running average of weights that is validated and exported, a step; 0
            keeps the weights themselves.
        name: ``adamw`` (Loshchilov and Hutter, ICLR 2019) or ``adam`` (Kingma and Ba, ICLR 2015).
        amsgrad: the variant of Reddi et al., ICLR 2018.
        schedule: after the warm-up, ``cosine`` or ``linear`` decay to 0 at the last step.
        frozen: parts of the network, by name (``encoder.conv_stem``), whose weights and statistics
            stay as loaded: cheaper, and what was learned from photographs outlives drawn scenes.
    """

    steps: int
    batch_size: int
    lr: float
    encoder_lr: float
    weight_decay: float
    warmup_steps: int
    gradient_clip: float
    ema_decay: float
    name: Literal["adamw", "adam"] = "adamw"
    amsgrad: bool = False
    schedule: Literal["cosine", "linear"] = "cosine"
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainerConfig:
    """How the run is computed, and how it is watched.

    Attributes:
        precision: ``32-true``; ``bf16-mixed`` for GPUs since Ampere and many CPUs (a CPU without
            its instructions takes ``32-true``); ``16-mixed`` for older GPUs.
        workers: processes of each device that load images; 0 loads in the training process.
        validate_every: steps between validations; a checkpoint is written after each.
        accumulate_grad_batches: parts that a step is computed in, one after the other, where its
            images do not fit the memory. Batch normalisation sees one part at a time.
        batch_norm: statistics in training: ``local`` to each device, ``synced`` over all (GPUs
            only), or ``frozen`` as loaded, for pretrained encoders and very small batches.
        channels_last: memory layout; faster convolutions on CPUs and tensor cores.
        monitor: the validation metric that decides which checkpoint is the best; ``delta1_scaled``
            is median-scaled, ``delta1_mean`` the mean of unaligned and median-scaled delta1.
        early_stopping: stop after this many validations in a row without a better ``monitor``, and
            take the best checkpoint for the last; 0 trains to the end.
    """

    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    workers: int
    validate_every: int
    accumulate_grad_batches: int = 1
    batch_norm: Literal["local", "synced", "frozen"] = "local"
    channels_last: bool = True
    monitor: Literal["abs_rel", "rmse", "silog", "delta1", "delta1_scaled", "delta1_mean"] = (
        "abs_rel"
    )
    early_stopping: int = 0


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a run learns.

    Attributes:
        name: of the model, in its card.
        seed: of the first weights, the order of the images and their augmentation.
        network: a name of :data:`training.networks.NETWORKS` and its options.
        encoder_weights: ``timm`` starts from timm's pretrained weights; ``none`` at random; or
            the name of a package with weights (see :mod:`training.networks.base`).
        loss: a name of :data:`training.losses.LOSSES` and its options.
    """

    name: str
    seed: int
    network: NamedConfig
    encoder_weights: str
    loss: NamedConfig
    data: DataConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig


def load_config(path: str | Path) -> TrainingConfig:
    """Read ``path``.

    Raises:
        ParameterError: naming the file and the key that is missing, unknown or of a wrong kind.
    """
    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"no training config {path}", fix="See config/training/.")
    try:
        values = read_yaml(path)
    except yaml.YAMLError as error:
        raise ParameterError(f"{path} is not YAML ({' '.join(str(error).split())})") from error
    return parse_config(values, str(path))


def parse_config(values: Any, source: str) -> TrainingConfig:
    """Check a mapping as read from YAML or kept in a checkpoint; ``source`` names it in errors."""
    special = {NamedConfig: _named, DataSetConfig: _data_set}
    schema = Schema(source, "the training config", special=special)
    config: TrainingConfig = schema.build(TrainingConfig, values)
    _check_values(config, source)
    return config


def to_mapping(config: TrainingConfig) -> dict[str, Any]:
    """Return the configuration as plain lists and mappings, as :func:`parse_config` takes it."""
    return json.loads(json.dumps(asdict(config)))


def _check_values(config: TrainingConfig, source: str) -> None:
    data, how, trainer = config.data, config.optimizer, config.trainer
    if how.steps % trainer.validate_every:
        raise ParameterError(
            f"{source}: optimizer.steps",
            found=how.steps,
            expected=f"a multiple of trainer.validate_every, {trainer.validate_every}",
            fix="A checkpoint is written at each validation; later steps would be lost.",
        )
    if how.batch_size % trainer.accumulate_grad_batches:
        raise ParameterError(
            f"{source}: optimizer.batch_size",
            found=how.batch_size,
            expected=f"a multiple of accumulate_grad_batches, {trainer.accumulate_grad_batches}",
        )
    if data.validation_frames is not None and data.validation_frames < 1:
        raise ParameterError(
            f"{source}: data.validation_frames",
            found=data.validation_frames,
            expected="1 or more, or null for all",
        )
    for entry in (*data.training, *data.validation):
        if not 0.0 <= entry.holdout < 1.0:
            raise ParameterError(
                f"{source}: holdout of {entry.path}", found=entry.holdout, expected="0 <= share < 1"
            )
    for key in ("training", "validation"):
        if not getattr(data, key):
            raise ParameterError(f"{source}: data.{key} names no data set", expected="one or more")
    weights = [entry.weight for entry in data.training]
    if min(weights) < 0.0 or sum(weights) == 0.0:
        raise ParameterError(
            f"{source}: weights of data.training", found=weights, expected="0 or more, not all 0"
        )


def _named(value: Any, where: str) -> NamedConfig:
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ParameterError(where, found=repr(value), expected="a name and its options")
    # As kept in a checkpoint the options are a mapping of their own.
    options = value.get("options", {key: value[key] for key in value if key != "name"})
    return NamedConfig(value["name"], dict(options))


def _data_set(value: Any, where: str) -> DataSetConfig:
    if not isinstance(value, Mapping):
        raise ParameterError(f"{where} is not a mapping", found=repr(value), expected="path: ...")
    own = {"layout": "folder", "weight": 1.0, "holdout": 0.0, "holdout_end": False, **value}
    kinds = {
        **{"path": str, "layout": str, "weight": float},
        **{"holdout": float, "holdout_end": bool},
    }
    known = {key: Schema(where).build(kind, own.pop(key, None), key) for key, kind in kinds.items()}
    # As kept in a checkpoint the options are a mapping of their own.
    return DataSetConfig(**known, options=dict(own.pop("options", own)))
