"""Engines run a network: TensorRT on a GPU, ONNX Runtime or OpenVINO on a processor."""

from depth_estimation_ros.engines.base import Cancellable, Engine, EngineOptions, Log, ModelInfo
from depth_estimation_ros.engines.factory import (
    MODELS_DIR,
    bundled_models,
    open_engine,
    resolve_model,
)

__all__ = [
    "MODELS_DIR",
    "Cancellable",
    "Engine",
    "EngineOptions",
    "Log",
    "ModelInfo",
    "bundled_models",
    "open_engine",
    "resolve_model",
]
