"""Which network runs: names and SHA-256 for diagnostics, so that a robot's log can be traced."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from depth_estimation_ros.engines import Engine
from depth_estimation_ros.errors import EngineError

MEMORY_PERIOD_S = 1.0


class ModelInfo:
    """What is known of an open engine. Made and refreshed in the engine's thread, read in any.

    Args:
        engine: open.
        path: of the file that was asked for, an ONNX file or an engine's.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._facts = {
            "model": f"{engine.card.name} {engine.card.model_version}".strip(),
            "model_file": str(path),
            "model_sha256": _sha256(path),
            # Of the TensorRT engine that was built from the model; other engines have no file.
            "engine_sha256": str(getattr(engine, "plan_sha256", "")),
        }
        self._memory: dict[str, str] = {}
        self._next_at = 0.0

    def refresh(self) -> None:
        """Read the memory of the GPU anew, once a second at most, where the engine knows it."""
        # CUDA contexts belong to a thread, so no other thread could ask.
        read: Any = getattr(self._engine, "gpu_memory", None)
        if read is None or time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + MEMORY_PERIOD_S
        try:
            free, total = read()
        except EngineError:
            return  # a GPU that fails says so when the network runs
        self._memory = {
            "gpu_memory_used_mb": f"{(total - free) / 1e6:.0f}",
            "gpu_memory_total_mb": f"{total / 1e6:.0f}",
        }

    def values(self) -> dict[str, str]:
        """All facts as text; memory of the GPU in MB (10^6 bytes), of all its processes."""
        return {**self._facts, "engine": self._engine.description, **self._memory}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
