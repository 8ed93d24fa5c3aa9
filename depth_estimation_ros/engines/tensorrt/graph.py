"""CUDA graphs: work that a stream was given once, given again at the price of a single call.

pycuda has no graph functions (2026.1), so these come from NVIDIA's own `cuda-bindings`, on the
stream that pycuda made. The package is optional: without it the work is queued again each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from depth_estimation_ros.errors import EngineError


class CudaGraph:
    """A captured graph, ready to launch; made by `capture`, for its thread and context only."""

    def __init__(self, driver: Any, stream: Any, executable: Any) -> None:
        self._driver = driver
        self._stream = stream
        self._executable = executable

    def launch(self) -> None:
        """Queues the work on the stream that it was captured from.

        Raises:
            EngineError: CUDA reports an error.
        """
        _check(self._driver.cuGraphLaunch(self._executable, self._stream), "launching a CUDA graph")

    def close(self) -> None:
        """Frees the graph; its context must be current. Calling it twice is harmless."""
        if self._executable is not None:
            # A result that says no is of no use to anyone here: the context is going away.
            self._driver.cuGraphExecDestroy(self._executable)
            self._executable = None


def capture(stream: int, work: Callable[[], None]) -> CudaGraph:
    """Records what `work` queues on a stream, without running it.

    Everything must have run once before: kernels are loaded and memory is allocated by the first
    run, and neither may happen during a capture.

    Args:
        stream: its handle (CUstream); its context is current in this thread.
        work: queues work on that stream and waits for nothing.

    Raises:
        EngineError: cuda-bindings is missing, or CUDA cannot capture this work. The stream is as
            it was before.
    """
    driver = import_bindings()
    handle = driver.CUstream(stream)
    # Thread-local: other threads (PyTorch in the same process, say) may allocate meanwhile.
    mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
    _check(driver.cuStreamBeginCapture(handle, mode), "beginning a CUDA graph")
    try:
        work()
    except Exception as error:  # pycuda's errors and TensorRT's have no common base
        status, *begun = driver.cuStreamEndCapture(handle)  # the stream leaves capture mode
        if status == 0:
            driver.cuGraphDestroy(*begun)
        raise EngineError(f"recording a CUDA graph failed ({error})") from error
    (graph,) = _check(driver.cuStreamEndCapture(handle), "ending a CUDA graph")
    try:
        (executable,) = _check(driver.cuGraphInstantiate(graph, 0), "making a CUDA graph")
    finally:
        driver.cuGraphDestroy(graph)
    return CudaGraph(driver, handle, executable)


def import_bindings() -> Any:
    """The module cuda.bindings.driver.

    Raises:
        EngineError: it is not installed.
    """
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise EngineError(
            f"CUDA graphs need cuda-bindings ({error})",
            fix="Run: pip install 'cuda-bindings<13' where `nvidia-smi` shows CUDA 12, or "
            "cuda-bindings where it shows CUDA 13",
        ) from error
    return driver


def _check(result: Any, step: str) -> Any:
    """What a function of cuda-bindings gave beside its status."""
    status, *values = result
    if status != 0:
        raise EngineError(f"{step} failed ({getattr(status, 'name', status)})")
    return values
