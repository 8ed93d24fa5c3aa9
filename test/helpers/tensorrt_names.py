"""Writes tensorrt_names.json: the names that really exist in releases of TensorRT's Python module.

    python test/tensorrt_names.py        (network, a C compiler and `nm`; some seconds)

The wheels with the bindings alone are small and install anywhere, but import only where libnvinfer
is. So each is loaded beside empty libraries that have the nine functions it links to: enough for
Python to list classes and members, which are then read off the module. Nothing of it is called.
TensorRT-RTX is read off the real module, which has to be installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

# First and last of each major release, and what JetPack 6.2 has.
RELEASES = ("10.0.1", "10.3.0", "10.16.1.11", "11.0.0.114", "11.4.0.106")
RTX = "tensorrt_rtx_bindings"
TABLE = Path(__file__).with_suffix(".json")
# Whatever the package could ever want of an engine; layers and plugins are not among it.
CLASSES = (
    "Builder",
    "BuilderFlag",
    "ComputeCapability",
    "CudaGraphStrategy",
    "DataType",
    "EngineValidity",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "IRuntimeCache",
    "IRuntimeConfig",
    "ITensor",
    "ITimingCache",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
)
LISTING = """
import importlib.machinery, importlib.util, sys
sys.path.insert(0, {folder!r})
from tensorrt_names import names_of
import json
loader = importlib.machinery.ExtensionFileLoader("tensorrt", {module!r})
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tensorrt", loader))
loader.exec_module(module)
print(json.dumps(names_of(module)))
"""


def names_of(module: Any) -> list[str]:
    """ "Builder" and "Builder.create_network" for all of `CLASSES` that the module has."""
    names = []
    for name in CLASSES:
        if hasattr(module, name):
            members = [m for m in dir(getattr(module, name)) if not m.startswith("_")]
            layers = [m for m in members if m.startswith("add_") and name == "INetworkDefinition"]
            names += [name, *(f"{name}.{m}" for m in members if m not in layers)]
    return sorted(names)


def main() -> int:
    """Writes the table: each name with the releases that lack it."""
    tables = {release: _names_of_wheel(release) for release in RELEASES}
    rtx = __import__(RTX)
    tables[f"rtx {rtx.__version__}"] = names_of(rtx)
    every = sorted(set().union(*tables.values()))
    lacking = {
        name: [release for release, names in tables.items() if name not in names] for name in every
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(lacking[name])}" for name in every)
    releases = json.dumps(list(tables))
    TABLE.write_text(f'{{\n "releases": {releases},\n "lacking": {{\n{lines}\n }}\n}}\n')
    print(f"{TABLE}: {len(every)} names of {', '.join(tables)}")
    return 0


def _names_of_wheel(release: str) -> list[str]:
    package = "tensorrt-cu12-bindings"
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*pip, "--only-binary", ":all:", f"{package}=={release}"], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        zipfile.ZipFile(wheel).extractall(folder)
        (module,) = Path(folder).glob("tensorrt_bindings/tensorrt*.so")
        _write_empty_libraries(module, Path(folder))
        code = LISTING.format(folder=str(Path(__file__).resolve().parent), module=str(module))
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "LD_LIBRARY_PATH": folder},
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.loads(done.stdout)


def _write_empty_libraries(module: Path, folder: Path) -> None:
    """Libraries of the names that the module is linked to, with functions that do nothing."""
    shown = subprocess.run(["nm", "-D", "-u", str(module)], stdout=subprocess.PIPE, check=True)
    symbols = [line.split()[1] for line in shown.stdout.decode().splitlines()]
    wanted = [name for name in symbols if name.endswith("_INTERNAL") or name.startswith("get")]
    wanted = [name for name in wanted if "@" not in name] + ["initLibNvInferPlugins"]
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in wanted))
    for library in ("nvinfer", "nvonnxparser", "nvinfer_plugin"):
        for major in {release.partition(".")[0] for release in RELEASES}:
            name = f"lib{library}.so.{major}"
            out = str(folder / name)
            command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", out, str(source)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
