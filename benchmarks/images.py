"""Images that are about as hard to compress and to resize as a room."""

from __future__ import annotations

import cv2
import numpy as np


def draw_image(width: int, height: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: smooth blobs under a little noise."""
    random = np.random.default_rng(seed)
    blobs = cv2.resize(
        random.uniform(0, 255, (9, 12, 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(blobs + random.normal(0, 4, blobs.shape), 0, 255).astype(np.uint8)
