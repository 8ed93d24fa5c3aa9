"""What every data set gives, and every augmentation takes and returns."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset


@dataclass(frozen=True)
class Sample:
    """One image with its depth.

    Attributes:
        rgb: ``(H, W, 3)`` uint8.
        depth: ``(H, W)`` float32, metres along Z. NaN = not measured, +Inf = beyond range (sky).
        intrinsics: ``(fx, fy, cx, cy)`` in pixels of this image, or None where unknown.
        metric: False where the depth is known up to a factor only.
    """

    rgb: np.ndarray
    depth: np.ndarray
    intrinsics: tuple[float, float, float, float] | None
    metric: bool = True


class SampleSet(Dataset[Sample]):
    """Samples in a fixed order, each with a name, and how the field scores them.

    Attributes:
        name: of the data set, for tables.
        cap_m: the farthest depth that is scored, metres.
        crop: the part of the image that is scored, a name of :mod:`training.data.crops`.
    """

    name: str
    cap_m: float = 10.0
    crop: str = "none"

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample: ...

    @abstractmethod
    def frame_name(self, index: int) -> str:
        """What to call a frame in reports: unique within the set."""

    def scene_name(self, index: int) -> str:
        """The place or drive that a frame is of. Frames of one scene look alike."""
        return self.frame_name(index).partition("/")[0]
