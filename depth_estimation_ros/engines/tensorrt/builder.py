"""From an ONNX network to the bytes of an engine.

The network is strongly typed: every layer computes in the types of the ONNX file, so precision is
decided there (see `depth_estimation_ros.engines.precision`) and no flag of the builder changes it.
float32 is float32: TF32, which keeps only 10 bits of a factor, is off.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.engine_file import replace_file
from depth_estimation_ros.engines.tensorrt.profile import Profile
from depth_estimation_ros.errors import EngineError, ModelError

logger = logging.getLogger(__name__)
_TYPES = {"uint8": "UINT8", "float32": "FLOAT"}
_ERRORS_SHOWN = 3


class BuildCancelled(EngineError):
    """The build was ended because somebody asked for it."""


def build_plan(
    api: TensorRT,
    onnx: bytes,
    source: Path,
    spec: InputSpec,
    profile: Profile,
    *,
    compute_capabilities: Sequence[str] = (),
    workspace_mb: int | None = None,
    timing_cache: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bytes:
    """Builds an engine. For the GPU in this machine its context must be current in this thread.

    Args:
        api: the TensorRT to build with.
        onnx: the network, in the precision that the engine shall have.
        source: the file that it came from; weights in files of their own lie beside it.
        spec: the input, as the model's card describes it.
        profile: the input shapes that the engine shall take.
        compute_capabilities: build for these GPUs, ahead of time, instead of the one here.
        workspace_mb: most memory for one layer, MiB; None: what the GPU has.
        timing_cache: a file of measurements that makes the next build quicker, read and written;
            ignored by a TensorRT that does not measure.
        progress: told what happens; default: the log.
        cancelled: asked between steps whether to give up.

    Returns:
        The serialised engine.

    Raises:
        ModelError: TensorRT cannot parse the network, or it does not fit its card.
        EngineError: there is no GPU, or the build fails.
        BuildCancelled: `cancelled` said so.
    """
    log = api.logger()
    log.take_errors()  # of whatever came before
    builder = _make_builder(api, log)
    network = builder.create_network(api.network_flags)
    parser = api.module.OnnxParser(network, log)
    if not parser.parse(onnx, str(source)):
        raise _parser_error(api, parser, source)
    name = _check_network(api, network, spec, profile, source)
    config = builder.create_builder_config()
    _clear_tf32(api, config)
    if compute_capabilities:
        api.set_compute_capabilities(config, compute_capabilities)
    if workspace_mb is not None:
        config.set_memory_pool_limit(api.module.MemoryPoolType.WORKSPACE, workspace_mb << 20)
    shapes = builder.create_optimization_profile()
    shapes.set_shape(name, profile.smallest, profile.best, profile.largest)
    if config.add_optimization_profile(shapes) < 0:
        raise _failed(api, log, source, f"input shapes {profile}")
    kept = _load_timing_cache(api, config, timing_cache)
    monitor = make_monitor(api, progress or LogProgress(logger.info), cancelled)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if cancelled():
        raise BuildCancelled(f"{source.name}: the build was cancelled")
    if plan is None:
        raise _failed(api, log, source, f"input shapes {profile}")
    if kept is not None and timing_cache is not None:
        _save_timing_cache(timing_cache, bytes(memoryview(kept.serialize())))
    return bytes(plan)


def _make_builder(api: TensorRT, log: Any) -> Any:
    try:
        builder = api.module.Builder(log)
    except (TypeError, RuntimeError) as error:  # pybind11's word for a null pointer: TypeError
        reasons = "; ".join(log.take_errors()) or str(error).splitlines()[0]
        raise EngineError(
            f"{api.title} cannot start its builder ({reasons})",
            fix="Check that `nvidia-smi` lists the GPU and that the driver is new enough for this "
            "TensorRT",
        ) from error
    return builder


def _clear_tf32(api: TensorRT, config: Any) -> None:
    config.clear_flag(api.module.BuilderFlag.TF32)


def _parser_error(api: TensorRT, parser: Any, source: Path) -> ModelError:
    """One error for all that the parser found."""
    reasons = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        where = f"{error.node_operator()} '{error.node_name()}': " if error.node_operator() else ""
        reason = where + " ".join(str(error.desc()).split())
        if reason not in reasons:
            reasons.append(reason)
    shown = "; ".join(reasons[:_ERRORS_SHOWN]) or "no reason given"
    if len(reasons) > _ERRORS_SHOWN:
        shown += f"; and {len(reasons) - _ERRORS_SHOWN} more"
    return ModelError(
        f"{source}: {api.title} cannot read this network",
        found=f"'{shown}'",
        expected="an ONNX file with operators that TensorRT has",
        fix="Export it with this package, or run it with backend onnxruntime",
    )


def _check_network(
    api: TensorRT, network: Any, spec: InputSpec, profile: Profile, source: Path
) -> str:
    """Compares the parsed network with card and profile; returns the name of its input."""
    counts = network.num_inputs, network.num_outputs
    if counts != (1, 1):
        raise _mismatch(
            source,
            "inputs and outputs",
            f"{counts[0]} and {counts[1]}",
            "one image in and one depth map out",
        )
    image = network.get_input(0)
    kind = getattr(api.module.DataType, _TYPES[spec.dtype])
    if image.dtype != kind:
        raise _mismatch(source, f"input '{image.name}'", image.dtype.name, kind.name)
    sizes = tuple(image.shape)
    for shape in (profile.smallest, profile.best, profile.largest):
        fits = len(sizes) == len(shape) and all(
            size in (-1, wanted) for size, wanted in zip(sizes, shape, strict=True)
        )
        if not fits:
            found = "(" + ", ".join("any" if size == -1 else str(size) for size in sizes) + ")"
            raise _mismatch(source, f"input '{image.name}'", found, f"one that takes {profile}")
    return image.name


def _mismatch(source: Path, what: str, found: object, expected: object) -> ModelError:
    return ModelError(
        f"{source}: {what} of the network",
        found=found,
        expected=expected,
        fix="Ask for the batch and size that it has, correct its card, or export it again",
    )


def _failed(api: TensorRT, log: Any, source: Path, what: str) -> EngineError:
    reasons = "; ".join(" ".join(text.split()) for text in log.take_errors()[-_ERRORS_SHOWN:])
    return EngineError(
        f"{source}: {api.title} cannot build an engine for {what} ({reasons or 'no reason given'})",
        fix="Try other input shapes; for want of memory close other programs or set --workspace-mb",
    )


def _load_timing_cache(api: TensorRT, config: Any, path: Path | None) -> Any:
    """The ITimingCache of this build, or None where there is none."""
    if path is None or not api.has_timing_cache:
        return None
    try:
        known = path.read_bytes()
    except OSError:
        known = b""
    cache = config.create_timing_cache(known)
    # False: it was measured on another GPU or by another version, and is refused.
    if cache is None or not config.set_timing_cache(cache, False):
        logger.warning("%s cannot be used: every layer is measured again", path)
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _save_timing_cache(path: Path, contents: bytes) -> None:
    try:
        replace_file(path, contents)
    except EngineError as error:  # the engine itself is there
        logger.warning("the next build will not be quicker: %s", error)


class Progress(Protocol):
    """Told by TensorRT, from any of its threads, what it does. Phases are nested."""

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase of this many steps begins."""
        ...

    def step(self, phase: str, done: int) -> None:
        """This many steps of a phase are done."""
        ...

    def finish(self, phase: str) -> None:
        """A phase has ended."""
        ...


