"""A deserialised engine with its memory: bytes in, depth out, on one stream of one GPU.

Names common to TensorRT 10, 11 and TensorRT-RTX only; what differs is looked up by name.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.engine_file import replace_file
from depth_estimation_ros.engines.tensorrt.graph import CudaGraph, capture
from depth_estimation_ros.engines.tensorrt.profile import Profile, Shape, check_shape, nbytes
from depth_estimation_ros.errors import EngineError

_DTYPES = {"UINT8": np.uint8, "FLOAT": np.float32}  # as a model card may name them


class Execution:
    """Runs one engine. All of it belongs to the thread that made `gpu`.

    The first input of a shape runs as it is; the next of the same shape is captured as a CUDA
    graph, which is launched from then on. Another shape drops the graph and begins again: a graph
    holds the addresses and sizes of one shape, and the context is set to one at a time.

    Args:
        trt: the module tensorrt or tensorrt_rtx.
        engine: an ICudaEngine with one optimisation profile.
        gpu: where it was deserialised.
        name: of the engine file, for messages.
        last_error: gives what TensorRT logged last, for messages.
        kernels: file that TensorRT-RTX keeps compiled kernels in; None: nothing is kept.

    Attributes:
        profile: the input shapes that it takes.
        dtype: of the input.
        graph: "", "CUDA graph", or why there is none.

    Raises:
        EngineError: the engine has other inputs and outputs than a depth network, or the GPU has
            no room for it.
    """

    def __init__(
        self,
        trt: Any,
        engine: Any,
        gpu: Gpu,
        name: str,
        last_error: Callable[[], str],
        kernels: Path | None = None,
    ) -> None:
        self._gpu, self._engine, self._name, self._last_error = gpu, engine, name, last_error
        self._input, self._output = _tensor_names(trt, engine, name)
        self.dtype = _dtype(engine, self._input, name)
        if _dtype(engine, self._output, name) != np.float32:
            raise _other_network(name, f"output '{self._output}' is not float32", "float32 depth")
        self.profile = Profile(*map(tuple, engine.get_tensor_profile_shape(self._input, 0)))
        self._context, self.graph, self._kernels = _make_context(trt, engine, kernels)
        if self._context is None:
            raise self._failed("making an execution context")
        self._own_graphs = not self.graph
        self._shape: Shape | None = None
        self._result: Shape = ()
        self._graph: CudaGraph | None = None
        self._turn = 0
        self._new_shape = True
        self._allocate()

    def run(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """One inference.

        Args:
            batch: C-contiguous or not, of `dtype` and a shape within `profile`.

        Returns:
            The output as the engine shapes it. A view of pinned memory: valid until the call after
            the next one, and never after `close`.

        Raises:
            EngineError: the shape is not in the profile, or TensorRT or CUDA failed.
        """
        check_shape(self.profile, batch.shape, self._name)
        with self._gpu.doing("running the network"):
            again = batch.shape == self._shape
            if not again:
                self._set_shape(batch.shape)
            size = nbytes(batch.shape, self.dtype.itemsize)
            image = self._image[:size]
            np.copyto(image.view(self.dtype).reshape(batch.shape), batch)
            if again and self._graph is None and self._own_graphs:
                self._capture()
            self._gpu.upload(self._input_address, image)
            self._launch()
            self._turn = 1 - self._turn
            depth = self._depths[self._turn][: nbytes(self._result, 4)]
            self._gpu.download(depth, self._output_address)
            self._gpu.wait()
            if again and self._kernels is not None and self._new_shape:
                self._kernels.save()  # now, and not at a clean end that may never come
                self._new_shape = False
        return depth.view(np.float32).reshape(self._result)

    def time_alone(self, rounds: int) -> float:
        """Mean milliseconds of the network without its copies, on the input of the last `run`.

        Launches are queued one after the other and waited for at the end, so that the host's part
        of a launch hides behind the GPU's.
        """
        with self._gpu.doing("timing the network"):
            self._gpu.wait()
            start = time.perf_counter()
            for _ in range(rounds):
                self._launch()
            self._gpu.wait()
            return 1e3 * (time.perf_counter() - start) / rounds

    def close(self) -> None:
        """Frees graph, context and engine; buffers are freed with the GPU. Twice is harmless.

        What TensorRT-RTX has compiled is written first.
        """
        if self._context is not None:
            with self._gpu.doing("closing the engine"):
                if self._kernels is not None:
                    self._kernels.save()
                    self._kernels = None
                self._drop_graph()
                self._context = None
                self._engine = None

    def _allocate(self) -> None:
        """Memory for the largest input and output, once."""
        self._set_shape(self.profile.largest)
        size_in = nbytes(self.profile.largest, self.dtype.itemsize)
        size_out = nbytes(self._result, 4)
        self._image = self._gpu.allocate_pinned(size_in)
        # Two outputs take turns: one is still being read by the caller while the next is written.
        self._depths = [self._gpu.allocate_pinned(size_out) for _ in range(2)]
        self._input_address = self._gpu.allocate(size_in)
        self._output_address = self._gpu.allocate(size_out)
        for tensor, address in (
            (self._input, self._input_address),
            (self._output, self._output_address),
        ):
            if not self._context.set_tensor_address(tensor, address):
                raise self._failed(f"setting the address of '{tensor}'")
        self._shape = None  # nothing has run yet

    def _set_shape(self, shape: Shape) -> None:
        self._drop_graph()
        self._shape = None
        if not self._context.set_input_shape(self._input, shape):
            raise self._failed(f"setting the input shape {shape}")
        self._result = tuple(self._context.get_tensor_shape(self._output))
        if any(size < 0 for size in self._result):
            raise self._failed(f"finding the output shape for {shape}")
        self._shape, self._new_shape = shape, True

    def _capture(self) -> None:
        try:
            self._graph = capture(self._gpu.stream, self._enqueue)
            self.graph = "CUDA graph"
        # cuda-bindings raises RuntimeError where the driver lacks a function; whatever it is, the
        # network runs without.
        except Exception as error:
            self._own_graphs = False
            self.graph = f"no CUDA graph: {error}"

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _launch(self) -> None:
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._gpu.stream):
            raise self._failed("starting the network")

    def _failed(self, step: str) -> EngineError:
        reason = self._last_error() or "no reason given"
        return EngineError(
            f"{self._name}: TensorRT failed while {step} ({reason})",
            fix="Activate the node to try again; if that fails too, build the engine again",
        )


def _tensor_names(trt: Any, engine: Any, name: str) -> tuple[str, str]:
    """The names of the one input and the one output."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [t for t in names if engine.get_tensor_mode(t) == trt.TensorIOMode.INPUT]
    outputs = [t for t in names if t not in inputs]
    if len(inputs) != 1 or len(outputs) != 1:
        raise _other_network(
            name, f"inputs {inputs} and outputs {outputs}", "one image in and one depth map out"
        )
    return inputs[0], outputs[0]


