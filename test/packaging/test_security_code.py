"""What a file says is never run: no pickle, no eval, no shell, anywhere in the runtime."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = sorted(
    path for folder in ("depth_estimation_ros", "launch") for path in (ROOT / folder).rglob("*.py")
)
ALL = [*RUNTIME, *sorted((ROOT / "training").rglob("*.py"))]

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    *(f"os.{name}" for name in ("system", "popen", "startfile")),
    *(f"subprocess.{name}" for name in ("getoutput", "getstatusoutput")),
    *(f"yaml.{name}" for name in ("load", "load_all", "full_load", "unsafe_load")),
    *(f"yaml.{name}" for name in ("Loader", "FullLoader", "UnsafeLoader")),
    *("numpy.load", "np.load", "torch.load", "cv2.FileStorage"),
}


def offences(source: str) -> Iterator[str]:
    """What in a file could run what a file says, by line."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
            names = [name for name in names if name in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name for name in full if name in ATTRIBUTES or name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {entry.arg: ast.unparse(entry.value) for entry in node.keywords}
            if options.get("shell", "False") != "False":
                names.append(f"{name}(shell={options['shell']})")
            if options.get("allow_pickle", "False") != "False":
                names.append(f"{name}(allow_pickle)")
            if name in CALLS:
                names.append(name)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ATTRIBUTES:
            names = [ast.unparse(node)]
        yield from (f"line {node.lineno}: {name}" for name in names)


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_runtime_runs_nothing_that_a_file_says(path: Path) -> None:
    assert list(offences(path.read_text())) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_weights_of_pytorch_are_read_as_weights_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            options = {entry.arg: ast.unparse(entry.value) for entry in node.keywords}
            assert options.get("weights_only") == "True", f"line {node.lineno}"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=wanted)",
        "yaml.load(text, Loader=yaml.Loader)",
        "from yaml import load",
        "np.load(path)",
        "torch.load(path)",
        "os.system('ls')",
        "data = read(path, allow_pickle=True)",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert list(offences(source))
