"""What a real camera does to a perfect image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from training.scenes.dice import SeededRandom, generator
from training.scenes.factors import Without


def sensor(
    rgb: Tensor,
    seeds: Sequence[int],
    noise_seeds: Sequence[int] | None = None,
    without: Without = (),
) -> Tensor:
    """Blur, vignetting, white balance, exposure, contrast and noise, drawn from a seed an image.

    Args:
        rgb: (N, 3, H, W) sRGB in 0..1, on any device.
        seeds: one an image; an image depends on its own seed only.
        noise_seeds: for frames of one camera, which share a seed but not their noise.
        without: factors that are left out, see `factors`.

    Returns:
        (N, 3, H, W) sRGB in 0..1.

    Raises:
        ValueError: the numbers of images and seeds differ.
    """
    if len(seeds) != len(rgb):
        raise ValueError(f"{len(rgb)} images need as many seeds, found {len(seeds)}")
    triples = zip(rgb, seeds, noise_seeds or seeds, strict=True)
    return torch.stack([_photograph(*triple, without) for triple in triples])


def _photograph(picture: Tensor, seed: int, noise_seed: int, without: Without) -> Tensor:
    dice = SeededRandom(seed, "sensor")
    light = picture.clamp(0, 1) ** 2.2
    light = _blurred(light, dice, sharp="blur" in without)
    light, gamma, tones = _exposed(light, dice, plain="exposure" in without)
    shot, read = dice.log_uniform(1e-5, 1.2e-3), dice.log_uniform(5e-4, 8e-3)
    if "noise" not in without:
        noise = torch.randn(picture.shape, generator=generator(noise_seed, "noise"))
        light = light + noise.to(light.device) * (shot * light + read * read).sqrt()
    image = light.clamp(0, 1) ** (1 / gamma)
    contrast, grey, offset, vivid = tones
    image = (image - grey) * contrast + grey + offset
    return torch.lerp(image.mean(dim=0, keepdim=True), image, vivid).clamp(0, 1)


def _blurred(light: Tensor, dice: SeededRandom, sharp: bool) -> Tensor:
    """What lens, focus and motion leave of (3, H, W)."""
    scale = light.shape[-1] / 320  # blur is given in pixels of an image 320 wide
    kernels = [_lens_kernel(dice.uniform(0.45, 0.85) * scale)]
    if dice.chance(0.12):
        kernels.append(_lens_kernel(dice.uniform(0.8, 2.0) * scale))
    if dice.chance(0.15):
        kernels.append(_motion_kernel(dice.uniform(1, 7) * scale, dice.uniform(0, math.pi)))
    for kernel in () if sharp else kernels:
        light = _blur(light, kernel)
    return light


def _exposed(
    light: Tensor, dice: SeededRandom, plain: bool
) -> tuple[Tensor, float, tuple[float, float, float, float]]:
    """The light that the sensor gets, its gamma, and (contrast, its middle, offset, vividness)."""
    _, height, width = light.shape
    vignette = _vignette(height, width, dice.uniform(0, 0.35), light.device)
    balance = [dice.uniform(0.88, 1.12), 1.0, dice.uniform(0.86, 1.14)]
    exposure = 2 ** (dice.uniform(-0.6, 0.9) if dice.chance(0.85) else dice.uniform(-2.2, 1.5))
    gamma = dice.uniform(1.9, 2.5)
    tones = (dice.uniform(0.85, 1.5), 0.45, dice.uniform(-0.03, 0.05), dice.uniform(0.65, 1.25))
    if plain:
        return light, 2.2, (1.0, 0.45, 0.0, 1.0)
    taken = light * vignette * exposure * torch.tensor(balance, device=light.device)[:, None, None]
    return taken, gamma, tones


def _blur(image: Tensor, kernel: Tensor) -> Tensor:
    r = kernel.shape[-1] // 2
    wide = pad(image[None], (r, r, r, r), mode="replicate")
    weight = kernel.to(image.device).expand(3, 1, *kernel.shape)
    return conv2d(wide, weight, groups=3)[0]


def _lens_kernel(sigma: float) -> Tensor:
    r = max(1, math.ceil(2.5 * sigma))
    x = torch.arange(-r, r + 1, dtype=torch.float32)
    line = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = line[:, None] * line
    return kernel / kernel.sum()


def _motion_kernel(length: float, angle: float) -> Tensor:
    """A straight smear of `length` pixels."""
    r = max(1, math.ceil(length / 2))
    y, x = torch.meshgrid(*(torch.arange(-r, r + 1.0),) * 2, indexing="ij")
    along = (x * math.cos(angle) + y * math.sin(angle)).abs()
    across = (y * math.cos(angle) - x * math.sin(angle)).abs()
    kernel = (length / 2 + 0.5 - along).clamp(0, 1) * (1 - across).clamp(0, 1)
    return kernel / kernel.sum()


def _vignette(height: int, width: int, strength: float, device: torch.device) -> Tensor:
    y = torch.linspace(-1, 1, height, device=device)[:, None]
    x = torch.linspace(-1, 1, width, device=device)
    return 1 - strength * (x * x + y * y) / 2
