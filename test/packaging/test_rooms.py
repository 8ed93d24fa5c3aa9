"""Test modules can be told apart by their bare names."""

from __future__ import annotations

from pathlib import Path


def test_no_two_modules_beside_the_tests_share_a_name() -> None:
    # pytest imports them all by their bare names into one process: the second would be the first.
    names = [path.stem for path in Path(__file__).resolve().parents[1].rglob("*.py")]
    names = [name for name in names if name not in ("__init__", "conftest")]
    assert {name for name in names if names.count(name) > 1} == set()
