"""Depth networks: RGB 0..1 ``(N, 3, H, W)`` to depth in metres ``(N, H, W)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.build import build_named
from training.networks.base import DepthNetwork
from training.networks.enc_dec_irv2 import EncDecIRv2
from training.networks.timm_unet import TimmUNet

NETWORKS: dict[str, Callable[..., DepthNetwork]] = {
    "enc_dec_irv2": EncDecIRv2,
    "timm_unet": TimmUNet,
}


__all__ = ["NETWORKS", "DepthNetwork", "build_network"]


def build_network(name: str, **options: Any) -> DepthNetwork:
    """The network ``name`` of :data:`NETWORKS`, made with ``options``.

    Raises:
        ParameterError: if there is no such network, or it has no such option.
    """
    return build_named("network", NETWORKS, name, options)
