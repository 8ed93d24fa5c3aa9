"""A trained network run by PyTorch behind the runtime's `Engine`, without an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.errors import EngineError
from training.checkpoint import load_checkpoint
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
    """Return the card of an exported ``network``, whose input is uint8 RGB (N, H, W, 3).

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


class TorchEngine:
    """A `DepthNetwork` in float32. Keeps to `depth_estimation_ros.engines.Engine`.

    Args:
        network: its weights are moved to the device and it is put into evaluation mode.
        card: of the network's export: uint8 RGB (N, H, W, 3) in, metres out.
        device: a name of PyTorch; None: the first GPU, or the processor where there is none.
        path: of the checkpoint, if there is one.
    """

    def __init__(
        self,
        network: DepthNetwork,
        card: ModelCard,
        device: str | None = None,
        path: Path = Path(),
    ) -> None:
        self.path = path
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network: DepthNetwork | None = network.to(self._device).float().eval()
        self.card = card
        self.max_batch: int | None = None
        name = f"{card.name} {card.model_version}".strip()
        self.description = f"{name} on PyTorch {torch.__version__} ({self._device})"

    @classmethod
    def from_checkpoint(cls, path: Path, device: str | None = None) -> TorchEngine:
        """Return the averaged weights of a checkpoint, with the card that its export would have.

        Raises:
            ModelError: not a checkpoint of this package's training.
        """
        config, network = load_checkpoint(path)
        return cls(network, make_card(config, network), device, path)

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Run the network once: see `depth_estimation_ros.engines.Engine.infer`."""
        if self._network is None:
            raise EngineError(f"{self.card.name}: the engine is closed", fix="Open it again")
        self._check(batch)
        image = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
        with torch.inference_mode():
            depth = self._network(image.permute(0, 3, 1, 2).float() / 255.0)
        return depth.float().cpu().numpy()

    def close(self) -> None:
        """Free the weights. Calling it twice is harmless."""
        self._network = None

    def _check(self, batch: npt.NDArray[np.generic]) -> None:
        spec = self.card.input
        height, width = batch.shape[1:3] if batch.ndim == 4 else (0, 0)
        if spec.multiple_of is None:
            size, fits = (
                f"{spec.height}, {spec.width}",
                (height, width) == (spec.height, spec.width),
            )
        else:
            size = f"multiples of {spec.multiple_of}"
            fits = height * width > 0 and not (
                height % spec.multiple_of or width % spec.multiple_of
            )
        if not fits or batch.shape[3] != 3 or batch.dtype != np.uint8:
            raise EngineError(
                f"{self.card.name}: the batch given to the network",
                found=f"{batch.shape} {batch.dtype}",
                expected=f"(N, {size}, 3) uint8",
            )
