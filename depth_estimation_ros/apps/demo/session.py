"""Starts node, recorder and player, follows what they tell, and stops them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import yaml

from depth_estimation_ros.apps.demo import topics
from depth_estimation_ros.apps.demo.environment import environment
from depth_estimation_ros.apps.demo.processes import Child
from depth_estimation_ros.apps.demo.sources import Source, SourceOptions
from depth_estimation_ros.errors import DepthEstimationError

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
    """

    source: SourceOptions
    model: str = "compact"
    cloud_stride: int = 2
    frame_timeout: float = 30.0
    domain_id: int | None = None


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
                json.dumps({"bag": str(bag), "topics": topics.recorded(source.transport)}),
            ),
            "player": start(
                "player",
                f"{PACKAGE}.apps.demo.player",
                json.dumps(
                    {"source": asdict(options.source), "frame_timeout": options.frame_timeout}
                ),
            ),
        }
        follower = _Follower(events, children, progress)
        try:
            follower.until(lambda: follower.player_ended)
        except KeyboardInterrupt:
            if not follower.outcome.answers:
                raise
            follower.outcome.interrupted = True
            children["player"].stop()
        progress("waiting for the recorder", len(follower.outcome.answers))
        follower.drain()
    return follower.outcome


def _node_arguments(options: DemoOptions, source: Source, directory: Path) -> list[str]:
    image, _ = topics.IMAGES[source.transport]
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
    return ["--ros-args", "--params-file", str(file), "-r", f"__ns:={topics.NAMESPACE}"]


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

    def drain(self) -> None:
        """Wait until the recorder has every answer, and the diagnostics that count the last one."""
        answered = self.outcome.answers.count("depth")
        self.until(lambda: self._recorded[topics.DEPTH] >= answered, DRAIN_TIMEOUT_S)
        told = self._recorded[topics.DIAGNOSTICS] + 2
        self.until(lambda: self._recorded[topics.DIAGNOSTICS] >= told, DRAIN_TIMEOUT_S)

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
            case "exit":
                raise DepthEstimationError(
                    f"The {name} ended with code {event['code']} in the middle{self._log(name)}"
                )

    def _log(self, name: str) -> str:
        return f"\nThe last lines of the {name}'s log:\n{self._children[name].last_lines()}"
