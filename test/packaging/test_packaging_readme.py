"""README and docs say what the code does: links, commands, options, arguments, parameters."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
PAGES = (README, REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md")))
PAGE_IDS = [page.name for page in PAGES]
APPS = {
    "make demo": "depth_estimation_ros.apps.demo",
    "replay": "depth_estimation_ros.apps.replay",
    "estimate_depth": "depth_estimation_ros.apps.estimate_depth",
    "build_engine": "depth_estimation_ros.apps.build_engine",
}


def commands(page: Path) -> list[str]:
    """The lines of code blocks, with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", page.read_text())
    return [line.strip() for line in text.splitlines() if line.startswith("    ") and line.strip()]


def options_used(page: Path) -> dict[str, set[str]]:
    """The long options that a page gives to each command, by its module."""
    used: dict[str, set[str]] = defaultdict(set)
    for line in commands(page):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        words = [part for word in words for part in re.sub("^ARGS=", "", word).split()]
        if words[:3] == ["python", "-m", "training"] and len(words) > 3:
            module = f"training {words[3]}"
        elif words[:2] == ["make", "demo"]:
            module = APPS["make demo"]
        else:
            while words[:3] == ["ros2", "run", "depth_estimation_ros"]:
                words = words[3:]
            module = APPS.get(words[0] if words else "", "")
        if module:
            used[module] |= {word.split("=")[0] for word in words if word.startswith("--")}
    return used


@lru_cache
def help_of(module: str) -> str:
    """What a module, or one command of the training, prints for --help."""
    if module.startswith("training"):
        return _help_of_training()[module]
    return _run("-m", module, "--help")


@lru_cache
def _help_of_training() -> dict[str, str]:
    # One process for all of them: PyTorch takes seconds to load.
    used = set().union(*(options_used(page) for page in PAGES))
    names = sorted(name.split()[1] for name in used if name.startswith("training"))
    code = f"""
from contextlib import suppress
from training.__main__ import main
for name in {names}:
    print("#" * 9, flush=True)
    with suppress(SystemExit):
        main([name, "--help"])
"""
    pages = _run("-c", code).split("#" * 9)[1:]
    return {f"training {name}": page for name, page in zip(names, pages, strict=True)}


def _run(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_commands_take_the_options_that_a_page_gives(page: Path) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    for module, options in options_used(page).items():
        known = set(re.findall(r"--[a-z][a-z-]*", help_of(module)))
        assert options <= known, f"{module} has no {options - known}"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads
            }


def test_every_page_of_docs_is_in_the_table_of_contents() -> None:
    contents = (REPOSITORY / "docs" / "README.md").read_text()
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in contents, page.name


def test_parameter_table_is_the_nodes_own() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from depth_estimation_ros.node.parameters import markdown_table

    page = (REPOSITORY / "docs" / "parameters.md").read_text()
    (shown,) = re.findall(r"<!-- parameters: .*? -->\n(.*?)\n<!-- end", page, re.DOTALL)
    assert shown == markdown_table(), "python -m depth_estimation_ros.node.parameters prints it"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_make_targets_and_launch_arguments_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    launch = "".join(file.read_text() for file in (REPOSITORY / "launch").glob("*.launch.py"))
    for line in commands(page):
        if found := re.match(r"make ([a-z-]+)", line):
            assert found[1] in targets, line
        if line.startswith("ros2 launch depth_estimation_ros"):
            for argument in re.findall(r"\b(\w+):=", line):
                assert f'"{argument.removeprefix("depth_")}"' in launch, line


def test_readme_is_short() -> None:
    text = re.sub(r"^    .*$", "", README.read_text(), flags=re.MULTILINE)
    assert len(text.split()) <= 1300
