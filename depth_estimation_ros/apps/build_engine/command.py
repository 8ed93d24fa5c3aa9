"""The command: check, convert, compare, build, write."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from depth_estimation_ros.apps.build_engine.arguments import parse
from depth_estimation_ros.apps.build_engine.conversion import compare_built, convert
from depth_estimation_ros.apps.build_engine.parity import Parity, as_table, check_parity
from depth_estimation_ros.engines import bundled_models, resolve_model
from depth_estimation_ros.engines.tensorrt.api import TITLES, TensorRT, find_tensorrt
from depth_estimation_ros.engines.tensorrt.builder import BarProgress, BuildCancelled
from depth_estimation_ros.engines.tensorrt.cache import (
    Environment,
    Wanted,
    building,
    cache_directory,
    cached_path,
    differences,
    this_machine,
    timing_cache_path,
)
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Settings,
    Sidecar,
    check_writable,
    read_sidecar,
    sidecar_path,
)
from depth_estimation_ros.engines.tensorrt.make import (
    ModelFile,
    check_target,
    make_engine,
    read_model_file,
    wanted_engine,
)
from depth_estimation_ros.engines.tensorrt.profile import make_profile
from depth_estimation_ros.errors import DepthEstimationError, EngineError, ParameterError

console = Console(highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Builds one engine; 0 if it was written."""
    options = parse(argv)
    try:
        if options.list:
            show_cache(console, cache_directory(options.engine_cache), options.device)
        else:
            _build(options)
    except (BuildCancelled, KeyboardInterrupt):
        console.print("interrupted; nothing was written")
        return 130
    except DepthEstimationError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    return 0


def _build(options: argparse.Namespace) -> None:
    if options.precision == "int8" and options.calibration is None:
        raise ParameterError(
            "--precision int8",
            found="no --calibration",
            expected="a folder or a recording with about 100 images of the robot's camera",
        )
    model = _model(options.model)
    profile = make_profile(model.card.input, options.batch, options.size)
    wanted = wanted_engine(model, options.precision, profile)
    api = find_tensorrt(options.tensorrt)
    gpu = _gpu(api, options)
    try:
        targets = check_target(api, gpu, options.compute_capability)
        where = gpu.name if gpu else f"compute capability {', '.join(targets)}"
        console.print(
            f"{escape(model.name)} in {wanted.precision} for inputs of {profile}, by {api.title} "
            f"for {where}",
            soft_wrap=True,
        )
        _convert_and_make(options, model, wanted, api, gpu)
    finally:
        if gpu is not None:
            gpu.close()


def _model(name: str) -> ModelFile:
    """The bundled model of that name, or the file; its path is kept whole, for later messages."""
    path = resolve_model(name)
    return read_model_file(path, name if name in bundled_models() else str(path.absolute()))


def _gpu(api: TensorRT, options: argparse.Namespace) -> Gpu | None:
    """The GPU to build for, or None where TensorRT-RTX builds for others."""
    if api.compute_capabilities and options.compute_capability:
        return None
    try:
        return Gpu(options.device)
    except EngineError as error:
        if not api.compute_capabilities:
            raise
        raise EngineError(
            str(error).rstrip("."),
            fix=f"Or build for other machines with --compute-capability, some of "
            f"{', '.join(api.compute_capabilities)}",
        ) from error


