"""How two known projects feed and judge a network, for the comparison of loops.

Written again from the papers and from what the public code does, and kept to where it decides the
speed: how images are read, changed and batched, and how the loss is made. Not kept to are the
network; the half size at which DenseDepth predicts; and the neighbouring frames from which
monodepth2 learns: here it reads one frame instead of three, and its measured depth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from torchmetrics.functional.image import structural_similarity_index_measure as ssim


class DenseDepthExamples(Dataset[dict[str, Tensor]]):
    """Alhashim and Wonka, arXiv 1812.11941, section 3.3: mirrored half of the time, the colour
    channels in another order a quarter of the time; depth as 10 m over depth.
    """

    def __init__(self, files: Sequence[Path], size: tuple[int, int]) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        height, width = self.size
        rgb = np.asarray(_open(self.files[index]).resize((width, height), Image.BILINEAR))
        depth = _read_depth(self.files[index], self.size)
        if random.random() < 0.5:
            rgb, depth = rgb[:, ::-1], depth[:, ::-1]
        if random.random() < 0.25:
            rgb = rgb[..., random.sample(range(3), 3)]
        image = torch.from_numpy(rgb.transpose(2, 0, 1).astype(np.float32) / 255.0)
        inverse = 10.0 / np.clip(depth, 0.1, 10.0).astype(np.float32)
        return {"image": image, "target": torch.from_numpy(inverse)}


def densedepth_loss(depth: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """(1 - SSIM) / 2 + L1 of slopes + 0.1 L1, on 10 m over depth (section 3.2)."""
    p, t = 10.0 / depth.clamp(min=0.1), batch["target"]
    slopes = sum((torch.diff(p, dim=d) - torch.diff(t, dim=d)).abs().mean() for d in (1, 2))
    similar = ssim(p[:, None], t[:, None], data_range=100.0)
    return (0.5 * (1.0 - similar)).clamp(0.0, 1.0) + slopes + 0.1 * (p - t).abs().mean()


class Monodepth2Examples(Dataset[dict[str, Tensor]]):
    """Godard et al., ICCV 2019, supplement: mirrored half of the time; brightness, contrast and
    saturation within 20 % and hue within 10 % half of the time; four sizes, each resized with an
    anti-aliasing filter, with colours as they are and as changed.
    """

    def __init__(self, files: Sequence[Path], size: tuple[int, int]) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        height, width = self.size
        picture, depth = _open(self.files[index]), _read_depth(self.files[index], self.size)
        if random.random() < 0.5:
            picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
            depth = depth[:, ::-1].copy()
        jitter = _color_jitter() if random.random() < 0.5 else None
        example = {"target": torch.from_numpy(depth)}
        for scale in range(4):
            picture = picture.resize((width >> scale, height >> scale), Image.LANCZOS)
            example[f"color{scale}"] = _to_tensor(picture)
            changed = jitter(picture) if jitter else picture
            example["image" if scale == 0 else f"changed{scale}"] = _to_tensor(changed)
        return example


def monodepth2_loss(depth: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """At four sizes, L1 of the logarithm for their photometric error, and their edge-aware
    smoothness of disparity over its mean.
    """
    total = depth.new_zeros(())
    valid = batch["target"] > 0.0
    error = (torch.log(depth) - torch.log(batch["target"].clamp(min=0.1))).abs() * valid
    for scale in range(4):
        color = batch[f"color{scale}"]
        disparity = functional.interpolate(1.0 / depth[:, None], size=color.shape[2:], mode="area")
        disparity = disparity / (disparity.mean(dim=(2, 3), keepdim=True) + 1e-7)
        smooth = sum(
            (torch.diff(disparity, dim=d).abs() * _edge_weight(color, d)).mean() for d in (2, 3)
        )
        total = total + functional.avg_pool2d(error, 1 << scale).mean() + 1e-3 / 2**scale * smooth
    return total / 4


def _edge_weight(color: Tensor, dim: int) -> Tensor:
    return torch.exp(-torch.diff(color, dim=dim).abs().mean(dim=1, keepdim=True))


def _color_jitter() -> Callable[[Image.Image], Image.Image]:
    """One draw of the changes, in one order, for all sizes of an image."""
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    changes = [(enhancer, random.uniform(0.8, 1.2)) for enhancer in enhancers]
    random.shuffle(changes)
    shift = round(256 * random.uniform(-0.1, 0.1))

    def jitter(picture: Image.Image) -> Image.Image:
        for enhancer, factor in changes:
            picture = enhancer(picture).enhance(factor)
        hue, saturation, value = picture.convert("HSV").split()
        hue = hue.point(lambda v: (v + shift) % 256)
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

    return jitter


def _open(file: Path) -> Image.Image:
    with file.open("rb") as stream:
        return Image.open(stream).convert("RGB")


def _read_depth(file: Path, size: tuple[int, int]) -> np.ndarray:
    millimetres = cv2.imread(str(file.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
    resized = cv2.resize(millimetres, size[::-1], interpolation=cv2.INTER_NEAREST)
    return resized.astype(np.float32) / 1000.0


def _to_tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture).transpose(2, 0, 1).astype(np.float32) / 255.0)
