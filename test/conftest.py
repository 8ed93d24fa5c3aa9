"""A ROS graph of its own for each test run: nothing outside is heard, and nothing outside hears."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ros_helpers import NodeProcess, Tester

CONFIG = Path(__file__).resolve().parent.parent / "config"

# Before any test imports rclpy, and inherited by every process that a test starts.
os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 101))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(CONFIG / "fastdds_shm.xml")
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(CONFIG / "fastdds_shm.xml")


@pytest.fixture(scope="session")
def ros() -> Iterator[None]:
    """rclpy, started once; tests that use it are skipped where there is no ROS."""
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def tester(ros: None) -> Iterator[Tester]:
    """The test's own ROS node, gone after the test with all it created."""
    from ros_helpers import Tester

    with Tester() as tester:
        yield tester


@pytest.fixture(scope="module")
def node(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One depth_estimation process for all tests of a module, unconfigured at first.

    `Tester.bring` takes it to any state with any parameters.
    """
    from ros_helpers import NodeProcess

    with NodeProcess(tmp_path_factory.mktemp("node"), autostart=False) as process:
        yield process
