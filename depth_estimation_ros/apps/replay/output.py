"""What lies where the result is to go: nothing, an earlier result, or somebody else's files."""

from __future__ import annotations

import shutil
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from depth_estimation_ros.apps.replay.frames_csv import FRAMES, keep_finished, read_rows
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.plan import Plan
from depth_estimation_ros.apps.replay.summary import (
    MAX_BAD_FRAMES,
    REPORT,
    SUMMARY,
    TOPIC_FIELDS,
    BadFrame,
    CameraSummary,
    ReplaySummary,
    percentile,
)
from depth_estimation_ros.bags import RecordingWriter, open_recording
from depth_estimation_ros.bags.metadata import METADATA, storage_files
from depth_estimation_ros.bags.writer import PARTIAL, check_path
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.errors import BagError, ParameterError
from depth_estimation_ros.utils.files import sha256
from depth_estimation_ros.utils.memory import peak_memory_mb


def earlier_result(options: ReplayOptions) -> ReplaySummary | None:
    """Return the result that is to be gone on with, or replaced; None if there is none.

    Raises:
        ParameterError: something is there, and it is not a result of a replay, or it is neither to
            be gone on with nor to be replaced.
        BagError: such a path cannot be written.
    """
    output = Path(options.output)
    if not options.output:
        raise ParameterError("No output", expected="a directory for the result")
    check_path(output, options.storage)  # type: ignore[arg-type]
    for path in map(Path, options.inputs):
        if output.resolve() in (path.resolve(), *path.resolve().parents):
            raise ParameterError(
                f"The output {output}", found=f"the input {path} in it", expected="another place"
            )
    if not output.exists() or (output.is_dir() and not _visible(output)):
        return None
    try:
        earlier = ReplaySummary.read(output)
    except (OSError, ValueError, TypeError):
        raise ParameterError(
            f"The output {output}",
            found="something that is no result of a replay",
            expected="a new directory, or an earlier result",
            fix="Name another one with --output; nothing of it was touched",
        ) from None
    if not options.resume and not options.overwrite:
        how = "a finished result" if earlier.complete else "an unfinished result"
        images = sum(1 for _ in read_rows(output))
        raise ParameterError(
            f"The output {output}",
            found=f"{how} of {', '.join(earlier.inputs)} with {images} images",
            expected="a new directory",
            fix="Replace it with --overwrite"
            + ("" if earlier.complete else ", or go on with --resume"),
        )
    return earlier


def check_same(earlier: ReplaySummary, now: ReplaySummary, options: ReplayOptions) -> None:
    """Whether going on with an earlier result makes what one run would have made.

    Raises:
        ParameterError: options, inputs or model are others.
    """
    differences = ReplayOptions.from_json(earlier.options).differences(options)
    if earlier.input_bytes != now.input_bytes:
        differences.append(f"size of the input: {earlier.input_bytes}, {now.input_bytes}")
    if earlier.model_sha256 != now.model_sha256:
        differences.append(f"content of the model: {earlier.model_sha256}, {now.model_sha256}")
    if differences:
        raise ParameterError(
            f"The result in {options.output} was begun with other settings",
            found="; ".join(f"{line} now" for line in differences),
            expected="the same settings, recording and model",
            fix="Give the same ones to go on, or start over with --overwrite",
        )


@contextmanager
def open_result(options: ReplayOptions, summary: ReplaySummary) -> Iterator[RecordingWriter]:
    """The recording to write, begun or gone on with; its replay.json says that it is not complete.

    Raises:
        BagError: it cannot be written there.
    """
    output = Path(options.output)
    settings = (options.storage, options.compression, options.split_bytes)
    try:
        if not options.resume:
            remove_result(output)
        output.mkdir(parents=True, exist_ok=True)
        summary.write(output)  # first: without it this is no result that can be gone on with
    except OSError as error:
        raise BagError(f"The output {output} cannot be written", found=str(error)) from error
    with RecordingWriter(output, *settings, resume=options.resume) as writer:  # type: ignore[arg-type]
        yield writer


