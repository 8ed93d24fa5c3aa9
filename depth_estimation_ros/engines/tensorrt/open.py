"""From a file to a running TensorRT engine: read, compare, load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from depth_estimation_ros.engines.tensorrt.api import TensorRT, each_tensorrt, find_tensorrt
from depth_estimation_ros.engines.tensorrt.cache import (
    CachedEngine,
    cache_directory,
    find_engine,
    not_there,
)
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.differences import (
    Environment,
    Wanted,
    check_fits,
    this_machine,
)
from depth_estimation_ros.engines.tensorrt.engine_file import load_engine_file
from depth_estimation_ros.engines.tensorrt.make import wanted_engine
from depth_estimation_ros.engines.tensorrt.model_file import read_model_file
from depth_estimation_ros.engines.tensorrt.request import make_profile
from depth_estimation_ros.engines.tensorrt.runner import TensorRtEngine


class Choice(NamedTuple):
    """Which TensorRT runs a model.

    Attributes:
        api: the TensorRT.
        here: this machine with it.
        found: the engine that the cache has for it; None if it has none for any TensorRT here.
        passed_over: better ones that the cache has no engine for.
    """

    api: TensorRT
    here: Environment
    found: CachedEngine | None
    passed_over: tuple[TensorRT, ...] = ()


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


def choose(directory: Path, wanted: Wanted, gpu: Gpu) -> Choice:
    """The best TensorRT that the cache has a fitting engine for; the best of all if it has none.

    Args:
        directory: of the cache.
        wanted: what the engine shall be.
        gpu: where it shall run.

    Raises:
        EngineError: no TensorRT is installed, or it is too old.
    """
    without: list[Choice] = []
    for api in each_tensorrt():
        here = this_machine(api, gpu.name, gpu.compute_capability, gpu.cuda_version)
        if (found := find_engine(directory, wanted, here)) is not None:
            return Choice(api, here, found, tuple(choice.api for choice in without))
        without.append(Choice(api, here, None))
    return without[0]


def open_from_cache(
    path: Path, device: int, precision: str, cache: str, log: Callable[[str], object]
) -> TensorRtEngine:
    """Opens the engine of an ONNX file, for one picture at the size that its card names.

    Args:
        path: of the ONNX file.
        device: index of the GPU.
        precision: fp32, fp16 or int8.
        cache: folder of the engines; empty: see `cache_directory`.
        log: told which engine it is.

    Raises:
        EngineError: there is no such engine, or it does not load; TensorRT, pycuda, the driver or
            the GPU is missing.
        ModelError: the ONNX file cannot be used.
    """
    model = read_model_file(path)
    wanted = wanted_engine(model, precision, make_profile(model.card.input))
    find_tensorrt()  # says what to install before the GPU's driver is asked
    gpu = Gpu(device)
    try:
        directory = cache_directory(cache)
        api, here, found, passed_over = choose(directory, wanted, gpu)
        if found is None:
            raise not_there(directory, wanted, here)
        for other in passed_over:
            log(f"running on {api.title}, as the cache has no engine that fits {other.title}")
        log(f"TensorRT engine from the cache: {found.path}")
        return TensorRtEngine(found.path, found.plan, found.sidecar, api, gpu)
    except BaseException:
        gpu.close()
        raise