def _dtype(engine: Any, tensor: str, name: str) -> np.dtype[Any]:
    kind = engine.get_tensor_dtype(tensor).name
    if kind not in _DTYPES:
        raise _other_network(name, f"'{tensor}' of type {kind}", " or ".join(_DTYPES))
    return np.dtype(_DTYPES[kind])


def _make_context(
    trt: Any, engine: Any, kernels: Path | None
) -> tuple[Any, str, RuntimeCache | None]:
    """An execution context, who makes its CUDA graphs ("" if the caller shall), and its cache.

    TensorRT-RTX compiles kernels for a shape while it already runs; only it knows when a graph is
    worth capturing, so there it does that itself.
    """
    strategy = getattr(trt, "CudaGraphStrategy", None)
    if strategy is None:
        return engine.create_execution_context(), "", None
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = strategy.WHOLE_GRAPH_CAPTURE
    cache = RuntimeCache(config, kernels) if kernels is not None else None
    return engine.create_execution_context(config), "CUDA graph by TensorRT-RTX", cache


def _other_network(name: str, found: str, expected: str) -> EngineError:
    return EngineError(
        f"{name}: the engine is not of a depth network of this package",
        found=found,
        expected=expected,
        fix="Build it from an exported ONNX file: build_engine --help",
    )


DIGEST_BYTES = hashlib.sha256().digest_size
logger = logging.getLogger(__name__)


def runtime_cache_path(path: Path) -> Path:
    """Return the file of the kernels beside an engine file: x.engine has x.engine.kernels."""
    return path.with_name(path.name + ".kernels")


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
        """Writes the file again if kernels have come to it."""
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
        logger.info("%s is of another GPU, driver or release: compiling kernels again", self._path)
        return b""

    def _read(self) -> bytes:
        """What TensorRT-RTX wrote; empty if there is nothing good."""
        try:
            contents = self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            logger.warning("%s cannot be read (%s): compiling kernels again", self._path, error)
            return b""
        digest, blob = contents[:DIGEST_BYTES], contents[DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() != digest:
            logger.warning("%s is damaged: compiling kernels again", self._path)
            return b""
        return blob
