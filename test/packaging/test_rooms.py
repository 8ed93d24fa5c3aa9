"""The rooms of the runtime: an import runs only downwards, also one inside a function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import depth_estimation_ros

PACKAGE = Path(depth_estimation_ros.__file__).parent
ABOVE_THE_ENGINES = {"pipeline", "build_engine", "recordings", "replay", "demo", "node", "frames"}


def imports(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, wherever in it; not those for types."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {
        name.split(".")[1] for name in names if name.split(".")[0] == depth_estimation_ros.__name__
    }


@pytest.mark.parametrize(
    "path",
    sorted((PACKAGE / "engines").rglob("*.py")),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_engines_import_nothing_that_stands_on_them(path: Path) -> None:
    assert imports(path) & ABOVE_THE_ENGINES == set()


def test_the_conversion_that_engines_use_stands_below_them() -> None:
    for name in ("graph", "half"):
        assert imports(PACKAGE / "precision" / f"{name}.py") <= {
            "errors",
            "model_card",
            "onnx_file",
            "precision",
        }


def test_no_two_modules_beside_the_tests_share_a_name() -> None:
    # pytest imports them all by their bare names into one process: the second would be the first.
    names = [path.stem for path in Path(__file__).resolve().parents[1].rglob("*.py")]
    names = [name for name in names if name not in ("__init__", "conftest")]
    assert {name for name in names if names.count(name) > 1} == set()
