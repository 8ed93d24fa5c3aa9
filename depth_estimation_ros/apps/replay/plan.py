"""What will be done with a recording: its cameras, the names of the results, what is copied."""

from __future__ import annotations

from dataclasses import dataclass

from depth_estimation_ros.apps.replay.cameras import CameraSource, notes_on_cameras
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.selection import Selection, expected_images
from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.apps.replay.topics import name_outputs, output_topics
from depth_estimation_ros.bags import Recording, Topic, find_cameras
from depth_estimation_ros.errors import BagError, ParameterError


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
    copied: dict[tuple[str, str], Topic]
    expected_images: int | None
    notes: list[str]


def make_plan(recording: Recording, options: ReplayOptions) -> Plan:
    """Looks at a recording.

    Raises:
        BagError: no camera in it, or a topic that is named is not there.
        CalibrationError, ParameterError: the calibration file cannot be used.
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
    own = {name for camera in cameras for name in output_topics(camera).values()}
    if taken := sorted(own & wanted):
        notes.append(f"not copied, as the new results have these names: {', '.join(taken)}")
    return {
        (topic.name, topic.msgtype): topic
        for topic in recording.topics
        if topic.name in wanted - own
    }
