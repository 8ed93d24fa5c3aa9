"""The first stage: messages of the recording in order of time, images made ready on the way."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from depth_estimation_ros.apps.replay.cameras import decode_image
from depth_estimation_ros.apps.replay.plan import SECOND, Plan, Selection
from depth_estimation_ros.bags import RecordedMessage, Recording, Topic, stamp_in
from depth_estimation_ros.bags.topics import CAMERA_INFO_TYPE, IMAGE_TYPES
from depth_estimation_ros.errors import DepthEstimationError
from depth_estimation_ros.estimation import DepthEstimator, ModelInput
from depth_estimation_ros.estimation.scale import ScaleSource
from depth_estimation_ros.node.frame_processor import DecodedImage, ImageCamera

LOOK_AHEAD_NS = SECOND
"""Recording time that an image waits for a CameraInfo nearer to it."""
LOOK_BACK_NS = 10 * SECOND
"""Recording time before what is wanted from which on every CameraInfo is read."""
MAX_WAITING, MAX_WAITING_BYTES = 256, 64 << 20


@dataclass(frozen=True)
class CopiedMessage:
    """A message that goes out as it came in."""

    message: RecordedMessage
    like: Topic


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image on its way to the network.

    Attributes:
        frame: the image.
        view: what of it goes to the network.
        camera_state: see `FrameResult`.
        scale_source: what gives its scale; None if nothing does.
        milliseconds: that all this took.
    """

    frame: DecodedImage
    view: ModelInput
    camera_state: str
    scale_source: ScaleSource | None
    milliseconds: float


@dataclass(frozen=True, eq=False)
class ReadFrame:
    """An image on its way.

    Attributes:
        camera: index in the plan.
        stamp_ns: of its header; of its recording if that cannot be read.
        time_ns: of its recording.
        decoded: what comes of it; raises DepthEstimationError for a bad image.
    """

    camera: int
    stamp_ns: int
    time_ns: int
    decoded: Future[Decoded]


