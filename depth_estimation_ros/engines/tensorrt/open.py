"""From a file to a running TensorRT engine: read, compare, load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.cache import (
    cache_directory,
    find_or_build,
    timing_cache_path,
)
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.differences import check_fits, this_machine
from depth_estimation_ros.engines.tensorrt.engine_file import load_engine_file
from depth_estimation_ros.engines.tensorrt.make import make_engine, wanted_engine
from depth_estimation_ros.engines.tensorrt.model_file import read_model_file
from depth_estimation_ros.engines.tensorrt.progress import LogProgress
from depth_estimation_ros.engines.tensorrt.request import make_profile
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


def open_from_cache(
    path: Path, device: int, precision: str, build: bool, log: Callable[[str], object]
) -> TensorRtEngine:
    """Opens the engine of an ONNX file, for one picture at the size that its card names.

    Args:
        path: of the ONNX file.
        device: index of the GPU.
        precision: fp32, fp16 or int8.
        build: whether it is built, for minutes, if the cache has none that fits.
        log: told how a build goes on, and which engine it is.

    Raises:
        EngineError: there is no such engine, and building is not allowed or fails; it does not
            load; TensorRT, pycuda, the driver or the GPU is missing.
        ModelError: the ONNX file cannot be used.
    """
    model = read_model_file(path)
    wanted = wanted_engine(model, precision, make_profile(model.card.input))
    api = find_tensorrt()
    gpu = Gpu(device)
    try:
        here = this_machine(api, gpu.name, gpu.compute_capability, gpu.cuda_version)
        directory = cache_directory()

        def make(out: Path) -> None:
            # The builder's room lies above this one and is entered only where one is built.
            from depth_estimation_ros.build_engine.conversion import convert_unattended

            make_engine(
                out,
                wanted,
                convert_unattended(model, wanted, log),
                path,
                api,
                gpu,
                timing_cache=timing_cache_path(directory, here),
                progress=LogProgress(log),
            )

        found = find_or_build(directory, wanted, here, make if build else None, say=log)
        log(f"TensorRT engine from the cache: {found.path}")
        return TensorRtEngine(found.path, found.plan, found.sidecar, api, gpu)
    except BaseException:
        gpu.close()
        raise
