"""What all sections of the bench are told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SIZES = ((640, 480), (1280, 720), (1920, 1080))


@dataclass(frozen=True)
class Options:
    """How much is measured, and of what.

    Attributes:
        models: names of bundled models, or paths of ONNX files.
        quick: a tenth of the rounds, the smallest size only.
        folder: for files that are of no use afterwards.
    """

    models: list[str]
    quick: bool
    folder: Path

    def rounds(self, full: int) -> int:
        """Of something that a full run does so often."""
        return max(5, full // 10) if self.quick else full

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of the images."""
        return SIZES[:1] if self.quick else SIZES

    @property
    def main_model(self) -> str:
        """The one that the node runs by default, if it is among them."""
        return "compact" if "compact" in self.models else self.models[0]
