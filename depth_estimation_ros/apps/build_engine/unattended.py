"""For a node that builds by itself: the engine is built where none fits, then opened."""

from __future__ import annotations

import logging
from pathlib import Path

from depth_estimation_ros.engines import Engine, EngineOptions, Log, open_engine, resolve_model
from depth_estimation_ros.engines.factory import (
    ENGINE_SUFFIXES,
    check_options,
    missing_for_tensorrt,
)
from depth_estimation_ros.errors import EngineError, ModelError


def open_or_build(
    model: str | Path, options: EngineOptions | None = None, log: Log | None = None
) -> Engine:
    """`engines.open_engine`, after building the TensorRT engine that it would not find.

    Nothing is built unless `options.build_engine` says so, nor where TensorRT cannot run. With the
    backend auto a build that fails is told, and the model runs on ONNX Runtime.

    Args:
        model: see `open_engine`.
        options: see `open_engine`.
        log: told what was chosen and why, and how a build goes on.

    Raises:
        ModelError, ParameterError, EngineError: as `open_engine`; with the backend tensorrt also
            because building fails.
    """
    options = options or EngineOptions()
    say = log or logging.getLogger(__name__).info
    path = resolve_model(model)
    check_options(path, options)
    if options.build_engine and _may_build(path, options):
        from depth_estimation_ros.apps.build_engine.missing import build_missing

        try:
            build_missing(path, options, say)
        except (EngineError, ModelError) as error:
            if options.backend == "tensorrt":
                raise
            say(f"no TensorRT engine was built: {error}")
    return open_engine(model, options, say)


def _may_build(path: Path, options: EngineOptions) -> bool:
    return (
        path.suffix not in ENGINE_SUFFIXES
        and options.backend in ("auto", "tensorrt")
        and not missing_for_tensorrt()
    )
