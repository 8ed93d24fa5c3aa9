"""Depth networks: RGB 0..1 ``(N, 3, H, W)`` to depth in metres ``(N, H, W)``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from training.config import build_named
from training.networks.base import DepthNetwork
from training.networks.basic import Basic
from training.networks.dpt import DinoV2Dpt
from training.networks.enc_dec_irv2 import EncDecIRv2
from training.networks.timm_unet import TimmUNet

NETWORKS: dict[str, Callable[..., DepthNetwork]] = {
    "basic": Basic,
    "enc_dec_irv2": EncDecIRv2,
    "enc_dec_irv2_attention": partial(EncDecIRv2, attention=True),
    "dinov2_dpt": DinoV2Dpt,
    "timm_unet": TimmUNet,
}


__all__ = ["NETWORKS", "DepthNetwork", "build_network"]


def build_network(name: str, **options: Any) -> DepthNetwork:
    """Return the network ``name`` of :data:`NETWORKS`, made with ``options``.

    Raises:
        ParameterError: if there is no such network, or it has no such option.
    """
    return build_named("network", NETWORKS, name, options)
