"""The model card of a trained network: what the runtime must know to use its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from training.config import TrainingConfig
from training.networks import DepthNetwork


def make_card(
    config: TrainingConfig,
    network: DepthNetwork,
    *,
    name: str | None = None,
    model_version: str = "1",
    licence: str = "MIT",
    output_max_depth: float = 80.0,
    training_data: Sequence[str] | None = None,
    metrics: Sequence[Mapping[str, Any]] = (),
) -> ModelCard:
    """The card of ``network`` as :func:`training.export.export` writes it: uint8 RGB (N, H, W, 3).

    Args:
        config: of the run; gives the size, the canonical camera and what was trained on.
        network: gives the encoder's name, the range of depth, and which sizes it takes; with
            ``multiple_of`` None the size is fixed.
        name: of the model; by default the config's.
        model_version: of the weights.
        licence: SPDX name for the weights.
        output_max_depth: metres in the canonical camera beyond which the output means "out of
            range"; a network that ends nearer keeps its own limit.
        training_data: names of the data sets; by default their paths in the config.
        metrics: entries as ``evaluate --json`` writes them.

    Raises:
        ModelError: for a card that the runtime would refuse to read.
    """
    if training_data is None:
        training_data = [entry.path for entry in config.data.training]
    card = ModelCard(
        name=name or config.name,
        model_version=model_version,
        encoder=network.encoder_name,
        licence=licence,
        training_data=tuple(training_data),
        input=InputSpec(
            height=config.data.height,
            width=config.data.width,
            color_order="rgb",
            dtype="uint8",
            layout="NHWC",
            multiple_of=network.multiple_of,
            mean=None,
            std=None,
        ),
        output=OutputSpec(
            kind="metric_depth",
            unit="m",
            min_depth=network.head.min_depth,
            max_depth=min(output_max_depth, network.head.max_depth),
        ),
        canonical_focal_px=config.data.canonical_focal_px,
        metrics=tuple(dict(entry) for entry in metrics),
    )
    return ModelCard.from_json(card.to_json(), f"the card of {card.name}")
