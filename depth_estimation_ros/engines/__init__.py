"""Engines run a network; this is the door to all of them.

`open_engine` finds the model, reads its card, and returns an object that keeps to `Engine`.
An engine belongs to one thread: open it, run it and close it there.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.factory import EngineOptions, Log, open_chosen
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.errors import ModelError

__all__ = [
    "Cancellable",
    "Engine",
    "EngineOptions",
    "bundled_models",
    "open_engine",
    "resolve_model",
]

MODELS_DIR = Path(__file__).resolve().parent.parent / "models"


class Engine(Protocol):
    """A network, ready to run.

    Attributes:
        card: what it expects and what it gives.
    """

    card: ModelCard

    @property
    def max_batch(self) -> int | None:
        """The most pictures that one run takes; None: as many as there is memory for."""
        ...

    @property
    def description(self) -> str:
        """One line for logs and diagnostics: model, library, device."""
        ...

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the network once.

        Args:
            batch: as `card.input` says, for example (N, H, W, 3) uint8 for NHWC.

        Returns:
            (N, H, W) float32, the network's own numbers: not yet scaled to metres. It stays as it
            is until the call after the next one, and not beyond `close`: an engine on a GPU writes
            its results into two buffers in turn. Copy what is to live longer.

        Raises:
            EngineError: the batch has another shape or type, or the run failed.
        """
        ...

    def close(self) -> None:
        """Frees what the engine holds. Calling it twice is harmless."""
        ...


@runtime_checkable
class Cancellable(Protocol):
    """An engine whose run can be ended from another thread."""

    def break_off(self) -> None:
        """Ends the present run with an EngineError between two operators, and every later one."""
        ...


def open_engine(
    model: str | Path, options: EngineOptions | None = None, log: Log | None = None
) -> Engine:
    """Opens a model with the engine that runs it best here, or with the one that is asked for.

    Args:
        model: name of a bundled model, path of an .onnx file, or of a TensorRT engine.
        options: backend, GPU, precision, providers, threads; the default is the best there is.
        log: told in one line what was chosen and why; the default is this module's logger.

    Raises:
        ModelError: the file is missing, cannot be read, or does not fit its card.
        ParameterError: the options contradict each other or the file.
        EngineError: what was asked for is not available or does not start.
    """
    say = log or logging.getLogger(__name__).info
    return open_chosen(resolve_model(model), options or EngineOptions(), say)


def bundled_models() -> list[str]:
    """Names of the models that came with the package."""
    return sorted(path.stem for path in MODELS_DIR.glob("*.onnx"))


def resolve_model(name_or_path: str | Path) -> Path:
    """The file of a model: a bundled one by its name ("compact"), any other by its path.

    Raises:
        ModelError: there is no such file.
    """
    name = str(name_or_path)
    if name in bundled_models():
        return MODELS_DIR / f"{name}.onnx"
    try:
        path = Path(name).expanduser()
        if name and path.is_file():
            return path
        folder = bool(name) and path.is_dir()
        found = "a folder" if folder else f"no such file (looked for {_looked(name)})"
    except (OSError, RuntimeError, ValueError) as error:  # too long; ~ of nobody; a zero in it
        found = f"what no file is called ({error})"
    raise ModelError(
        f"model '{name}'",
        found=found,
        expected=f"the path of an .onnx or .engine file or a bundled model: {_bundled_in_words()}",
        fix="Correct the parameter 'model'; relative paths start at the working folder",
    )


def _looked(name: str) -> str:
    places = []
    if "/" not in name and "." not in name:
        places.append(str(MODELS_DIR / f"{name}.onnx"))
    places.append(str(Path(name).expanduser().absolute()))
    return " and ".join(places)


def _bundled_in_words() -> str:
    return ", ".join(bundled_models()) or f"none in {MODELS_DIR}"
