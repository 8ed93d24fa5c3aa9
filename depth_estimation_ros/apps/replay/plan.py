"""What is done with a recording: its cameras, the names of the results, which images are wanted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from depth_estimation_ros.apps.replay.cameras import CameraSource, notes_on_cameras
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.scale import ScaleMeasurements
from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.bags import CameraTopics, Recording, Topic, find_cameras
from depth_estimation_ros.bags.topics import COMPRESSED
from depth_estimation_ros.errors import BagError, ParameterError

SECOND = 1_000_000_000
FOLDER = "depth_estimation"
NAMES = {
    "depth": "depth/image",
    "camera_info": "depth/camera_info",
    "points": "points",
    "color": "depth/color",
}
"""As those of the node below its own name."""


@dataclass(frozen=True)
class Plan:
    """A replay of an open recording.

    Attributes:
        recording: open.
        options: as the user gave them.
        cameras: topics in and out.
        sources: of each camera's numbers, in the order of `cameras`.
        images: topics of images, with the index of their camera.
        infos: topics of CameraInfo, with the indices of the cameras that need them.
        measurements: of the scale; None where nothing gives it.
        copied: topics that are written as they are, by name and type, which may change.
        expected_images: about how many; None if the recording does not tell.
        notes: for the user.
    """

    recording: Recording
    options: ReplayOptions
    cameras: list[CameraSummary]
    sources: list[CameraSource]
    images: dict[str, int]
    infos: dict[str, list[int]]
    measurements: ScaleMeasurements | None
    copied: dict[tuple[str, str], Topic]
    expected_images: int | None
    notes: list[str]


def make_plan(recording: Recording, options: ReplayOptions) -> Plan:
    """Look at a recording.

    Raises:
        BagError: no camera in it, or a topic that is named is not there.
        CalibrationError, ParameterError: the calibration file cannot be used.
        ParameterError: the scale cannot be had as wanted.
        ParameterError: all of it lies before the beginning of what is wanted.
    """
    _check_start(recording, options)
    found = find_cameras(recording, options.image_topics, options.camera_info_topics)
    notes = notes_on_cameras(found, options)
    cameras = name_outputs(found, options.outputs)
    sources = [CameraSource(recording, camera, options) for camera in found]
    infos: dict[str, list[int]] = {}
    for index, camera in enumerate(found):
        if camera.camera_info is not None and sources[index].from_file is None:
            infos.setdefault(camera.camera_info.name, []).append(index)
    return Plan(
        recording=recording,
        options=options,
        cameras=cameras,
        sources=sources,
        images={camera.image.name: index for index, camera in enumerate(found)},
        infos=infos,
        measurements=ScaleMeasurements(recording, found, options) if options.is_anchored else None,
        copied=_copied(recording, options, cameras, notes),
        expected_images=expected_images(recording, found, options),
        notes=notes,
    )


def _check_start(recording: Recording, options: ReplayOptions) -> None:
    if Selection(options, recording.start_ns).start_ns >= recording.end_ns > 0:
        seconds = (recording.end_ns - recording.start_ns) / 1e9
        raise ParameterError(
            f"--start of {recording.name}",
            found=f"{options.start_s:g} s",
            expected=f"a time within its {seconds:.1f} s",
            fix="Times count from the first message of the recording",
        )


def _copied(
    recording: Recording, options: ReplayOptions, cameras: list[CameraSummary], notes: list[str]
) -> dict[tuple[str, str], Topic]:
    topics = dict.fromkeys(topic.name for topic in recording.topics)
    named = options.copy if isinstance(options.copy, tuple) else ()
    if missing := [name for name in named if name not in topics]:
        raise BagError(
            f"The topics to copy from {recording.name}",
            found=", ".join(missing),
            expected=f"some of: {', '.join(topics)}",
            fix="Correct --copy",
        )
    wanted = set(topics if options.copy == "all" else named)
    own = {name for camera in cameras for name in camera.topics.values()}
    if taken := sorted(own & wanted):
        notes.append(f"not copied, as the new results have these names: {', '.join(taken)}")
    return {
        (topic.name, topic.msgtype): topic
        for topic in recording.topics
        if topic.name in wanted - own
    }


class Selection:
    """Goes through the images of a recording in order and says which ones are wanted.

    Args:
        options: start, end, rate, every, window.
        start_ns: time of the first message of the recording.
    """

    def __init__(self, options: ReplayOptions, start_ns: int) -> None:
        self.start_ns = start_ns + round(options.start_s * SECOND)
        self.end_ns = start_ns + round(options.end_s * SECOND) if options.end_s else None
        self._window = options.window_ns
        self._every = options.every
        self._period_ns = SECOND / options.rate_hz if options.rate_hz else 0.0
        self._seen: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def wants_time(self, time_ns: int) -> bool:
        """Return whether a message of this time of recording lies in the part that is wanted."""
        if time_ns < self.start_ns or (self.end_ns is not None and time_ns >= self.end_ns):
            return False
        return self._window is None or self._window[0] <= time_ns < self._window[1]

    def is_over(self, time_ns: int) -> bool:
        """Return whether nothing at or after this time is wanted."""
        ends = [self.end_ns, self._window[1] if self._window else None]
        return any(end is not None and time_ns >= end for end in ends)

    def wants_image(self, topic: str, time_ns: int) -> bool:
        """Whether the next image of a topic is wanted. Asked for each of them, in order of time.

        Images in time to a rate are those that a clock beginning with the first one picks, so that
        the mean rate is kept though images do not come on its beats.
        """
        if time_ns < self.start_ns or (self.end_ns is not None and time_ns >= self.end_ns):
            return False
        number = self._seen.get(topic, 0)
        self._seen[topic] = number + 1
        if number % self._every:
            return False
        if self._period_ns:
            due = self._due.setdefault(topic, float(time_ns))
            # Images come with a jitter; one a little early is not worth waiting for the next.
            if time_ns < due - 0.1 * self._period_ns:
                return False
            beats = math.floor((time_ns - due) / self._period_ns + 0.1) + 1
            self._due[topic] = due + beats * self._period_ns
        return self.wants_time(time_ns)


def expected_images(
    recording: Recording, cameras: list[CameraTopics], options: ReplayOptions
) -> int | None:
    """About how many images will be wanted; None if the recording does not say how many it has."""
    counts = [camera.image.count for camera in cameras]
    if any(count is None for count in counts):
        return None
    whole_ns = max(1, recording.end_ns - recording.start_ns)
    selection = Selection(options, recording.start_ns)
    first, last = selection.start_ns, selection.end_ns or recording.end_ns
    if options.window_ns:
        first, last = max(first, options.window_ns[0]), min(last, options.window_ns[1])
    part_ns = min(whole_ns, max(0, min(last, recording.end_ns) - first))
    total = 0
    for count in counts:
        images = math.ceil((count or 0) * part_ns / whole_ns / options.every)
        if options.rate_hz:
            images = min(images, math.ceil(options.rate_hz * part_ns / SECOND))
        total += images
    return total


def name_outputs(cameras: Sequence[CameraTopics], outputs: Sequence[str]) -> list[CameraSummary]:
    """Return the topics in and out of each camera.

    Results of /front/image_raw lie under /front/depth_estimation/, as those of a node in the
    namespace of the camera; where two cameras share /front, under /front/image_raw/...

    Args:
        cameras: of a recording.
        outputs: some of `OUTPUTS`.
    """
    named = []
    for camera, prefix in zip(cameras, _prefixes([c.image.name for c in cameras]), strict=True):
        root = f"/{prefix.strip('/')}/{FOLDER}".replace("//", "/")
        topic = {name: f"{root}/{NAMES[name]}" for name in outputs}
        named.append(
            CameraSummary(
                image_topic=camera.image.name,
                camera_info_topic=camera.camera_info.name if camera.camera_info else "",
                depth_topic=topic.get("depth", ""),
                depth_camera_info_topic=topic.get("camera_info", ""),
                points_topic=topic.get("points", ""),
                color_topic=topic.get("color", ""),
            )
        )
    return named


def _prefixes(images: list[str]) -> list[str]:
    """For each the shortest that it shares with no other: its parent, itself without the transport,
    or itself."""
    bare = [name[: -len(COMPRESSED)] if name.endswith(COMPRESSED) else name for name in images]
    levels = list(zip([name.rpartition("/")[0] for name in bare], bare, images, strict=True))
    chosen = [0] * len(images)
    while True:
        prefixes = [level[i] for level, i in zip(levels, chosen, strict=True)]
        counts = Counter(prefixes)
        shared = [counts[prefix] > 1 for prefix in prefixes]
        if not any(shared):
            return prefixes
        # A longer one may be another's shorter one, so all are looked at again.
        chosen = [min(i + more, 2) for i, more in zip(chosen, shared, strict=True)]
