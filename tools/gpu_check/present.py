"""What this machine lacks for a check on a GPU, in words; an empty text if nothing."""

from __future__ import annotations

import functools

from nvidia_driver import has_driver

from depth_estimation_ros.engines.factory import missing_for_tensorrt
from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.errors import EngineError


@functools.cache
def why_no_gpu() -> str:
    """For what needs pycuda and a GPU."""
    try:
        Gpu(0).close()
    except EngineError as error:
        return str(error)
    return ""


@functools.cache
def why_no_tensorrt() -> str:
    """For what needs TensorRT too; TensorRT-RTX does not build for every GPU."""
    if missing := missing_for_tensorrt():
        return missing
    if why := why_no_gpu():
        return why
    try:
        api = find_tensorrt()
        gpu = Gpu(0)
        capability = gpu.compute_capability
        gpu.close()
        if api.compute_capabilities:
            config = api.module.Builder(api.logger()).create_builder_config()
            api.set_compute_capabilities(config, [capability])
    except EngineError as error:
        return str(error)
    return ""


def why_no_torch() -> str:
    """For what needs PyTorch and a GPU."""
    if not has_driver():
        return "NVIDIA's driver is missing"
    try:
        import torch
    except ImportError as error:
        return f"PyTorch cannot be imported ({error})"
    return "" if torch.cuda.is_available() else f"PyTorch {torch.__version__} sees no GPU"
