"""Which topics of a recording are played, and which one is the truth, where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass

from depth_estimation_ros.apps.demo.sources import NO_CAMERA_INFO, SourceOptions
from depth_estimation_ros.bags import Recording, Topic
from depth_estimation_ros.bags.topics import (
    OWN_DEPTH,
    camera_info_beside,
    find_topics,
    first_message,
    listed,
    named_topic,
)
from depth_estimation_ros.errors import BagError, ImageError
from depth_estimation_ros.messages import decode_depth


@dataclass(frozen=True)
class Choice:
    """What is used of a recording, and what the user should know about it.

    Attributes:
        image: colour images.
        camera_info: None if there is none, or none that surely belongs to the images.
        ground_truth: depth to compare with, or None.
        notes: sentences.
    """

    image: Topic
    camera_info: Topic | None
    ground_truth: Topic | None
    notes: list[str]


def choose(recording: Recording, options: SourceOptions) -> Choice:
    """The topics that the options name, and where they name none, those that leave no doubt.

    Raises:
        BagError: no image topic, several and none named, or a named topic that is not there.
    """
    topics = find_topics(recording)
    images, depths, infos = topics.images, topics.depths, topics.infos
    notes: list[str] = []
    image = named_topic(images, options.image_topic, f"The image topic of {recording.name}")
    if image is None and len(images) > 1:
        raise BagError(
            f"The image topic of {recording.name}",
            found=f"{len(images)} topics with images",
            expected=f"one of: {listed(images)}",
            fix=f"Choose with --image-topic, for instance --image-topic {images[0].name}",
        )
    image = image or images[0]
    info = named_topic(
        infos, options.camera_info_topic, f"The CameraInfo topic of {recording.name}"
    )
    info = info or camera_info_beside(image, infos)
    if info is None and len(infos) > 1:
        notes.append(f"choose a CameraInfo with --camera-info-topic from {listed(infos)}")
    if info is None and not options.hfov_deg:
        notes.append(NO_CAMERA_INFO)
    truth = None
    if options.ground_truth_topic != "none":
        what = f"The ground truth topic of {recording.name}"
        truth = named_topic(depths, options.ground_truth_topic, what)
        truth = truth or _ground_truth(recording, depths, notes)
        if truth is not None:
            notes.append(f"compared with {truth.name}, taken for the truth")
    return Choice(image, info, truth, notes)


def _ground_truth(recording: Recording, depths: list[Topic], notes: list[str]) -> Topic | None:
    # What this node said of the pictures before, in a result of the demo say, is no truth.
    depths = [topic for topic in depths if not topic.name.endswith(OWN_DEPTH)]
    chosen = [topic for topic in depths if "ground_truth" in topic.name] or depths
    if len(chosen) > 1:
        notes.append(
            f"{len(chosen)} depth topics, so none is taken for the truth: choose with "
            f"--ground-truth-topic from {listed(chosen)}"
        )
        return None
    for topic in chosen:
        try:
            decode_depth(first_message(recording, topic))
        except ImageError as error:
            notes.append(f"{topic.name} is not used as ground truth. {error}")
            return None
    return chosen[0] if chosen else None
