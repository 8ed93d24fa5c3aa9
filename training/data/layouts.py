"""The data sets that a configuration or a command can name, each by the layout of its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.config import build_named
from training.data.bag import BagSamples
from training.data.cityscapes import Cityscapes
from training.data.folder import RgbdFolder
from training.data.kitti_depth import KittiDepth
from training.data.kitti_object import KittiObject, KittiTwise
from training.data.kitti_raw import KittiRaw
from training.data.nyu import NyuCsv, NyuLabelled
from training.data.sample import SampleSet

LAYOUTS: dict[str, Callable[..., SampleSet]] = {
    "bag": BagSamples,
    "cityscapes": Cityscapes,
    "folder": RgbdFolder,
    "kitti_depth": KittiDepth,
    "kitti_object": KittiObject,
    "kitti_raw": KittiRaw,
    "kitti_twise": KittiTwise,
    "nyu_csv": NyuCsv,
    "nyu_labelled": NyuLabelled,
}


def open_dataset(layout: str, path: str | Path, **options: Any) -> SampleSet:
    """The data set at ``path``.

    Args:
        layout: a name of :data:`LAYOUTS`.
        options: what that layout takes beside its path, for instance ``split``.

    Raises:
        ParameterError: no such layout, or it has no such option.
        DatasetError: the files are not what the layout says.
    """
    return build_named("data set", LAYOUTS, layout, {"path": path, **options})
