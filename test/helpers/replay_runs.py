"""Runs replays on short recordings, and reads back what they wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import demo_recordings as recordings
from tiny_models import red_depth

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import ReplaySummary
from depth_estimation_ros.bags import open_recording

Message = tuple[str, str, int, bytes]


def options(bag: Path, output: Path, **more: Any) -> ReplayOptions:
    """Options for a recording; the network is `red_depth`, beside the output, if none is named."""
    if "model" not in more:
        model = output.parent / "red.onnx"
        if not model.exists():
            red_depth(model)
        more["model"] = str(model)
    return ReplayOptions(inputs=(str(bag),), output=str(output), **more)


def run(bag: Path, output: Path, **more: Any) -> ReplaySummary:
    """A replay from beginning to end."""
    return replay(options(bag, output, **more))


def written(output: Path, *topics: str) -> list[Message]:
    """Topic, type, time of recording and CDR of the messages in order; of all topics if none."""
    with open_recording(output) as recording:
        return [
            (m.topic, m.msgtype, m.time_ns, bytes(m.cdr))
            for m in recording.messages(list(topics) or None)
        ]


def messages(output: Path, topic: str) -> list[tuple[int, Any]]:
    """Times of recording and messages of a topic."""
    with open_recording(output) as recording:
        return [(m.time_ns, recording.deserialize(m)) for m in recording.messages([topic])]


def fields(message: Any) -> Any:
    """All fields of a message, to compare: padding and byte order of the CDR say nothing."""
    if hasattr(message, "__msgtype__"):
        return {name: fields(value) for name, value in vars(message).items()}
    if hasattr(message, "tolist"):
        return (message.dtype.name, message.shape, message.tobytes())
    return [fields(item) for item in message] if isinstance(message, list) else message


def stamp_ns(message: Any) -> int:
    """The header's stamp, nanoseconds."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def summary_file(output: Path) -> dict[str, Any]:
    """OUT/replay.json."""
    return dict(json.loads((output / "replay.json").read_text()))


def image_bag(path: Path, frames: int, storage: Any = "mcap", topic: str = "/camera/image") -> Path:
    """Raw images and their CameraInfo."""
    times = recordings.stamps(frames)
    store = recordings.STORE1 if storage == "ros1" else recordings.STORE
    images = [recordings.picture(i % 40) for i in range(frames)]
    return recordings.write_bag(
        path,
        {
            topic: [
                recordings.raw_image(image, t, store)
                for image, t in zip(images, times, strict=True)
            ],
            topic.rpartition("/")[0] + "/camera_info": [
                recordings.camera_info(t, store) for t in times
            ],
        },
        storage,
    )
