"""Start node, recorder and player, follow what they report, and stop them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import yaml

from depth_estimation_ros.apps.demo import graph
from depth_estimation_ros.apps.demo.graph import parse_event
from depth_estimation_ros.apps.demo.sources import Source, SourceOptions
from depth_estimation_ros.errors import DepthEstimationError
from depth_estimation_ros.node.environment import (
    OLD_DISCOVERY_RANGE,
    fastdds_environment,
    localhost_environment,
)

PROFILE = Path("config") / "fastdds_shm.xml"
# Domains above 101 share their ports with the operating system's short-lived ones.
DOMAINS = range(1, 102)


def environment(domain_id: int | None, log_directory: Path) -> dict[str, str]:
    """Environment variables for node, player and recorder.

    Args:
        domain_id: of DDS; None draws one, so that neither a robot in the network nor a second demo
            disturbs this one.
        log_directory: where ROS writes its own log files.
    """
    domain = random.SystemRandom().choice(DOMAINS) if domain_id is None else domain_id
    inherited = dict(os.environ)
    inherited.pop(OLD_DISCOVERY_RANGE, None)  # where the newer name is known, both is an error
    return inherited | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_LOG_DIR": str(log_directory),
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
        **localhost_environment(),
        **fastdds_environment(str(_share() / PROFILE)),
    }


def ros_name() -> str:
    """Return the ROS 2 that is in use, for the summary."""
    distro = os.environ.get("ROS_DISTRO")
    if distro:
        return distro
    try:
        return f"wheels (rclpy {version('ros-rclpy')})"
    except PackageNotFoundError:
        return "unknown"


def _share() -> Path:
    """The directory with config/: the checkout, or share/ of where the package is installed."""
    checkout = Path(__file__).resolve().parents[3]
    installed = Path(sys.prefix) / "share" / "depth_estimation_ros"
    for place in (checkout, installed):
        if (place / PROFILE).exists():
            return place
    from ament_index_python import PackageNotFoundError as NotFound
    from ament_index_python import get_package_share_directory

    try:
        return Path(get_package_share_directory("depth_estimation_ros"))
    except NotFound:
        raise DepthEstimationError(
            f"The Fast DDS profile {PROFILE}",
            found=f"neither in {checkout} nor in {installed}",
            fix="Install the package, or source the workspace it was built in",
        ) from None


STOP_TIMEOUT_S = 10.0

# `python -m` would take the package from the working directory if that is some checkout; the
# children must run the package that started them.
ROOT = Path(__file__).resolve().parents[3]
RUN_MODULE = (
    "import runpy, sys; sys.path[0] = sys.argv.pop(1); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class Child:
    """A Python module run in a process of its own; its log is a file.

    Args:
        name: for its events.
        module: run as `python -m` would.
        arguments: of the module.
        environment: of the process.
        log: file for standard error, and for lines of standard output that are no events.
        events: where the module's events go; the last one is {"event": "exit", "code": ...}.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        events: Queue[tuple[str, dict[str, Any]]],
    ) -> None:
        self.name = name
        self._log_path = log
        self._log = log.open("w", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE, str(ROOT), module, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal is for the session alone, which stops its children in order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(events,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Interrupt the process, and kill it if that does not end it in time."""
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        self._reader.join()
        self._log.close()

    def last_lines(self, count: int = 12) -> str:
        """Return the end of the log."""
        return "\n".join(self._log_path.read_text("utf-8", "replace").splitlines()[-count:])

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it may have ended by itself just now
            os.killpg(self._process.pid, number)

    def _read(self, events: Queue[tuple[str, dict[str, Any]]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = parse_event(line)
            if event is None:
                self._log.write(line)
                self._log.flush()
            else:
                events.put((self.name, event))
        events.put((self.name, {"event": "exit", "code": self._process.wait()}))


PACKAGE = "depth_estimation_ros"
DIAGNOSTICS_PERIOD_S = 0.2
DRAIN_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class DemoOptions:
    """How the demo runs.

    Attributes:
        source: what is played.
        model: of the node: a bundled name or the path of an ONNX file.
        cloud_stride: of the node; bounds the size of the recorded clouds.
        frame_timeout: seconds that one frame may take.
        domain_id: of DDS; None draws one.
        view: open Rerun, and show the images, depth and cloud of the node.
    """

    source: SourceOptions
    model: str = "compact"
    cloud_stride: int = 2
    frame_timeout: float = 30.0
    domain_id: int | None = None
    view: bool = False


@dataclass
class Outcome:
    """What happened while it ran.

    Attributes:
        answers: for each frame that was sent: depth, dropped (the node said so), or none in time.
        seconds: from the first frame to the last answer.
        interrupted: the user ended it early.
        problem: why the input could not be played to its end; empty if it could.
    """

    answers: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    problem: str = ""


def run(
    options: DemoOptions,
    source: Source,
    bag: Path,
    logs: Path,
    progress: Callable[[str, int], None],
) -> Outcome:
    """Play the source through the node once.

    Args:
        options: how.
        source: as opened from the options; says on which topics it will play.
        bag: directory that the recorder makes.
        logs: existing directory for one log a process, and for ROS's own.
        progress: called with what is going on and the number of frames done.

    Raises:
        DepthEstimationError: a process failed; the message ends with the last lines of its log.
    """
    variables = environment(options.domain_id, logs)
    events: Queue[tuple[str, dict[str, Any]]] = Queue()
    with ExitStack() as stack:

        def start(name: str, module: str, *arguments: str) -> Child:
            child = Child(name, module, arguments, variables, logs / f"{name}.log", events)
            stack.callback(child.stop)
            return child

        progress("starting node and recorder", 0)
        children = {
            "node": start("node", PACKAGE, *_node_arguments(options, source, logs)),
            "recorder": start(
                "recorder",
                f"{PACKAGE}.apps.demo.recorder",
                json.dumps({"bag": str(bag), "topics": graph.recorded(source.transport)}),
            ),
            "player": start(
                "player",
                f"{PACKAGE}.apps.demo.player",
                json.dumps(
                    {"source": asdict(options.source), "frame_timeout": options.frame_timeout}
                ),
            ),
        }
        if options.view:
            children["viewer"] = start("viewer", f"{PACKAGE}.apps.view")
        follower = _Follower(events, children, progress)
        try:
            follower.until(lambda: follower.player_ended)
        except KeyboardInterrupt:
            if not follower.outcome.answers:
                raise
            follower.outcome.interrupted = True
            children["player"].stop()
        progress("waiting for the recorder", len(follower.outcome.answers))
        follower.drain(graph.IMAGES[source.transport][0])
    return follower.outcome


def _node_arguments(options: DemoOptions, source: Source, directory: Path) -> list[str]:
    image, _ = graph.IMAGES[source.transport]
    parameters = {
        "model": options.model,
        "image_transport": source.transport,
        "cloud_stride": options.cloud_stride,
        "camera_info_timeout": 10.0 if source.has_camera_info else 0.0,
        "diagnostics_period": DIAGNOSTICS_PERIOD_S,
        # The player asks for each transition, and so learns at once if one fails.
        "autostart": False,
        # A recording shall arrive whole; a robot is better off with the newest image.
        f"qos_overrides.{image}.subscription.reliability": "reliable",
    }
    file = directory / "node.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    return ["--ros-args", "--params-file", str(file), "-r", f"__ns:={graph.NAMESPACE}"]


class _Follower:
    """Keeps count of what the processes say.

    Args:
        events: of all of them.
        children: by name.
        progress: see `run`.
    """

    def __init__(
        self,
        events: Queue[tuple[str, dict[str, Any]]],
        children: dict[str, Child],
        progress: Callable[[str, int], None],
    ) -> None:
        self.outcome = Outcome()
        self.player_ended = False
        self._events = events
        self._children = children
        self._progress = progress
        self._recorded: Counter[str] = Counter()
        self._counted_ns = 0  # when the node sent the newest recorded diagnostics
        self._began = 0.0

    def until(self, condition: Callable[[], bool], timeout_s: float = float("inf")) -> bool:
        """Follow events until the condition holds; False if it did not within the time."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            try:
                self._take(*self._events.get(timeout=0.1))
            except Empty:
                continue
        return True

    def drain(self, image_topic: str) -> None:
        """Wait until the recorder has every image and answer, and diagnostics that count them."""
        sent, answered = len(self.outcome.answers), self.outcome.answers.count("depth")
        self.until(
            lambda: self._recorded[image_topic] >= sent and self._recorded[graph.DEPTH] >= answered,
            DRAIN_TIMEOUT_S,
        )
        # On a busy machine older ones may still wait to be recorded.
        after_ns = time.time_ns() + round(DIAGNOSTICS_PERIOD_S * 1e9)
        self.until(lambda: self._counted_ns > after_ns, DRAIN_TIMEOUT_S)

    def _take(self, name: str, event: dict[str, Any]) -> None:
        match event["event"]:
            case "playing":
                self._began = time.monotonic()
            case "frame":
                self.outcome.answers.append(event["answer"])
                self.outcome.seconds = time.monotonic() - self._began
                self._progress("playing", len(self.outcome.answers))
            case "recorded":
                self._recorded[event["topic"]] += 1
                if event["topic"] == graph.DIAGNOSTICS:
                    self._counted_ns = event["stamp_ns"]
            case "broken_source" if self.outcome.answers:
                self.outcome.problem = event["message"]
            case "broken_source":
                raise DepthEstimationError(event["message"])
            case "failed":
                raise DepthEstimationError(f"{event['message']}{self._log('node')}")
            case "exit" if name == "player":
                self.player_ended = True
                if event["code"] != 0 and not self.outcome.problem:
                    raise DepthEstimationError(f"The player failed{self._log(name)}")
            case "exit" if name == "viewer" and event["code"] == 0:
                pass
            case "exit":
                raise DepthEstimationError(
                    f"The {name} ended with code {event['code']} in the middle{self._log(name)}"
                )

    def _log(self, name: str) -> str:
        return f"\nThe last lines of the {name}'s log:\n{self._children[name].last_lines()}"
