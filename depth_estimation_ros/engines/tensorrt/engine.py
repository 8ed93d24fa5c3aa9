"""From a file to a running TensorRT engine: read, compare, load."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.base import check_batch, to_maps
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.tensorrt.api import TensorRT, each_tensorrt, find_tensorrt
from depth_estimation_ros.engines.tensorrt.cache import (
    CachedEngine,
    Environment,
    Wanted,
    cache_directory,
    check_fits,
    find_engine,
    not_there,
    this_machine,
)
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.engine_file import Sidecar, load_engine_file
from depth_estimation_ros.engines.tensorrt.execution import Execution, runtime_cache_path
from depth_estimation_ros.engines.tensorrt.make import read_model_file, wanted_engine
from depth_estimation_ros.engines.tensorrt.profile import input_of_engine, make_profile
from depth_estimation_ros.errors import EngineError


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
    """Opens the engine of an ONNX file, for one image at the size that its card names.

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


class TensorRtEngine:
    """An engine file on one GPU. Keeps to `engines.Engine`.

    It belongs to the thread that makes it: CUDA contexts do. `infer` and `close` from another
    thread are refused with an EngineError; nothing is run or freed then.

    Args:
        path: of the engine file, for messages.
        plan: its contents.
        sidecar: what it is; already known to fit this TensorRT and this GPU.
        api: the TensorRT to run it with.
        gpu: to run it on; from now on the engine's to close, unless making the engine fails.

    Attributes:
        card: of the network, with the input size that this engine takes.
        plan_sha256: of the engine file.
        max_batch: the most images that one run takes, as the engine was built.

    Raises:
        EngineError: TensorRT cannot load the file, it holds another kind of network, or the GPU
            has no room for it.
    """

    def __init__(self, path: Path, plan: bytes, sidecar: Sidecar, api: TensorRT, gpu: Gpu) -> None:
        self.path = path
        self._name = path.name
        self._precision = sidecar.precision
        self.plan_sha256, self.onnx_sha256 = sidecar.plan_sha256, sidecar.onnx_sha256
        self._api = api
        self._gpu = gpu
        self._logger = api.logger()
        self._logger.take_errors()  # of whatever came before
        self._execution: Execution | None = None
        try:
            with gpu.doing(f"loading {path.name}"):
                self._execution = self._load(path, plan, sidecar.card)
        except BaseException as error:
            # The error keeps the frames that it came through, and they keep what was made so far.
            # That must end here, in its own thread and context, and not wherever the error ends.
            with suppress(EngineError), gpu.doing("freeing a half-made engine"):
                traceback.clear_frames(error.__traceback__)
            raise
        profile = self._execution.profile
        spec = input_of_engine(sidecar.card.input, profile)
        self.max_batch: int | None = profile.largest[0]
        self.card = dataclasses.replace(sidecar.card, input=spec)

    @property
    def description(self) -> str:
        """Model, library, GPU, precision, and whether a CUDA graph is used (after two runs)."""
        model = f"{self.card.name} {self.card.model_version}".strip()
        graph = self._execution.graph if self._execution is not None else ""
        where = ", ".join(part for part in (self._gpu.name, self._precision, graph) if part)
        return f"{model} on {self._api.title} ({where})"

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the network once: see `engines.Engine.infer`.

        The result is a view of pinned memory, overwritten by the call after the next one.
        """
        execution = self._opened()
        check_batch(batch, self.card.input, self._name)
        return to_maps(execution.run(batch), batch.shape[0], self._name)

    def gpu_memory(self) -> tuple[int, int]:
        """Free and total bytes of the GPU's memory; not yet run on a GPU."""
        return self._gpu.memory()

    def time_alone(self, rounds: int) -> float:
        """Mean milliseconds of the network without its copies, on the input of the last `infer`."""
        return self._opened().time_alone(rounds)

    def close(self) -> None:
        """Frees graph, context, engine and memory. Calling it twice is harmless.

        Raises:
            EngineError: called by another thread than the engine's.
        """
        if self._execution is None:
            return
        self._gpu.check_thread("closing the engine")
        execution, self._execution = self._execution, None
        # After a failure of the GPU, freeing fails too: there is nothing more to be done.
        with suppress(EngineError):
            execution.close()
        self._gpu.close()

    def _opened(self) -> Execution:
        if self._execution is None:
            raise EngineError(f"{self._name}: the engine is closed", fix="Open it again")
        return self._execution

    def _load(self, path: Path, plan: bytes, card: ModelCard) -> Execution:
        try:
            runtime = self._api.module.Runtime(self._logger)
            engine = runtime.deserialize_cuda_engine(plan)  # keeps the runtime alive
        except (TypeError, RuntimeError):  # pybind11's words for a null pointer
            engine = None
        if engine is None:
            raise EngineError(
                f"{path}: {self._api.title} cannot load this engine",
                found=f"'{self._last_errors() or 'no reason given'}'",
                fix="Build it again on this machine: build_engine --help",
            )
        execution = Execution(
            self._api.module,
            engine,
            self._gpu,
            path.name,
            self._last_errors,
            runtime_cache_path(path),
        )
        if execution.dtype != np.dtype(card.input.dtype):
            raise EngineError(
                f"{path}: the engine's input against its card",
                found=execution.dtype,
                expected=card.input.dtype,
                fix="Build the engine again: build_engine --help",
            )
        return execution

    def _last_errors(self) -> str:
        return "; ".join(self._logger.take_errors())
