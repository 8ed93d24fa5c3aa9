"""What lies where the result is to go: nothing, an earlier result, or somebody else's files."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from depth_estimation_ros.apps.replay.frames_csv import FRAMES, keep_finished, read_rows
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.summary import REPORT, SUMMARY, CameraSummary, ReplaySummary
from depth_estimation_ros.apps.replay.topics import output_topics
from depth_estimation_ros.bags import RecordingWriter, open_recording
from depth_estimation_ros.bags.metadata import METADATA, storage_files
from depth_estimation_ros.bags.writer import PARTIAL, check_path
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.errors import BagError, ParameterError
from depth_estimation_ros.utils.files import sha256


def earlier_result(options: ReplayOptions) -> ReplaySummary | None:
    """The result that is to be gone on with, or replaced; None if there is none.

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
            fix="Give the same ones to go on, or begin anew with --overwrite",
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
    """What runs until now have done; frames.csv says the same afterwards.

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
    topics = {camera.image_topic: output_topics(camera) for camera in cameras}
    return keep_finished(output, written, topics)


def remove_result(output: Path) -> None:
    """Removes the files of an earlier result; the directory, and what others put in it, stays.

    Its replay.json goes last, as it says that this is a result.
    """
    if not (output / SUMMARY).exists():
        return
    shutil.rmtree(output / PARTIAL, ignore_errors=True)
    beside = [output / name for name in (METADATA, FRAMES, REPORT, SUMMARY)]
    for path in [*storage_files(output), *beside]:
        path.unlink(missing_ok=True)


def sizes(inputs: Sequence[str]) -> list[int]:
    """Bytes of each input; of a directory those of the files right in it, as it is read.

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