def finished_part(
    options: ReplayOptions, cameras: Sequence[CameraSummary]
) -> tuple[int, Counter[str]]:
    """Return what runs until now have done; frames.csv says the same afterwards.

    Returns:
        How many images are finished; and of each topic, how many messages of those that follow in
        the recording are there nevertheless.
    """
    output = Path(options.output)
    written: Counter[str] = Counter()
    if (output / METADATA).exists():
        with open_recording(output) as recording:
            for topic in recording.topics:  # of one name there may be several types
                written[topic.name] += topic.count or 0
    topics = {camera.image_topic: camera.topics for camera in cameras}
    return keep_finished(output, written, topics)


def new_summary(plan: Plan) -> ReplaySummary:
    """Return a summary of what is known before the first image.

    Raises:
        ModelError: there is no such model.
    """
    options = plan.options
    return ReplaySummary(
        inputs=list(options.inputs),
        output=options.output,
        notes=list(plan.notes),
        model=options.model,
        cameras=plan.cameras,
        model_sha256=fingerprint(options.model),
        input_bytes=sizes(options.inputs),
        options=options.to_json(),
    )


def add_up(summary: ReplaySummary, output: Path) -> None:
    """Count the images of the summary and of its cameras, the bad ones, times, memory and topics.

    Args:
        summary: whose cameras are known.
        output: directory of the result.
    """
    cameras = {camera.image_topic: camera for camera in summary.cameras}
    for camera in summary.cameras:
        camera.frames_in = camera.frames_out = camera.frames_bad = 0
    summary.bad_frames = []
    engine_ms = array("d")
    written: dict[str, set[str]] = {topic: set() for topic in cameras}
    for row in read_rows(output):
        camera = cameras[row.image_topic]
        camera.frames_in += 1
        if row.status == "ok":
            camera.frames_out += 1
            written[row.image_topic].update(row.outputs.split("+"))
            engine_ms.append(float(row.engine_ms))
        else:
            camera.frames_bad += 1
            if len(summary.bad_frames) < MAX_BAD_FRAMES:  # a broken camera must not fill the memory
                summary.bad_frames.append(BadFrame(row.image_topic, row.stamp_ns, row.why))
    for topic, camera in cameras.items():
        for name in TOPIC_FIELDS.keys() - written[topic]:
            setattr(camera, TOPIC_FIELDS[name], "")  # a camera without calibration has no cloud
    summary.frames_in = sum(camera.frames_in for camera in summary.cameras)
    summary.frames_out = sum(camera.frames_out for camera in summary.cameras)
    summary.frames_bad = sum(camera.frames_bad for camera in summary.cameras)
    summary.engine_ms_p50 = percentile(engine_ms, 50)
    summary.engine_ms_p99 = percentile(engine_ms, 99)
    summary.peak_rss_mb = round(peak_memory_mb(), 1)


def remove_result(output: Path) -> None:
    """Remove the files of an earlier result; the directory, and what others put in it, stays.

    Its replay.json goes last, as it says that this is a result.
    """
    if not (output / SUMMARY).exists():
        return
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    others = [output / name for name in (METADATA, FRAMES, REPORT, SUMMARY)]
    for path in [*storage_files(output), *others]:
        path.unlink(missing_ok=True)


def sizes(inputs: Sequence[str]) -> list[int]:
    """Return the bytes of each input; of a directory those of the files right in it, as it is read.

    The result may lie in a folder of it, and grows.
    """
    found = []
    for path in map(Path, inputs):
        files = path.iterdir() if path.is_dir() else [path]
        found.append(sum(file.stat().st_size for file in files if file.is_file()))
    return found


def fingerprint(model: str) -> str:
    """SHA-256 of the model file, hexadecimal.

    Raises:
        ModelError: there is no such model.
    """
    return sha256(resolve_model(model))


def _visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