class LogProgress:
    """A line when it begins, and then one every `every` seconds.

    Args:
        say: takes a line.
        every: seconds between lines.
    """

    def __init__(self, say: Callable[[str], object], every: float = 10.0) -> None:
        self._say = say
        self._every = every
        self._steps: dict[str, int] = {}
        self._began = self._said = time.monotonic()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self._steps[phase] = steps

    def step(self, phase: str, done: int) -> None:
        now = time.monotonic()
        if now - self._said >= self._every:
            self._said = now
            self._say(
                f"building the engine for {now - self._began:.0f} s: "
                f"{phase} {done}/{self._steps.get(phase, done)}"
            )

    def finish(self, phase: str) -> None:
        self._steps.pop(phase, None)


class BarProgress:
    """One bar of a rich.progress.Progress for each phase that is under way."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[Any, int]] = {}  # the bar, and how deep it is nested
        self._totals: dict[str, int] = {}

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        depth = self._tasks[parent][1] + 1 if parent in self._tasks else 0
        task = self._bars.add_task("  " * depth + phase, total=steps)
        self._tasks[phase] = (task, depth)
        self._totals[phase] = steps

    def step(self, phase: str, done: int) -> None:
        if phase in self._tasks:
            self._bars.update(self._tasks[phase][0], completed=done)

    def finish(self, phase: str) -> None:
        task, depth = self._tasks.pop(phase, (None, 0))
        if task is None:
            return
        if depth > 0:
            self._bars.remove_task(task)
        else:  # TensorRT does not tell of its last step
            self._bars.update(task, completed=self._totals.pop(phase))


def make_monitor(api: TensorRT, progress: Progress, cancelled: Callable[[], bool]) -> Any:
    """An IProgressMonitor that tells `progress`, and ends the build when `cancelled` says so."""
    base = api.module.IProgressMonitor
    lock = threading.Lock()

    def tell(what: Callable[..., None], *arguments: Any) -> None:
        # An exception would travel through TensorRT's C++ and could end the process.
        try:
            with lock:
                what(*arguments)
        except Exception:
            logger.exception("progress cannot be shown")

    class Monitor(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            tell(progress.start, name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            tell(progress.step, name, step + 1)
            return not cancelled()

        def phase_finish(self, name: str) -> None:
            tell(progress.finish, name)

    return Monitor()
