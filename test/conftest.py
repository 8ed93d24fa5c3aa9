"""A ROS graph of its own for each test run: nothing outside is heard, and nothing outside hears."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from depth_estimation_ros.node.environment import (
    OLD_DISCOVERY_RANGE,
    OLD_PROFILE,
    PROFILE,
    fastdds_environment,
    localhost_environment,
)

if TYPE_CHECKING:
    from ros_helpers import NodeProcess, Tester

    from depth_estimation_ros.engines.tensorrt.api import TensorRT

CONFIG = Path(__file__).resolve().parent.parent / "config"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Before any test imports rclpy, and inherited by every process that a test starts.
# Workers of pytest-xdist get neighbouring domains: those of one run never meet.
_run = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID")).randrange(25)
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["ROS_DOMAIN_ID"] = str(1 + 4 * _run + _worker % 4)
for name in (OLD_DISCOVERY_RANGE, PROFILE, OLD_PROFILE):
    os.environ.pop(name, None)
os.environ.update(localhost_environment())
os.environ.update(fastdds_environment(str(CONFIG / "fastdds_shm.xml")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what loads OpenVINO into this process: TensorRT-RTX, loaded too, can crash there.

    An exception in the C++ of one of the two then ends the process (seen with openvino 2026.4 and
    TensorRT-RTX 1.7.1). `make test` runs these tests by themselves.
    """
    for item in items:
        if "openvino" in item.nodeid.lower() and "test/node/" not in item.nodeid:
            item.add_marker("openvino")


@pytest.fixture(scope="session")
def _session_tester() -> Iterator[Tester]:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from ros_helpers import Tester

    rclpy.init()
    tester = Tester()
    yield tester
    tester.destroy()
    rclpy.shutdown()


@pytest.fixture
def tester(_session_tester: Tester) -> Iterator[Tester]:
    """The tests' own ROS node; after each test it forgets the topics and timers of that test."""
    yield _session_tester
    _session_tester.forget_topics()


@pytest.fixture(scope="module")
def node(
    _session_tester: Tester, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """One depth_estimation process for all tests of a module, unconfigured at first.

    `Tester.bring` takes it to any state with any parameters.
    """
    from ros_helpers import NodeProcess

    with NodeProcess(tmp_path_factory.mktemp("node"), autostart=False) as process:
        yield process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def full_disk(small_disk: Path) -> Path:
    """A disk on which 32 kB are free."""
    with suppress(OSError), (small_disk / "filled").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    os.truncate(small_disk / "filled", (small_disk / "filled").stat().st_size - 32768)
    return small_disk


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data(name)` is a file or folder of recorded data that lies beside the checkout."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"needs the recorded data {name}")
        return path

    return find


@pytest.fixture(scope="session")
def rtx() -> TensorRT:
    """TensorRT-RTX, which builds engines on a machine without a GPU."""
    reason = "needs TensorRT-RTX: pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings"
    pytest.importorskip("tensorrt_rtx_bindings", reason=reason, exc_type=ImportError)
    from depth_estimation_ros.engines.tensorrt.api import find_tensorrt

    return find_tensorrt("tensorrt_rtx")
