"""An ONNX file as the builder and the cache see it: its card and its SHA-256, not its weights.

Reading those must be quick, because a robot does it at every start to find the engine in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard, card_of_model
from depth_estimation_ros.engines.onnxruntime import read_metadata
from depth_estimation_ros.engines.precision.graph import side_files
from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.utils.files import sha256


@dataclass(frozen=True)
class ModelFile:
    """What is to be known of a model before an engine of it is looked for.

    Attributes:
        name: as the user gave it: a bundled name or a path.
        path: of the ONNX file.
        card: from its metadata, or from the YAML file beside it.
        sha256: of the file, and of the files beside it that hold its weights.
    """

    name: str
    path: Path
    card: ModelCard
    sha256: str


def read_model_file(path: Path, name: str | None = None) -> ModelFile:
    """Read card and hash of an ONNX file.

    Args:
        path: of the file.
        name: what the user calls it; default: the path.

    Raises:
        ModelError: as `read_metadata`, or the file has no sound card.
        EngineError: the package `onnx` is missing.
    """
    card = card_of_model(read_metadata(path).get(METADATA_KEY), path)
    try:
        return ModelFile(name or str(path), path, card, sha256(path, *side_files(path)))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
