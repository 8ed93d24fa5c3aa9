"""What is common to all packings of NYU Depth V2 (Silberman et al., ECCV 2012)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError

HOME = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
# RGB camera of the toolbox's camera_params.m, for pictures of 640x480.
INTRINSICS = (518.85790, 519.46961, 325.58245, 253.73617)
SIZE = (480, 640)
CAP_M = 10.0
CROP = "eigen_nyu"

PICTURES = 1449
# Bit i, from the highest of the first byte, is set if picture i (from 0) of the labelled data set
# is in testNdxs of the official splits.mat, which counts from 1.
_TEST = (
    "c087c81fffe601be001e1fe000000e0fbc8000e003bf1fffffc3f01c00000040010383f801fc07380ffe0003"
    "3ff00001fc38003c0007e0ff0007cff80000001fbffc38e00e3fffe03e03c03e18f800fc1861c31f9f87cce0"
    "7f8c1f3c030003ffffffe001f07c0e00fffc70fc0e00000000700e071e00e003ce7f8003e0f0700e01c60198"
    "c0003ff1ff7f780e3fe301fffc7e673f01f0fff1f07ce003c7ff803f0ffee7f06000f3f038f0198001fe7f83"
    "fc0f0780ff80"
)


def official_split(split: str) -> npt.NDArray[np.int64]:
    """Indices, from 0, of the 1449 labelled pictures that are in ``train`` (795) or ``test`` (654).

    No scene is in both. The split is a part of the program rather than of the download, so that
    no other can be scored by mistake.

    Raises:
        ParameterError: another name.
    """
    check_split(split)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(_TEST), np.uint8))[:PICTURES]
    return np.flatnonzero(bits == (split == "test"))


def check_split(split: str) -> None:
    """Raises ParameterError unless ``split`` is one that NYU has."""
    if split not in ("train", "test"):
        raise ParameterError("split of NYU Depth V2", found=repr(split), expected="train or test")
