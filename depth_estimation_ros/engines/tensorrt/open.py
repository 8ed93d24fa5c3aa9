"""From a file to a running TensorRT engine: read, compare, load."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.differences import check_fits, this_machine
from depth_estimation_ros.engines.tensorrt.engine_file import load_engine_file
from depth_estimation_ros.engines.tensorrt.runner import TensorRtEngine


def open_engine_file(path: Path, device: int) -> TensorRtEngine:
    """Opens an engine file in this thread, which owns it from then on.

    The file and its sidecar are read first and compared with what is here, so that TensorRT is
    only ever asked to load what it can.

    Args:
        path: of the engine; its sidecar lies beside it.
        device: index of the GPU.

    Raises:
        EngineError: the file is damaged, does not fit this machine, or does not load; TensorRT,
            pycuda, the driver or the GPU is missing.
    """
    plan, sidecar = load_engine_file(path)
    api = find_tensorrt(sidecar.flavour)
    gpu = Gpu(device)
    try:
        here = this_machine(api, gpu.name, gpu.compute_capability, gpu.cuda_version)
        check_fits(path, sidecar, here)
        return TensorRtEngine(path, plan, sidecar, api, gpu)
    except BaseException:
        gpu.close()
        raise
