"""What is in the cache, and whether it fits this machine."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depth_estimation_ros.engines.tensorrt.api import TITLES, find_tensorrt
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.differences import (
    Environment,
    differences,
    this_machine,
)
from depth_estimation_ros.engines.tensorrt.sidecar import read_sidecar
from depth_estimation_ros.errors import EngineError


def show(console: Console, directory: Path, device: int) -> None:
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
