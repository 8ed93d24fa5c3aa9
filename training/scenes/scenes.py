"""What a batch of scenes is, and how it is drawn from seeds.

World frame: metres, z up, the floor at z = 0. Every body is a unit shape (box, cylinder along z,
ball, or a box seen from inside) under an affine map: one matrix product takes rays to all bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from training.scenes.builder import SHAPES, SLOTS, SceneBuilder
from training.scenes.dice import SeededRandom
from training.scenes.factors import Without, check_factors, kinds_without
from training.scenes.layouts import LAYOUTS
from training.scenes.materials import MATERIAL_SLOTS

KINDS = tuple(LAYOUTS)


@dataclass(frozen=True)
class Scenes:
    """N scenes, padded to one number of bodies and materials.

    Attributes:
        to_unit: (N, P, 3, 4) affine maps from world to the body's unit shape; bodies are ordered by
            shape in the fixed slots of `builder.SLOTS`. An unused slot maps everything far away.
        half: (N, P, 3) half sizes in metres.
        faces: (N, P, 6) int64, material of the faces -x +x -y +y -z +z.
        counts: (N, 4) int64, bodies in use of each shape.
        materials: (N, K, F) rows of `materials.MATERIAL`.
        lighting: (N, L) rows of `builder.LIGHTING`.
        volume: (N, 2, 3) lowest and highest corner of where a camera may be.
        focus: (N, 4) a point worth looking at (the top of a table) and 1, or zeros.
        kinds: the kind of each scene.
    """

    to_unit: Tensor
    half: Tensor
    faces: Tensor
    counts: Tensor
    materials: Tensor
    lighting: Tensor
    volume: Tensor
    focus: Tensor
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, index: slice) -> Scenes:
        return self._map(lambda tensor: tensor[index], self.kinds[index])

    def to(self, device: torch.device | str) -> Scenes:
        return self._map(lambda tensor: tensor.to(device), self.kinds)

    def repeat(self, count: int) -> Scenes:
        """One scene `count` times, for a camera that moves through it (views, not copies)."""
        if len(self) != 1:
            raise ValueError(f"only a single scene can be repeated, this batch has {len(self)}")
        return self._map(lambda tensor: tensor.expand(count, *tensor.shape[1:]), self.kinds * count)

    def _map(self, change: Callable[[Tensor], Tensor], kinds: tuple[str, ...]) -> Scenes:
        tensors = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "kinds"}
        return Scenes(**tensors, kinds=kinds)


def sample_scenes(
    seeds: Sequence[int],
    kinds: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
    without: Without = (),
) -> Scenes:
    """Draw one scene for each seed.

    A scene depends on its own seed and on `kinds` only, not on its neighbours in the batch.

    Args:
        seeds: one seed a scene, 0 <= seed < 2**29.
        kinds: the kinds to draw from, see `KINDS`; a kind named twice is drawn twice as often.
            None draws from a mixture that favours indoor scenes.
        device: where the tensors live.
        without: factors that are left out, see `factors`.

    Raises:
        ValueError: a kind or factor is unknown, or no kind is left.
    """
    if kinds is None:
        kinds = DEFAULT_MIXTURE
    for kind in kinds:
        if kind not in LAYOUTS:
            raise ValueError(f"unknown scene kind {kind!r}, known are {', '.join(KINDS)}")
    check_factors(without)
    kinds = kinds_without(kinds, without)
    return assemble([_build(seed, kinds, without) for seed in seeds]).to(device)


DEFAULT_MIXTURE = (
    *("room",) * 4,
    *("office",) * 5,
    *("kitchen",) * 4,
    *("tabletop",) * 6,
    *("jumble",) * 4,
    *("hall",) * 2,
    *("corridor",) * 2,
    *("outdoor",) * 5,
)


def _build(seed: int, kinds: Sequence[str], without: Without) -> SceneBuilder:
    dice = SeededRandom(seed, "scene")
    kind = dice.choice(kinds)
    builder = SceneBuilder(kind, dice, without)
    LAYOUTS[kind](builder)
    return builder


def assemble(builders: Sequence[SceneBuilder]) -> Scenes:
    """Pad built scenes to the fixed slots and stack them."""
    count, slots = len(builders), sum(SLOTS.values())
    to_unit = torch.zeros(count, slots, 3, 4)
    to_unit[..., 2, 3] = 1e6
    half = torch.ones(count, slots, 3)
    faces = torch.zeros(count, slots, 6, dtype=torch.int64)
    counts = torch.zeros(count, len(SHAPES), dtype=torch.int64)
    width = len(builders[0].materials[0]) if builders else 0
    materials = torch.zeros(count, MATERIAL_SLOTS, width)
    for n, builder in enumerate(builders):
        start = 0
        for s, shape in enumerate(SHAPES):
            bodies = builder.bodies[shape]
            counts[n, s] = len(bodies)
            if bodies:
                used = slice(start, start + len(bodies))
                size = torch.tensor([b.half for b in bodies], dtype=torch.float64)
                centre = torch.tensor([b.centre for b in bodies], dtype=torch.float64)
                rotation = torch.tensor([b.rotation for b in bodies], dtype=torch.float64)
                inverse = rotation.transpose(1, 2) / size[:, :, None]
                to_unit[n, used, :, :3] = inverse.float()
                to_unit[n, used, :, 3] = -(inverse @ centre[:, :, None])[..., 0].float()
                half[n, used] = size.float()
                faces[n, used] = torch.tensor([b.faces for b in bodies])
            start += SLOTS[shape]
        materials[n, : len(builder.materials)] = torch.tensor(builder.materials)
    return Scenes(
        to_unit=to_unit,
        half=half,
        faces=faces,
        counts=counts,
        materials=materials,
        lighting=torch.tensor([b.lighting_row() for b in builders]),
        volume=torch.tensor([b.volume for b in builders]),
        focus=torch.tensor([b.focus for b in builders]),
        kinds=tuple(b.kind for b in builders),
    )