def _convert_and_make(
    options: argparse.Namespace, model: ModelFile, wanted: Wanted, api: TensorRT, gpu: Gpu | None
) -> None:
    directory = cache_directory(options.engine_cache)
    here = this_machine(api, gpu.name, gpu.compute_capability, gpu.cuda_version) if gpu else None
    out: Path = options.out or cached_path(directory, wanted, here)
    check_writable(out)
    # Other processes look for the same engine in the cache only.
    with building(out, console.print) if options.out is None else nullcontext():
        with console.status(f"converting to {wanted.precision}"):
            converted = convert(model, wanted, options.calibration, options.image_topic)
        if converted.parity is not None:
            _show_parity(converted.parity, wanted, "as converted", options.force)
            console.print(f"Compared on {escape(converted.compared_on)}.", soft_wrap=True)

        def check(plan: bytes, sidecar: Sidecar) -> None:
            parity = compare_built(out, plan, sidecar, model, converted.images, api, options.device)
            _show_parity(parity, wanted, f"on {sidecar.gpu_name or 'this GPU'}", options.force)

        began = time.monotonic()
        with _cancelled_by_sigint() as cancelled, _bars() as bars:
            sidecar = make_engine(
                out,
                wanted,
                converted.onnx,
                model.path,
                api,
                gpu,
                compute_capabilities=options.compute_capability,
                settings=Settings(options.workspace_mb, _absolute(options.calibration)),
                timing_cache=timing_cache_path(directory, here) if here else None,
                progress=BarProgress(bars),
                cancelled=cancelled.is_set,
                check=None if gpu is None else check,
            )
    console.print(
        f"wrote {escape(str(out))} ({sidecar.plan_bytes / 1e6:.1f} MB in "
        f"{time.monotonic() - began:.1f} s) and {escape(sidecar_path(out).name)}",
        soft_wrap=True,
    )
    # The node looks in the cache for one image at the card's own size.
    by_name = options.out is None and wanted.profile == make_profile(wanted.card.input)
    name = options.model if by_name else out.absolute()
    more = f" -p precision:={wanted.precision}" if by_name else ""
    if options.engine_cache and by_name:
        more += f" -p engine_cache:={directory}"
    console.print(
        "Run it: ros2 run depth_estimation_ros depth_estimation_node --ros-args "
        f"-p model:={escape(str(name))} -p backend:=tensorrt{escape(more)}",
        soft_wrap=True,
    )


def _show_parity(parity: Parity, wanted: Wanted, where: str, force: bool) -> None:
    """Prints how far an engine is from float32, and refuses too much of it unless forced."""
    console.print(as_table({f"{wanted.card.name} {where}": (wanted.precision, parity)}))
    try:
        check_parity(
            parity,
            wanted.precision,
            f"{wanted.model} {where}",
            "Take a higher precision, give other images with --calibration, or build it all the "
            "same with --force",
        )
    except DepthEstimationError as error:
        if not force:
            raise
        console.print(f"[yellow]built all the same:[/] {escape(str(error))}", soft_wrap=True)


def _absolute(calibration: str | None) -> str | None:
    return None if calibration is None else str(Path(calibration).expanduser().absolute())


def _bars() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


@contextmanager
def _cancelled_by_sigint() -> Iterator[threading.Event]:
    """Ctrl-C sets the event: an exception must not travel through TensorRT's C++."""
    event = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def show_cache(console: Console, directory: Path, device: int) -> None:
    """Prints the engines in a directory, damaged ones too."""
    engines = sorted(directory.glob("*.engine"))
    console.print(f"{len(engines)} engines in {escape(str(directory))}", soft_wrap=True)
    here, why_not = _here(device)
    if why_not:
        console.print(f"whether they fit is unknown: {escape(why_not)}", soft_wrap=True)
    if not engines:
        return
    table = Table("model", "precision", "input", "for", "MB", "here", "file")
    for path in engines:
        table.add_row(*map(escape, _row(path, here)))
    console.print(table)


def _row(path: Path, here: Environment | None) -> list[str]:
    try:
        sidecar = read_sidecar(path)
    except EngineError as error:
        return ["", "", "", "", "", str(error), path.name]
    gpu = sidecar.gpu_name or ", ".join(sidecar.compute_capabilities)
    fits = "?"
    if here is not None:
        fits = "; ".join(differences(sidecar, here)) or "fits"
    return [
        sidecar.model,
        sidecar.precision,
        str(sidecar.profile),
        f"{gpu} ({TITLES[sidecar.flavour]} {sidecar.tensorrt_version})",
        f"{sidecar.plan_bytes / 1e6:.0f}",
        fits,
        path.name,
    ]


def _here(device: int) -> tuple[Environment | None, str]:
    """This machine, or why it has no TensorRT or GPU."""
    try:
        api = find_tensorrt()
        gpu = Gpu(device)
    except EngineError as error:
        return None, str(error)
    try:
        return this_machine(api, gpu.name, gpu.compute_capability, gpu.cuda_version), ""
    finally:
        gpu.close()
