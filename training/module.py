"""One training run as a LightningModule: network, loss, optimiser and validation."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import lightning
import torch
from torch import Tensor

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.metrics import depth_metrics, mean_metrics
from training.build import build_named
from training.config import OptimizerConfig, TrainingConfig
from training.encoder_weights import LITE0_PACKAGE, SOURCES, load_packaged_weights
from training.losses import LOSSES
from training.networks import DepthNetwork, build_network

LOGGED_METRICS = ("abs_rel", "rmse", "silog", "delta1")


class DepthModule(lightning.LightningModule):
    """Trains the network of a :class:`TrainingConfig`.

    Args:
        config: the run.
        with_encoder_weights: False when the weights come from a checkpoint anyway.
    """

    def __init__(self, config: TrainingConfig, with_encoder_weights: bool = True) -> None:
        super().__init__()
        self.save_hyperparameters({"config": asdict(config)})
        self.config = config
        self.network = _network(config, with_encoder_weights)
        # Convolutions on CPUs and tensor cores are fastest with channels last.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = build_named("loss", LOSSES, config.loss.name, config.loss.options)
        self._validation: list[dict[str, float]] = []

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image.contiguous(memory_format=torch.channels_last))

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        terms = self.loss(self(batch["image"]), batch["depth"], batch["metric"])
        for name, value in terms.items():
            self.log(f"train/{name}", value, prog_bar=name == "loss")
        return terms["loss"]

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        predicted = self(batch["image"]).float().cpu().numpy()
        depths, metric = batch["depth"].cpu().numpy(), batch["metric"].tolist()
        for p, depth, known in zip(predicted, depths, metric, strict=True):
            # Without intrinsics the true scale is not known, so unaligned metrics mean nothing.
            if known:
                metrics = depth_metrics(p, depth, max_depth=self.network.head.max_depth)
                self._validation.append(metrics)

    def on_validation_epoch_end(self) -> None:
        metrics = mean_metrics(self._validation)
        self._validation.clear()
        for name in LOGGED_METRICS:
            self.log(f"val/{name}", metrics[name], prog_bar=name == "abs_rel")

    def configure_optimizers(self) -> Any:
        how = self.config.optimizer
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        groups = [{"params": encoder, "lr": how.encoder_lr}, {"params": rest, "lr": how.lr}]
        optimizer = torch.optim.AdamW(groups, weight_decay=how.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _cosine(s, how))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _network(config: TrainingConfig, with_encoder_weights: bool) -> DepthNetwork:
    if config.encoder_weights not in SOURCES:
        raise ParameterError(
            "encoder_weights", found=config.encoder_weights, expected=" or ".join(SOURCES)
        )
    from_timm = config.encoder_weights == "timm" and with_encoder_weights
    network = build_network(config.network.name, **config.network.options, pretrained=from_timm)
    if config.encoder_weights == LITE0_PACKAGE and with_encoder_weights:
        load_packaged_weights(network.encoder)
    return network


def _cosine(step: int, how: OptimizerConfig) -> float:
    if step < how.warmup_steps:
        return (step + 1) / how.warmup_steps
    progress = (step - how.warmup_steps) / max(1, how.steps - how.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
