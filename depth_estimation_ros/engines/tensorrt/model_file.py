"""An ONNX file as the builder and the cache see it: its card and its SHA-256, not its weights.

Reading those must be quick, because a robot does it at every start to find the engine in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard, card_of_model
from depth_estimation_ros.engines.onnx_file import read_onnx_file
from depth_estimation_ros.errors import ModelError

_CHUNK = 1 << 20


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
    """Reads card and hash of an ONNX file.

    Args:
        path: of the file.
        name: what the user calls it; default: the path.

    Raises:
        ModelError: as `read_onnx_file`, or the file has no sound card.
    """
    file = read_onnx_file(path)
    card = card_of_model(file.metadata.get(METADATA_KEY), path)
    try:
        return ModelFile(name or str(path), path, card, _sha256((path, *file.weights)))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error


def _sha256(parts: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
