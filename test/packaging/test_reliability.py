"""docs/reliability.md: every row is complete, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TEST = Path(__file__).resolve().parents[1]
PAGE = TEST.parent / "docs" / "reliability.md"
HEAD = ["Fault", "What happens", "Well again after", "Frames lost", "Test"]


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row != HEAD and set("".join(row)) != {"-"}]


def names(path: Path) -> set[str]:
    """Of the tests of a file: test_x, or TestX::test_x."""
    tree = ast.parse(path.read_text())
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for group in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        inner = (node for node in group.body if isinstance(node, ast.FunctionDef))
        found |= {f"{group.name}::{node.name}" for node in inner}
    return found


def test_there_are_rows() -> None:
    assert len(rows()) > 40


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_row_says_everything_and_its_tests_are_there(row: list[str]) -> None:
    assert len(row) == len(HEAD)
    assert all(row)
    tests = re.findall(r"`(test_\w+\.py)(?:::([\w:]+))?`", row[-1])
    assert tests
    for file, name in tests:
        (path,) = TEST.rglob(file)
        assert not name or name in names(path)
