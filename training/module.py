"""One training run as a LightningModule: network, loss, optimiser and validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from depth_estimation_ros.errors import DatasetError, ParameterError
from depth_estimation_ros.estimation.metrics import depth_metrics, mean_metrics
from training.config import OptimizerConfig, TrainingConfig, build_named, to_mapping
from training.losses import LOSSES
from training.networks import DepthNetwork, build_network
from training.networks.base import LITE0_PACKAGE, SOURCES, load_packaged_weights
from training.trainer.launch import gather, mean_over_processes

NAN = float("nan")
LOGGED_METRICS = ("abs_rel", "rmse", "silog", "delta1", "delta1_scaled", "delta1_mean")


class DepthModule(lightning.LightningModule):
    """Trains the network of a :class:`TrainingConfig`.

    Args:
        config: the run.
        with_encoder_weights: False when the weights come from a checkpoint anyway.

    Attributes:
        step_loss: the loss of the last step, the mean over its parts and processes.
    """

    def __init__(self, config: TrainingConfig, with_encoder_weights: bool = True) -> None:
        super().__init__()
        self.save_hyperparameters({"config": to_mapping(config)})
        self.config = config
        self.network = _network(config, with_encoder_weights)
        self._frozen = _frozen_parts(self.network, config.optimizer.frozen)
        for part in self._frozen:
            part.requires_grad_(False)
        self.memory_format = (
            torch.channels_last if config.trainer.channels_last else torch.contiguous_format
        )
        self.network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        if config.trainer.precision == "bf16-mixed":
            _keep_depthwise_in_float32(self.network)
        self.loss = build_named("loss", LOSSES, config.loss.name, config.loss.options)
        self.step_loss = torch.tensor(0.0)
        self._parts: list[Tensor] = []
        self._validation: dict[int, dict[str, float]] = {}
        self.train()

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image.contiguous(memory_format=self.memory_format))

    def train(self, mode: bool = True) -> DepthModule:
        super().train(mode)
        if self.config.trainer.batch_norm == "frozen":
            for part in self.network.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        for part in self._frozen:
            part.eval()
        return self

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        terms = self.loss(self(batch["image"]), batch["depth"], batch["metric"])
        self._parts.append(torch.stack([value.detach().float() for value in terms.values()]))
        if len(self._parts) == self.config.trainer.accumulate_grad_batches:
            self._log_step(list(terms))
        return terms["loss"]

    def _log_step(self, names: list[str]) -> None:
        values = mean_over_processes(torch.stack(self._parts).mean(dim=0))
        self._parts.clear()
        for name, value in zip(names, values, strict=True):
            self.log(f"train/{name}", value, prog_bar=name == "loss")
        self.step_loss = values[names.index("loss")]

    def validation_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Returns the predicted depth (N, H, W), metres, for who shows it."""
        predicted = self(batch["image"]).float()
        positions, metric = batch["position"].tolist(), batch["metric"].tolist()
        pairs = zip(predicted.cpu().numpy(), batch["depth"].cpu().numpy(), strict=True)
        far = self.network.head.max_depth
        for position, known, (p, depth) in zip(positions, metric, pairs, strict=True):
            scaled = depth_metrics(p, depth, max_depth=far, align="median")
            # Without intrinsics the true scale is not known, so unaligned metrics mean nothing.
            metrics = (
                depth_metrics(p, depth, max_depth=far) if known else dict.fromkeys(scaled, NAN)
            )
            self._validation[position] = {**metrics, "delta1_scaled": scaled["delta1"]}
        return predicted

    def on_validation_epoch_end(self) -> None:
        # Each frame counts once, though processes share out an equal number and so some twice.
        frames = {k: v for part in gather(self._validation) for k, v in part.items()}
        self._validation.clear()
        metrics = mean_metrics(list(frames.values()))
        if math.isnan(metrics.get("abs_rel", math.nan)):
            raise DatasetError(
                "data.validation",
                found="no frame with metric depth within the network's range",
                expected="depth to validate with",
                fix="With canonical_focal_px a frame without intrinsics has no metric depth.",
            )
        metrics["delta1_mean"] = (metrics["delta1"] + metrics["delta1_scaled"]) / 2
        for name in LOGGED_METRICS:
            self.log(f"val/{name}", metrics[name], prog_bar=name == "abs_rel", sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.network, self.config.optimizer)
        schedule = make_schedule(optimizer, self.config.optimizer)
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


class _Float32Depthwise(nn.Conv2d):
    """A depthwise convolution that autocast leaves in float32 on CPUs.

    oneDNN's backward pass of depthwise 5x5 convolutions in bfloat16 is slower than in float32:
    EfficientNet-Lite0 at 192x256 trained 10.6 images a CPU second with it, 15.1 without.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def _keep_depthwise_in_float32(network: nn.Module) -> None:
    for part in network.modules():
        if type(part) is nn.Conv2d and part.groups == part.in_channels > 1:
            part.__class__ = _Float32Depthwise  # the names of its parameters stay


def _frozen_parts(network: DepthNetwork, names: Sequence[str]) -> list[nn.Module]:
    parts = dict(network.named_modules())
    for name in names:
        if name not in parts:
            known = ", ".join(key for key in parts if key.count(".") <= name.count(".") and key)
            raise ParameterError("optimizer.frozen", found=name, expected=f"one of: {known}")
    return [parts[name] for name in names]


def make_optimizer(network: DepthNetwork, how: OptimizerConfig) -> Optimizer:
    """Two groups of parameters, each with its learning rate: the encoder and the rest."""
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    known = {id(p) for p in network.encoder.parameters()}
    rest = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
    groups = [{"params": encoder, "lr": how.encoder_lr}, {"params": rest, "lr": how.lr}]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[how.name]
    return kind(groups, weight_decay=how.weight_decay, amsgrad=how.amsgrad)


def make_schedule(optimizer: Optimizer, how: OptimizerConfig) -> LambdaLR:
    """Multiplies the rates by :func:`rate_factor`, a step at a time."""
    return LambdaLR(optimizer, lambda step: rate_factor(step, how))


def rate_factor(step: int, how: OptimizerConfig) -> float:
    """What the learning rates are multiplied by at a step, 0..1."""
    if step < how.warmup_steps:
        return (step + 1) / how.warmup_steps
    progress = (step - how.warmup_steps) / max(1, how.steps - how.warmup_steps)
    left = 1.0 - min(1.0, progress)
    return left if how.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))
