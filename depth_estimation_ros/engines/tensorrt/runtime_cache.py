"""The kernels that TensorRT-RTX compiled for this GPU, kept beside the engine file between starts.

An engine of TensorRT-RTX is built for any GPU of its kinds; what this one needs is compiled when
the engine first runs. With the cache a later start reads it instead.

Tested without a GPU: the names against the real module, and the files. That TensorRT-RTX fills a
cache, takes it back and starts faster with it has never been run: it needs one of its GPUs.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from depth_estimation_ros.engines.tensorrt.engine_file import replace_file
from depth_estimation_ros.errors import EngineError

DIGEST_BYTES = hashlib.sha256().digest_size
logger = logging.getLogger(__name__)


def runtime_cache_path(engine: Path) -> Path:
    """x.engine has x.engine.kernels beside it."""
    return engine.with_name(engine.name + ".kernels")


class RuntimeCache:
    """A file of compiled kernels, and TensorRT-RTX's object for them.

    The file is the SHA-256 of the rest, then what TensorRT-RTX wrote. One that is damaged never
    reaches TensorRT-RTX; one of another GPU, driver or release it refuses itself. Either is told
    in the log and replaced by `save`; no problem with it keeps an engine from running.

    Args:
        config: an IRuntimeConfig, before the execution context is made with it.
        path: of the file, which need not be there.
    """

    def __init__(self, config: Any, path: Path) -> None:
        self._path = path
        self._cache = config.create_runtime_cache()
        self._kept = self._give_back() if self._cache is not None else b""
        if self._cache is None or not config.set_runtime_cache(self._cache):
            self._cache = None
            logger.warning("TensorRT-RTX makes no runtime cache: each start compiles kernels")

    def save(self) -> None:
        """Writes the file anew if kernels have come to it."""
        memory = self._cache.serialize() if self._cache is not None else None
        blob = bytes(memory) if memory is not None else b""
        if not blob or blob == self._kept:
            return
        try:
            replace_file(self._path, hashlib.sha256(blob).digest() + blob)
            self._kept = blob
        except EngineError as error:
            logger.warning("the next start compiles kernels again: %s", error)

    def _give_back(self) -> bytes:
        """What TensorRT-RTX has taken from the file; empty if nothing."""
        blob = self._read()
        if not blob or self._cache.deserialize(blob):
            return blob
        logger.info("%s is of another GPU, driver or release: compiling kernels anew", self._path)
        return b""

    def _read(self) -> bytes:
        """What TensorRT-RTX wrote; empty if there is nothing good."""
        try:
            contents = self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            logger.warning("%s cannot be read (%s): compiling kernels anew", self._path, error)
            return b""
        digest, blob = contents[:DIGEST_BYTES], contents[DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() != digest:
            logger.warning("%s is damaged: compiling kernels anew", self._path)
            return b""
        return blob
