"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


def test_the_parameter_table_is_the_nodes_own() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from depth_estimation_ros.node.parameters import markdown_table

    (shown,) = re.findall(r"<!-- parameters: .*? -->\n(.*?)\n<!-- end", README, re.DOTALL)
    assert shown == markdown_table(), "python -m depth_estimation_ros.node.parameters prints it"


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)\b", README))
    assert {"demo", "test", "bench", "lint"} <= named & targets


def test_every_launch_argument_it_names_exists() -> None:
    launch = "".join(file.read_text() for file in (REPOSITORY / "launch").glob("*.launch.py"))
    named = set(re.findall(r"\b(\w+):=[\w/]", "\n".join(re.findall("ros2 launch.*", README))))
    assert named
    for argument in named:
        assert f'"{argument}"' in launch, argument


def test_every_option_of_the_demo_it_names_exists() -> None:
    options = (REPOSITORY / "depth_estimation_ros" / "demo" / "command.py").read_text()
    for line in README.splitlines():
        if line.lstrip().startswith("make demo"):
            for option in re.findall(r"--[a-z-]+", line):
                assert option == "--help" or f'"{option}"' in options, option


def test_every_file_it_links_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target
