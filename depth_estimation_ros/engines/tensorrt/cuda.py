"""One GPU as one thread uses it: primary context, stream, pinned memory, device memory. By pycuda.

Nothing here runs on import, and pycuda itself is imported only when a `Gpu` is made: its module
`autoinit` would tie a context to whichever thread happens to import it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import EngineError, GpuLostError

Bytes = npt.NDArray[np.uint8]

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for other users of the default stream
# After these (CUDA driver API, CUresult 700, 714 to 719) every call of the process fails.
_LOST = (
    "illegal memory access",
    "hardware stack error",
    "illegal instruction",
    "misaligned address",
    "invalid program counter",
    "unspecified launch failure",
)


class Gpu:
    """The primary context of one GPU, held by the thread that makes this object.

    The context is current only inside `doing`, which pushes it and pops it again: pycuda aborts
    the process when a thread ends with a context still pushed. The primary context is the one
    that TensorRT, PyTorch and ONNX Runtime use too, so nothing is switched between them.

    Args:
        index: of the GPU, as `nvidia-smi` counts with CUDA_DEVICE_ORDER=PCI_BUS_ID.

    Attributes:
        name: as NVIDIA calls it, "NVIDIA GeForce RTX 3060".
        compute_capability: "8.6".
        cuda_version: newest CUDA that the driver runs, "13.0".

    Raises:
        EngineError: pycuda, the driver or the GPU is missing.
    """

    def __init__(self, index: int = 0) -> None:
        self._driver = import_driver()
        device = _open_device(self._driver, index)
        self.name: str = device.name()
        self.compute_capability = ".".join(map(str, device.compute_capability()))
        version = self._driver.get_driver_version()
        self.cuda_version = f"{version // 1000}.{version % 1000 // 10}"
        self._thread = threading.current_thread()
        self._pinned: list[Bytes] = []
        self._memory: list[Any] = []
        self._stream: Any = None
        self._done: Any = None
        try:
            self._context: Any = device.retain_primary_context()
        except self._driver.Error as error:
            raise _failed("making a context", self.name, error) from error
        try:
            with self.doing("making a stream"):
                self._stream = self._driver.Stream(NON_BLOCKING)
                # Waiting for it sleeps: a stream's own wait spins, and takes a core from the robot.
                self._done = self._driver.Event(self._driver.event_flags.BLOCKING_SYNC)
        except EngineError:
            self.close()
            raise

    @property
    def stream(self) -> int:
        """The handle (CUstream) of the one stream that everything here is queued on."""
        return self._stream.handle

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        """Makes the context current inside; may be nested.

        Args:
            step: what is being done, for the message: "copying the image to the GPU".

        Raises:
            EngineError: CUDA reports an error, another thread than the maker's is at work, or the
                GPU is closed.
        """
        self.check_thread(step)
        if self._context is None:
            raise EngineError(f"GPU {self.name} is closed ({step})", fix="Open the engine again")
        try:
            self._context.push()
            try:
                yield
            finally:
                self._driver.Context.pop()
        except self._driver.Error as error:
            raise _failed(step, self.name, error) from error

    def allocate_pinned(self, nbytes: int) -> Bytes:
        """Host memory that the GPU copies to and from by itself; freed by `close`."""
        with self.doing(f"allocating {nbytes / 1e6:.1f} MB of pinned memory"):
            array: Bytes = self._driver.pagelocked_empty(nbytes, np.uint8)
            self._pinned.append(array)
        return array

    def allocate(self, nbytes: int) -> int:
        """Memory on the GPU; returns its address. Freed by `close`."""
        with self.doing(f"allocating {nbytes / 1e6:.1f} MB on the GPU"):
            self._memory.append(self._driver.mem_alloc(nbytes))
        return int(self._memory[-1])

    def upload(self, address: int, source: Bytes) -> None:
        """Queues a copy of all of `source`, pinned, to the GPU. Only inside `doing`."""
        self._driver.memcpy_htod_async(address, source, self._stream)

    def download(self, target: Bytes, address: int) -> None:
        """Queues a copy that fills `target`, pinned, from the GPU. Only inside `doing`."""
        self._driver.memcpy_dtoh_async(target, address, self._stream)

    def memory(self) -> tuple[int, int]:
        """Bytes of the GPU's memory that are free, and all of them, whoever uses the rest.

        Written from pycuda's documentation of mem_get_info; not yet run on a GPU.
        """
        with self.doing("asking for its memory"):
            free, total = self._driver.mem_get_info()
        return int(free), int(total)

    def wait(self) -> None:
        """Waits for all that is queued; other Python threads run meanwhile. Only inside `doing`."""
        self._done.record(self._stream)
        self._done.synchronize()

    def close(self) -> None:
        """Frees everything, in the thread that made it. Calling it twice is harmless.

        Arrays from `allocate_pinned` must not be touched afterwards: their memory is gone.

        Raises:
            EngineError: called by another thread.
        """
        if self._context is None:
            return
        self.check_thread("closing")
        # After a failure of the GPU, freeing fails too: there is nothing more to be done.
        with suppress(EngineError), self.doing("freeing memory"):
            for array in self._pinned:
                array.base.free()  # type: ignore[union-attr]
            for memory in self._memory:
                memory.free()
        with suppress(EngineError), self.doing("freeing the stream"):
            self._stream = self._done = None
        self._pinned, self._memory = [], []
        context, self._context = self._context, None
        # Never left to the garbage collector: pycuda releases a primary context only by this call,
        # which pushes the context by itself and leaves it current.
        before = _current_context()
        context.detach()
        if _current_context() != before:
            _pop_context()

    def check_thread(self, step: str) -> None:
        """Raises EngineError in any thread but the one that made this object."""
        if threading.current_thread() is not self._thread:
            raise EngineError(
                f"GPU {self.name}: {step}",
                found=f"called by thread '{threading.current_thread().name}'",
                expected=f"the thread that opened it, '{self._thread.name}'",
                fix="CUDA contexts belong to one thread: open, use and close the engine there",
            )


def import_driver() -> Any:
    """The module pycuda.driver.

    Raises:
        EngineError: pycuda or NVIDIA's driver is not installed.
    """
    try:
        import pycuda.driver as driver
    except ImportError as error:
        if "libcuda" in str(error):
            raise EngineError(
                f"NVIDIA's driver is missing ({_first_line(error)})",
                fix="Install the driver until `nvidia-smi` lists the GPU; in Docker, start the "
                "container with --gpus all (Jetson: --runtime nvidia)",
            ) from error
        raise EngineError(
            f"pycuda cannot be imported ({_first_line(error)})",
            fix="Run: pip install pycuda (it compiles: the CUDA toolkit's bin directory must be "
            "on PATH)",
        ) from error
    return driver


def _current_context() -> int | None:
    """Return what CUDA has current in this thread, whatever pycuda has on its own stack."""
    handle = ctypes.c_void_p()
    ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(handle))
    return handle.value


def _pop_context() -> None:
    """Pop what pycuda has pushed past its own stack."""
    ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


def _open_device(driver: Any, index: int) -> Any:
    try:
        driver.init()
        count = driver.Device.count()
    except driver.Error as error:
        raise EngineError(
            f"CUDA does not start ({_first_line(error)})",
            fix="Check that `nvidia-smi` lists the GPU; after a driver update, restart the machine",
        ) from error
    if not 0 <= index < count:
        raise EngineError(
            "parameter device",
            found=index,
            expected=f"an index below {count}, the number of GPUs that CUDA sees",
            fix="Correct 'device', or look at CUDA_VISIBLE_DEVICES",
        )
    return driver.Device(index)


def _failed(step: str, name: str, error: Exception) -> EngineError:
    if any(words in str(error) for words in _LOST):
        return GpuLostError(
            f"GPU {name} failed while {step} ({_first_line(error)})",
            fix="Look at `nvidia-smi` and `dmesg`, and start the process again",
        )
    fix = "Look at `nvidia-smi` and `dmesg`, then activate the node to try again"
    if type(error).__name__ == "MemoryError":
        fix = "Free memory on the GPU (`nvidia-smi` shows who holds it) or use a smaller network"
    return EngineError(f"GPU {name} failed while {step} ({_first_line(error)})", fix=fix)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
