"""Which TensorRT is installed, and the one place that names what its releases do differently.

TensorRT 10 and 11 and TensorRT-RTX share most of their Python names. The rest is here: flags are
looked up by name, because their numbers changed between releases.
"""

from __future__ import annotations

import functools
import importlib
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from depth_estimation_ros.errors import EngineError

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
OLDEST = {"tensorrt": 10, "tensorrt_rtx": 1}  # major version
INSTALL = {
    "tensorrt": "pip install tensorrt-cu12 where `nvidia-smi` shows CUDA 12, tensorrt-cu13 where "
    "it shows CUDA 13 (on a Jetson: sudo apt install python3-libnvinfer)",
    "tensorrt_rtx": "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings",
}

# The bindings' wheel alone brings the second name of each.
_MODULES = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}


@dataclass(frozen=True)
class TensorRT:
    """An installed TensorRT.

    Attributes:
        module: of Python.
        flavour: TensorRT, or TensorRT-RTX, which builds without a GPU and compiles on first use.
        version: "10.16.1.11".
    """

    module: Any
    flavour: Flavour
    version: str

    @property
    def title(self) -> str:
        """For people: "TensorRT-RTX 1.7.1.116"."""
        return f"{TITLES[self.flavour]} {self.version}"

    @property
    def network_flags(self) -> int:
        """For `create_network`: types come from the ONNX file, never from the builder's wish.

        TensorRT 10 has to be told; 11 and RTX know no other way, and ignore the flag.
        """
        return 1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    @property
    def has_timing_cache(self) -> bool:
        """Whether builds measure kernels on the GPU; RTX does not, and runs without one."""
        return self.flavour == "tensorrt"

    @property
    def compute_capabilities(self) -> tuple[str, ...]:
        """Those that this release builds for without having that GPU, "8.6"; none but in RTX."""
        kinds = getattr(self.module, "ComputeCapability", None)
        if kinds is None:
            return ()
        names = (name for name in kinds.__members__ if name.startswith("SM"))
        return tuple(f"{name[2:-1]}.{name[-1]}" for name in names)

    def check_compute_capabilities(self, wanted: Sequence[str]) -> None:
        """Raises EngineError if this TensorRT cannot build for one of these GPUs from here.

        Args:
            wanted: "8.6" and so on.
        """
        if not self.compute_capabilities:
            raise EngineError(
                f"{self.title} builds only for the GPU of the machine it runs on",
                found=f"compute capability {', '.join(wanted)} asked for",
                fix="Build on the machine with that GPU, or with TensorRT-RTX: "
                f"{INSTALL['tensorrt_rtx']}",
            )
        if refused := [one for one in wanted if one not in self.compute_capabilities]:
            raise self._refusal(refused)

    def set_compute_capabilities(self, config: Any, wanted: Sequence[str]) -> None:
        """Makes a build for these GPUs instead of the one in this machine.

        Args:
            config: an IBuilderConfig.
            wanted: "8.6" and so on; at least one.

        Raises:
            EngineError: this TensorRT cannot build for one of them.
        """
        self.check_compute_capabilities(wanted)
        config.num_compute_capabilities = len(wanted)
        refused = []
        for index, one in enumerate(wanted):
            kind = getattr(self.module.ComputeCapability, "SM" + one.replace(".", ""))
            if not config.set_compute_capability(kind, index):
                refused.append(one)
        if refused:
            raise self._refusal(refused)

    def logger(self) -> Any:
        """The ILogger of this process, with `take_errors()` beside TensorRT's own.

        TensorRT keeps the first logger it is given for good, so there is one.
        """
        return _logger(self.module)

    def _refusal(self, refused: Sequence[str]) -> EngineError:
        return EngineError(
            f"{self.title} cannot build for compute capability {', '.join(refused)}",
            expected=f"some of {', '.join(self.compute_capabilities)}",
            fix="Jetson Orin (8.7) and H100 or H200 (9.0) need TensorRT itself: build on the "
            f"machine with that GPU, after {INSTALL['tensorrt']}",
        )


def find_tensorrt(flavour: Flavour | None = None) -> TensorRT:
    """The TensorRT of this Python; TensorRT before TensorRT-RTX where both are installed.

    Args:
        flavour: accept only this one.

    Raises:
        EngineError: none is installed, it does not load, or it is too old.
    """
    return next(each_tensorrt(flavour))


def each_tensorrt(flavour: Flavour | None = None) -> Iterator[TensorRT]:
    """All that this Python has, best first: TensorRT, then TensorRT-RTX. Never none.

    Each is imported when it is asked for, as that takes hundreds of MB.

    Args:
        flavour: accept only this one.

    Raises:
        EngineError: none is installed, it does not load, or it is too old.
    """
    reasons, found = [], False
    for one in FLAVOURS if flavour is None else (flavour,):
        module, why = _import(_MODULES[one])
        if module is not None:
            found = True
            yield _checked(TensorRT(module, one, str(module.__version__)))
        reasons.append(f"{TITLES[one]}: {why}. Run: {INSTALL[one]}")
    if not found:
        name = TITLES[flavour] if flavour else "TensorRT"
        raise EngineError(f"{name} cannot be used here. {'. Or '.join(reasons)}")


def _import(names: Sequence[str]) -> tuple[Any, str]:
    """The first module that loads; else the most telling reason why none does."""
    why = ""
    for name in names:
        try:
            return importlib.import_module(name), ""
        except ModuleNotFoundError as error:
            why = why or f"there is no module '{error.name}'"
        except (ImportError, OSError) as error:  # a library below it is missing or does not fit
            why = f"module '{name}' is there but does not load ({_first_line(error)})"
    return None, why


def _checked(api: TensorRT) -> TensorRT:
    oldest = OLDEST[api.flavour]
    if int(api.version.split(".")[0]) < oldest:
        raise EngineError(
            f"{TITLES[api.flavour]} is too old",
            found=api.version,
            expected=f"{oldest}.0 or newer",
            fix=f"Run: {INSTALL[api.flavour]}",
        )
    return api


@functools.cache
def _logger(module: Any) -> Any:
    """An ILogger that sends TensorRT's words to `logging` and remembers the latest errors.

    TensorRT calls it from its own threads.
    """
    severity = module.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.DEBUG,
    }
    target = logging.getLogger("depth_estimation_ros.tensorrt")

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self._lock = threading.Lock()
            self._errors: deque[str] = deque(maxlen=16)

        def log(self, kind: Any, message: str) -> None:
            level = levels.get(kind)
            if level is None:  # VERBOSE: thousands of lines a build
                return
            if level == logging.ERROR:
                with self._lock:
                    self._errors.append(message)
                level = logging.DEBUG  # they come back in exceptions, with what to do
            target.log(level, "%s", message)

        def take_errors(self) -> list[str]:
            """The errors since the last call, oldest first, as TensorRT words them."""
            with self._lock:
                errors = list(self._errors)
                self._errors.clear()
            return errors

    return Logger()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