class Reader:
    """Reads what a plan wants.

    Args:
        plan: of the replay.
        estimator: makes the images ready for its network.
        skip: images of those that are wanted that an earlier run has done.
        stop: ends the reading between two messages.
    """

    def __init__(
        self, plan: Plan, estimator: DepthEstimator, skip: int, stop: threading.Event
    ) -> None:
        self._plan = plan
        self._estimator = estimator
        self._skip = skip
        self._stop = stop
        self._selection = Selection(plan.options, plan.recording.start_ns)
        self._measurements = plan.measurements
        topic = plan.measurements.topic if plan.measurements else None
        self._scale_topic = topic.name if topic else ""
        self.finished = False
        """Whether all that is wanted was read."""

    def items(self) -> Generator[CopiedMessage | ReadFrame, None, None]:
        """Yield messages to copy and images, in the order of the recording."""
        # Half of the processor at most: the network needs the rest.
        threads = max(1, min(4, (os.cpu_count() or 1) // 2))
        with ThreadPoolExecutor(threads, "decode") as pool:
            for message, camera in self._with_camera_infos():
                if (message.topic, message.msgtype) in self._plan.copied:
                    like = self._plan.copied[message.topic, message.msgtype]
                    yield CopiedMessage(message, like)
                if camera is None:
                    continue
                if self._skip:
                    self._skip -= 1
                    continue
                yield self._submit(message, camera, pool)

    def _with_camera_infos(self) -> Iterator[tuple[RecordedMessage, int | None]]:
        """Messages and the camera of those that are images; these wait for their CameraInfo."""
        waiting: deque[_Waiting] = deque()
        size = 0
        first_ns = self._first_ns()
        if first_ns is not None:
            self._recall_camera_infos(first_ns)
        for message in self._plan.recording.messages(self._topics(), first_ns):
            if self._stop.is_set():
                return
            if message.msgtype == CAMERA_INFO_TYPE:
                for index in self._plan.infos.get(message.topic, ()):
                    self._plan.sources[index].infos.add(message)
            if message.topic == self._scale_topic:
                self._measurements.add(message)  # type: ignore[union-attr]
            camera = None
            if message.msgtype in IMAGE_TYPES:
                camera = self._plan.images.get(message.topic)
            if camera is not None and not self._selection.wants_image(
                message.topic, message.time_ns
            ):
                camera = None
            copied = (message.topic, message.msgtype) in self._plan.copied
            if camera is not None or (copied and self._selection.wants_time(message.time_ns)):
                waiting.append(_Waiting(message, camera))
                size += len(message.cdr)
            while waiting and (
                self._is_ready(waiting[0], message.time_ns)
                or len(waiting) > MAX_WAITING
                or size > MAX_WAITING_BYTES
            ):
                size -= len(waiting[0].message.cdr)
                yield waiting.popleft()
            if not waiting and self._selection.is_over(message.time_ns):
                break
        yield from waiting
        self.finished = True

    def _recall_camera_infos(self, first_ns: int) -> None:
        """The last CameraInfo before the reading begins: some cameras tell it once a recording."""
        for topic, cameras in self._plan.infos.items():
            last = _last_before(self._plan.recording, topic, first_ns)
            if last is not None:
                for index in cameras:
                    self._plan.sources[index].infos.add(last)

    def _is_ready(self, waiting: _Waiting, now_ns: int) -> bool:
        message, camera = waiting
        if camera is None or now_ns - message.time_ns > LOOK_AHEAD_NS:
            return True
        return self._plan.sources[camera].infos.knows(_stamp(message))

    def _topics(self) -> list[str]:
        copied = {topic for topic, _ in self._plan.copied}
        scale = {self._scale_topic} - {""}
        return list({*self._plan.images, *self._plan.infos, *scale, *copied})

    def _first_ns(self) -> int | None:
        first = self._selection.start_ns
        options = self._plan.options
        if options.window_ns and options.every == 1 and not options.rate_hz:
            first = max(first, options.window_ns[0])  # nothing before it has to be counted
        return first - LOOK_BACK_NS if first > self._plan.recording.start_ns else None

    def _submit(self, message: RecordedMessage, camera: int, pool: ThreadPoolExecutor) -> ReadFrame:
        stamp_ns = _stamp(message)
        decoded: Future[Decoded]
        try:
            # Here, in order: the nearest CameraInfo of this moment.
            seen_by = self._plan.sources[camera].camera_at(stamp_ns)
        except DepthEstimationError as error:
            decoded = Future()
            decoded.set_exception(error)
        else:
            measured = self._measurements.nearest(stamp_ns) if self._measurements else None
            decoded = pool.submit(self._decode, message, seen_by, camera, measured)
        return ReadFrame(camera, stamp_ns, message.time_ns, decoded)

    def _decode(
        self,
        message: RecordedMessage,
        camera: ImageCamera,
        index: int,
        measured: tuple[int, RecordedMessage] | None,
    ) -> Decoded:
        start = time.perf_counter()
        image = self._plan.recording.deserialize(message)
        frame, state = decode_image(image, camera, self._plan.options.hfov_deg)
        view = self._estimator.prepare(frame.rgb, frame.camera.model)
        scale = self._measurements.source(index, measured) if self._measurements else None
        return Decoded(frame, view, state, scale, 1e3 * (time.perf_counter() - start))


class _Waiting(NamedTuple):
    message: RecordedMessage
    camera: int | None


def _last_before(recording: Recording, topic: str, time_ns: int) -> RecordedMessage | None:
    """Look back farther and farther, as most often there is one close by."""
    end_ns, span_ns = time_ns, LOOK_BACK_NS
    while end_ns > recording.start_ns:
        found = deque(recording.messages([topic], end_ns - span_ns, end_ns), maxlen=1)
        if found:
            return found[0]
        end_ns, span_ns = end_ns - span_ns, 2 * span_ns
    return None


def _stamp(message: RecordedMessage) -> int:
    stamp_ns = stamp_in(message)
    return message.time_ns if stamp_ns is None else stamp_ns
