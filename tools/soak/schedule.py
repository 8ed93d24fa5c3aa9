"""The faults of a soak: what is done to the node's world, one after the other, again and again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from camera_and_listener import MODES
from ros_helpers import RELIABLE, NodeProcess, Tester
from samples import shared_files
from sensor_msgs.msg import Image

COUNTED = ("frames_", "dropped_", "skipped_")
LOOKS = 10  # at the node's account, one second apart
PEERS = Path(__file__).with_name("camera_and_listener.py")


class World:
    """The node, its camera, its listener and a subscriber of the depth in this process.

    Args:
        tester: of this process.
        node: active.
        camera: width and height in pixels and images a second.

    Attributes:
        answers: depth images that came.
        answered_bad: of these, those that answer an image that is none.
        last_answer: time.monotonic() of the last.
        counts: the node's own account, summed up over its configurations.
        missing: frames that it took and does not account for.
    """

    def __init__(self, tester: Tester, node: NodeProcess, camera: tuple[int, int, float]) -> None:
        self.tester = tester
        self.node = node
        self.answers = self.answered_bad = 0
        self.last_answer = 0.0
        self.counts: Counter[str] = Counter()
        self.missing = 0
        self._camera = camera
        self._left: set[str] = set()  # in /dev/shm
        tester.ros.create_subscription(Image, node.topic("~/depth/image"), self._on_depth, RELIABLE)
        self.camera = self._start("camera", *camera)
        self.listener = self._start("listener")

    def _on_depth(self, depth: Image) -> None:
        self.answers += 1
        self.answered_bad += depth.header.stamp.nanosec % 2
        self.last_answer = time.monotonic()

    def count(self) -> None:
        """Add the node's account to `counts`; it counts again once it is configured again.

        The camera is silent meanwhile, so that no frame is on its way; one that is at work on a
        busy machine is waited for, which a lost one does not end.
        """
        self.set_mode("silent")
        for _ in range(LOOKS):
            self.tester.spin(1.0)
            told = self.tester.diagnostics(self.node)
            account = Counter({name: int(told[name]) for name in told if name.startswith(COUNTED)})
            handled = account.total() - account["frames_received"]
            if handled == account["frames_received"]:
                break
        self.counts += account
        self.missing += account["frames_received"] - handled
        self.set_mode("good")

    def set(self, name: str, value: object) -> None:
        """Set a parameter of the node."""
        result = self.tester.set_parameter(self.node, name, value)
        assert result.successful, result.reason

    def _start(self, role: str, *numbers: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(PEERS), role, self.node.namespace, *map(str, numbers)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)

    def set_mode(self, mode: str) -> None:
        """What the camera publishes from now on."""
        assert self.camera.stdin is not None
        self.camera.stdin.write(f"{mode}\n")
        self.camera.stdin.flush()

    def kill(self, role: str) -> None:
        """End a peer without a chance to tidy up."""
        peer: subprocess.Popen[str] = getattr(self, role)
        self._left |= shared_files(peer.pid)
        peer.kill()
        peer.wait()
        self._sweep({self.node.process.pid})

    def start_again(self, role: str) -> None:
        setattr(self, role, self._start(role, *(self._camera if role == "camera" else ())))

    def stop(self) -> None:
        """End the peers, and the node after them."""
        for peer in (self.camera, self.listener):
            self._left |= shared_files(peer.pid)
            peer.kill()
            peer.wait()
        self._left |= shared_files(self.node.process.pid)
        self.node.stop()
        self._sweep(set())

    def _sweep(self, not_asked: set[int]) -> None:
        """Remove what Fast DDS leaves in /dev/shm of processes that were killed: up to 64 MB each.

        Not what a living process has; the node has those of the dead for a while longer.
        """
        living = {os.getpid(), self.camera.pid, self.listener.pid, self.node.process.pid}
        used = set().union(*(shared_files(pid) for pid in living - not_asked))
        for name in self._left - used:
            if "port" not in name:
                Path("/dev/shm", name).unlink(missing_ok=True)
        self._left &= used


def faults(world: World) -> dict[str, Iterator[None]]:
    """One round of faults, by name; each generator makes it, and ends it when it is resumed."""
    return {
        **{mode: _camera_mode(world, mode) for mode in MODES if mode not in ("good", "cut JPEG")},
        "camera killed": _killed(world, "camera"),
        "listener killed": _killed(world, "listener"),
        "deactivated": _deactivated(world),
        "parameters changed": _parameters(world),
        "paused": _paused(world),
        "cut JPEG": _jpeg(world),
    }


def _camera_mode(world: World, mode: str) -> Iterator[None]:
    world.set_mode(mode)
    yield
    world.set_mode("good")


def _killed(world: World, role: str) -> Iterator[None]:
    world.kill(role)
    yield
    world.start_again(role)


def _deactivated(world: World) -> Iterator[None]:
    assert world.tester.change(world.node, "deactivate")
    yield
    assert world.tester.change(world.node, "activate")


def _paused(world: World) -> Iterator[None]:
    world.set("enabled", False)
    yield
    world.set("enabled", True)


def _parameters(world: World) -> Iterator[None]:
    world.set("max_depth", 6.0)
    world.set("color_map", "turbo")
    world.set("output_size", "network")
    assert not world.tester.set_parameter(world.node, "max_depth", -1.0).successful
    yield
    world.set("max_depth", 0.0)
    world.set("color_map", "spectral")
    world.set("output_size", "image")


def _jpeg(world: World) -> Iterator[None]:
    """The node is configured again, twice: the transport cannot be changed while it runs."""
    _configure_anew(world, "compressed")
    world.set_mode("cut JPEG")
    yield
    world.set_mode("good")
    _configure_anew(world, "raw")


def _configure_anew(world: World, transport: str) -> None:
    world.count()  # before the node begins to count again
    for transition in ("deactivate", "cleanup"):
        assert world.tester.change(world.node, transition)
    world.set("image_transport", transport)
    for transition in ("configure", "activate"):
        assert world.tester.change(world.node, transition), world.node.log[-3000:]
