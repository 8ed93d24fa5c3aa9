"""Replays as tasks of a Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from demo_recordings import standard_bag
from fleet_cases import frames, messages, zooming_bag
from tiny_models import slow_depth

from depth_estimation_ros import __version__
from depth_estimation_ros.apps.replay.fleet import Fleet
from depth_estimation_ros.apps.replay.jobs import JobResult
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.workers import (
    RayOptions,
    connected,
    portable_task,
    remote_job,
)
from depth_estimation_ros.errors import ParameterError

pytest.importorskip("ray", reason="needs Ray: pip install ray")

FRAMES = 30
SLOW_MS = 40
STORE = 80 * 2**20  # bytes; Ray's least is 75 MB


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and, when a test adds them, nodes; each is a raylet with workers of its own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    # A node that is silent for a second is dead; Ray's own half a minute is for real networks.
    watch = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 300,
        "health_check_failure_threshold": 4,
    }
    head = {
        "num_cpus": 1,
        "object_store_memory": STORE,
        "include_dashboard": False,
        "_system_config": watch,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


def test_work_of_a_killed_node_is_finished(cluster, room):
    drive = zooming_bag(room / "drive", FRAMES)
    walk = zooming_bag(room / "walk", FRAMES)
    model = str(slow_depth(room / "slow.onnx", SLOW_MS))
    slow = ReplayOptions(model=model, threads=1, outputs=("depth", "camera_info"))
    replay(replace(slow, inputs=(str(drive),), output=str(room / "whole")))
    second = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    out = room / "out"
    fleet = Fleet([drive, walk], out, slow, ray=RayOptions(cluster.address, cpus=1))
    killer = threading.Thread(
        target=_kill_when_busy, args=(cluster, second, [out / "drive", out / "walk"])
    )
    killer.start()
    summary = fleet.run()
    killer.join()
    found = [(bag.name, bag.exit_code, bag.problem, bag.frames_out) for bag in summary.bags]
    assert found == [("drive", 0, "", FRAMES), ("walk", 0, "", FRAMES)]
    assert len({by for bag in summary.bags for by in bag.by}) <= 2  # the first node's
    for name in ("drive", "walk"):
        assert messages(room / "out" / name) == messages(room / "whole")
        assert frames(room / "out" / name) == frames(room / "whole")
    assert sorted(path.name for path in (room / "out").iterdir()) == ["drive", "fleet.json", "walk"]


def _kill_when_busy(cluster: Any, node: Any, outputs: list[Path]) -> None:
    """Kill a node once both recordings are being worked on, which takes both nodes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tables = [path / "frames.csv" for path in outputs]
        if all(path.exists() and path.read_bytes().count(b"\n") > 3 for path in tables):
            cluster.remove_node(node, allow_graceful=False)
            return
        time.sleep(0.05)


def test_stop_ends_tasks_and_resume_goes_on(cluster, room):
    bag = standard_bag(room / "short", 8)
    model = str(slow_depth(room / "slow2.onnx", SLOW_MS))
    options = ReplayOptions(model=model, threads=1, outputs=("depth",))
    ray = RayOptions(cluster.address, workers=1)
    fleet = Fleet([bag], room / "stopped", options, chunk_s=0.2, ray=ray)
    table = room / "stopped" / ".chunks" / "short" / "short_0001" / "frames.csv"

    def stop_at_the_second() -> None:
        while not table.exists():
            time.sleep(0.02)
        fleet.stop()

    stopper = threading.Thread(target=stop_at_the_second)
    stopper.start()
    stopped = fleet.run()
    stopper.join()
    assert (stopped.exit_code, stopped.bags[0].problem) == (130, "")
    resumed = Fleet(
        [bag], room / "stopped", replace(options, resume=True), chunk_s=0.2, ray=ray
    ).run()
    (result,) = resumed.bags
    assert (result.exit_code, result.chunks, result.frames_out) == (0, 5, 8)


def test_task_larger_than_the_cluster_is_refused(cluster, room):
    bag = standard_bag(room / "one", 1)
    for ray in (RayOptions(cluster.address, cpus=64), RayOptions(cluster.address, gpus=1.0)):
        fleet = Fleet([bag], room / "none", ReplayOptions(), ray=ray)
        with pytest.raises(ParameterError, match=r"no room for a task.*1 processors and 0 GPUs"):
            fleet.run()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "head"])
def test_silent_cluster_is_named_at_once(address):
    with (
        pytest.raises(ParameterError, match=rf"{address}, which does not answer.*ray start --head"),
        connected(RayOptions(address)),
    ):
        pass


def test_missing_ray_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("depth_estimation_ros.apps.replay.workers.find_spec", lambda name: None)
    with pytest.raises(ParameterError, match="pip install ray"):
        Fleet(["bag"], tmp_path, ReplayOptions(), ray=RayOptions("local"))


def test_machine_without_the_package_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "depth_estimation_ros.apps.replay.workers", None)
    answer = JobResult(**portable_task()({"name": "drive"}, "/out", "1.2.3"))
    assert (answer.job, answer.exit_code) == ("drive", 1)
    assert "expected depth_estimation_ros 1.2.3 in the environment of its Ray" in answer.problem


@pytest.mark.parametrize(
    ("version", "problem"),
    [("0.0.0", "expected version 0.0.0"), (__version__, "filesystem that all its machines share")],
)
def test_machine_with_other_version_or_disks_says_so(tmp_path, version, problem):
    job = {"name": "drive", "options": ReplayOptions(run_id="1").to_json(), "report": False}
    answer = JobResult(**remote_job(job, str(tmp_path), version))
    assert answer.exit_code == 1
    assert problem in answer.problem
