"""Write report.html next to the bag that a replay has made, from what its files say."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import charts
from depth_estimation_ros.apps.replay.report.charts import Album, Image
from depth_estimation_ros.apps.replay.report.footage import (
    Depth,
    Footage,
    open_footage,
    read_depth,
    read_image,
    read_sample,
    spread,
)
from depth_estimation_ros.apps.replay.report.frames import (
    Frames,
    find_gaps,
    percentiles,
    period_ns,
    read_frames,
)
from depth_estimation_ros.apps.replay.report.truth import SCORED, Comparison, cap, compare
from depth_estimation_ros.apps.replay.summary import REPORT, SUMMARY, CameraSummary, ReplaySummary
from depth_estimation_ros.errors import BagError
from depth_estimation_ros.estimation.metrics import PAIR_TOLERANCE_NS, depth_metrics
from depth_estimation_ros.utils.files import atomic_write
from depth_estimation_ros.visualization import ColorScale
from depth_estimation_ros.visualization.colorize import MAX_RELATIVE_ERROR

MAX_IMAGE_BYTES = 2_600_000  # of all images together: the page stays below 3 MB
SAMPLE_ROWS, SAMPLE_ROWS_PER_CAMERA = 24, 6
MAX_SHOWN_GAPS, MAX_SHOWN_BAD_FRAMES = 5, 20
NOT_SETTINGS = ("inputs", "output", "model", "split_bytes", "resume", "overwrite")
METRICS = ("abs_rel", "rmse", "delta1", "delta2", "delta3")

Cameras = list[tuple[CameraSummary, Frames]]
OnComparison = Callable[[CameraSummary, Comparison], None]


def write_report(
    output: Path, on_comparison: OnComparison = lambda camera, comparison: None
) -> Path:
    """Write the report of a finished or interrupted replay and return its path.

    The page is one file that needs nothing else. Of the bags only some messages are read, found by
    their time, so memory and time do not grow with them. What is missing (bags, frames, clouds,
    ground truth) is missing on the page.

    Args:
        output: directory of the replay, with its replay.json.
        on_comparison: called with the errors of each camera whose ground truth is known.

    Raises:
        BagError: the directory is not of a replay, or cannot be written to.
    """
    try:
        summary = ReplaySummary.read(output)
    except (OSError, ValueError, TypeError) as error:
        raise BagError(
            f"No report of {output}",
            found=f"{type(error).__name__}: {error}",
            expected=f"a directory that a replay wrote, with its {SUMMARY}",
        ) from error
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("report.html.j2")
    with open_footage(output, summary.inputs) as footage:
        text = template.render(_content(summary, read_frames(output), footage, on_comparison))
    path = output / REPORT
    try:
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BagError(f"The report {path} cannot be written", found=error.strerror) from error
    return path


def _content(
    summary: ReplaySummary,
    frames: dict[str, Frames],
    footage: Footage,
    on_comparison: OnComparison,
) -> dict[str, Any]:
    """Return what the template shows, by its names there."""
    options = ReplayOptions.from_json(summary.options)
    known = {camera.image_topic: camera for camera in summary.cameras}
    known |= {topic: CameraSummary(topic) for topic in frames if topic not in known}
    cameras = [(camera, frames[topic]) for topic, camera in known.items() if topic in frames]
    start = min((int(f.stamp_ns[0]) for _, f in cameras), default=0)
    end = max((int(f.stamp_ns[-1]) for _, f in cameras), default=0)
    album = Album(MAX_IMAGE_BYTES)
    content = {
        **_heading(summary),
        **_losses(summary, start),
        **_times(cameras),
        **_settings(summary, options),
        "recorded": f"{datetime.fromtimestamp(start / 1e9, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        if start
        else "",
        "key_figures": _key_figures(summary, cameras, (end - start) / 1e9),
        "several": len(cameras) > 1,
        "samples": _samples(footage, cameras, start, options, album),
        "truths": _truths(footage, cameras, start, options, album, on_comparison),
        "keys": list(zip(("received", "missing", "bad"), charts.STATE_COLORS[1:], strict=True)),
        "strips": end > start,
        "cameras": [_camera(known[t], frames.get(t), start, end, options) for t in known],
        "depths": _depths(cameras, start, options),
    }
    left_out = [f"Left out of a full page: {_count(album.left_out, 'image')}."]
    return content | {"footnotes": footage.notes + (left_out if album.left_out else [])}


def _heading(summary: ReplaySummary) -> dict[str, Any]:
    names = [Path(path).name or path for path in summary.inputs]
    title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    lost = [f"{_count(summary.frames_bad, 'frame')} gave no depth"] if summary.frames_bad else []
    lost += ["the recording is damaged"] if summary.damage else []
    if summary.interrupted:
        status = "Interrupted: this is how far it got; --resume continues."
    elif summary.problem:
        status = f"Ended early: {summary.problem}"
    elif not summary.complete:
        status = "Not finished: this is how far it got."
    elif lost:
        status = f"Complete, with loss: {' and '.join(lost)}."
    else:
        status = "Complete: every frame gave depth."
    guessed = any(camera.has_guessed_scale for camera in summary.cameras)
    if guessed and summary.complete:
        status += " The scale is a guess: the field of view of a camera is not known."
    good = summary.complete and not lost and not summary.problem and not guessed
    return {"title": f"Depth of {title}", "status": status, "good": good, "notes": summary.notes}


def _key_figures(summary: ReplaySummary, cameras: Cameras, span_s: float) -> list[tuple[str, str]]:
    engine = percentiles(np.concatenate([f.engine_ms for _, f in cameras] or [np.empty(0)]))
    return [
        ("frames in", f"{summary.frames_in}"),
        ("frames out", f"{summary.frames_out}"),
        ("bad", f"{summary.frames_bad}"),
        ("of recording", f"{span_s:.1f} s"),
        ("took", f"{summary.seconds:.1f} s"),
        ("frames/s", f"{summary.frames_per_second:.1f}"),
        ("engine, median", f"{engine['p50']:.1f} ms" if engine else "-"),
        ("memory, peak", f"{summary.peak_rss_mb:.0f} MB"),
    ]


def _settings(summary: ReplaySummary, options: ReplayOptions) -> dict[str, Any]:
    sizes = [f" ({_size(count)})" for count in summary.input_bytes]
    sizes += [""] * (len(summary.inputs) - len(sizes))
    inputs = [f"{path}{size}" for path, size in zip(summary.inputs, sizes, strict=False)]
    named = summary.model in ("", options.model)
    rows = [
        ["recording", ", ".join(inputs)],
        ["written to", summary.output],
        ["model", options.model if named else f"{summary.model} ({options.model})"],
        ["engine", summary.engine or "-"],
        ["SHA-256 of the model", summary.model_sha256 or "-"],
        ["machine of this page", f"{platform.machine()}, {os.cpu_count()} CPUs"],
    ]
    values, plain = options.to_json(), ReplayOptions().to_json()
    settings = {name: value for name, value in values.items() if name not in NOT_SETTINGS}
    changed = [[k, _value(v)] for k, v in settings.items() if v != plain[k]]
    defaults = [[k, _value(v)] for k, v in settings.items() if v == plain[k]]
    return {"settings": rows + changed, "defaults": defaults}


def _losses(summary: ReplaySummary, start_ns: int) -> dict[str, Any]:
    def number(value: object) -> str:
        return "unknown" if value is None else str(value)

    damage = [
        [d.get("where", ""), d.get("what", ""), number(d.get("lost_messages")),
         number(d.get("lost_bytes"))]
        for d in summary.damage
    ]  # fmt: skip
    shown = summary.bad_frames[:MAX_SHOWN_BAD_FRAMES]
    bad = [[f.topic, f"{(f.stamp_ns - start_ns) / 1e9:.3f}", f.why] for f in shown]
    caption = "Frames without depth"
    if len(shown) < summary.frames_bad:
        caption += f": {len(shown)} of {summary.frames_bad}; all are in frames.csv"
    return {"damage": damage, "bad_frames": bad, "bad_caption": caption}


def _camera(
    camera: CameraSummary, frames: Frames | None, start: int, end: int, options: ReplayOptions
) -> dict[str, Any]:
    """Return strip, gaps and topics of one camera."""
    info = f"{camera.camera_info_topic or '-'} ({camera.camera_state or 'unknown'})"
    shown: dict[str, Any] = {"name": camera.image_topic, "words": []}
    shown["topics"] = [
        ["images", camera.image_topic],
        ["CameraInfo", info],
        ["depth", camera.depth_topic or "-"],
        ["points", camera.points_topic or "-"],
        ["colour", camera.color_topic or "-"],
        ["frames in, out, bad", f"{camera.frames_in}, {camera.frames_out}, {camera.frames_bad}"],
    ]
    if frames is None:
        return shown | {"words": ["No frames."]}
    period = period_ns(frames.stamp_ns, options.rate_hz)
    gaps = find_gaps(frames.stamp_ns, period)
    lost = [gap for gap in gaps if gap.missing]
    if math.isfinite(period) and period > 0:
        text = f"{period / 1e6:.1f} ms ({1e9 / period:.2f} Hz)"
        shown["topics"].append(["median period", text])
    if end > start:
        shown["strip"] = charts.draw_strip(frames, start, end, gaps, camera.image_topic)
    if end > start and len(frames) > 1:
        words = "No gaps: no two frames are more than 1.5 median periods apart."
        if lost:
            missing = _count(sum(gap.missing for gap in lost), "frame")
            words = (
                f"About {missing} missing in {_count(len(lost), 'gap')}: where the stamps are "
                f"more than 1.5 times {period / 1e6:.1f} ms apart."
            )
        if pauses := len(gaps) - len(lost):
            words += f" Not counted: {_count(pauses, 'pause')} of more than a minute."
        shown["words"] = [words]
    longest = sorted(lost, key=lambda gap: gap.start_ns - gap.end_ns)[:MAX_SHOWN_GAPS]
    shown["gaps"] = [
        [f"{(g.start_ns - start) / 1e9:.2f}", f"{(g.end_ns - g.start_ns) / 1e6:.1f}", g.missing]
        for g in sorted(longest, key=lambda gap: gap.start_ns)
    ]
    shown["gap_caption"] = "The longest gaps" if len(lost) > MAX_SHOWN_GAPS else "The gaps"
    return shown


def _times(cameras: Cameras) -> dict[str, Any]:
    captions = {
        "engine": "Inside the engine: the network alone; of a batch, the share of the frame.",
        "total": "Decoding, depth and making the messages, without waiting and writing.",
    }
    columns = {
        "engine": {camera.image_topic: frames.engine_ms for camera, frames in cameras},
        "total": {camera.image_topic: frames.total_ms for camera, frames in cameras},
    }
    every = {
        kind: values[np.isfinite(values)]
        for kind, column in columns.items()
        for values in [np.concatenate([*column.values(), np.empty(0)])]
    }
    known = {kind: values for kind, values in every.items() if values.size}
    if not known:
        return {"times": []}
    high = charts.time_axis_end(*known.values())
    shown = []
    for kind, values in known.items():
        beyond = int((values > high).sum())
        more = f" The last bar holds {_count(beyond, 'frame')} of more than {high:.4g} ms."
        shown.append(
            (
                charts.draw_histogram(values, high, kind),
                captions[kind] + (more if beyond else ""),
            )
        )
    series = list(known.items())
    if len(cameras) > 1:
        topics = [camera.image_topic for camera, _ in cameras]
        series += [(f"{kind}, {t}", columns[kind][t]) for t in topics for kind in known]
    rows = [
        [name, *[f"{found[p]:.2f}" for p in ("p50", "p90", "p99", "max")]]
        for name, values in series
        if (found := percentiles(values))
    ]
    return {"times": shown, "time_rows": rows}


def _depths(cameras: Cameras, start: int, options: ReplayOptions) -> list[tuple[str, str]]:
    shown = []
    for camera, frames in cameras:
        known = np.isfinite(frames.depth_p5 + frames.depth_median + frames.depth_p95)
        if len(np.unique(frames.stamp_ns[known])) > 1:
            gaps = find_gaps(frames.stamp_ns, period_ns(frames.stamp_ns, options.rate_hz))
            caption = (
                f"{camera.image_topic}. Line: median of the pixels; band: 5 to 95 % of them. "
                f"{100 * float(np.nanmean(frames.valid_share)):.1f} % of the pixels have a depth."
            )
            chart = charts.draw_depth_over_time(frames, start, gaps, camera.image_topic)
            shown.append((chart, caption))
        if np.isfinite(frames.scale).any():
            source = options.scale_from or f"a camera height of {options.camera_height:g} m"
            caption = f"{camera.image_topic}. The factor on the depth of the network, by {source}; "
            caption += f"median {np.nanmedian(frames.scale):.2f}."
            shown.append((charts.draw_scale_over_time(frames, start, camera.image_topic), caption))
    return shown


def _samples(
    footage: Footage, cameras: Cameras, start: int, options: ReplayOptions, album: Album
) -> list[tuple[str, list[list[Image]]]]:
    """Return camera, depth and cloud of some frames of each camera, evenly over the recording."""
    count = min(SAMPLE_ROWS_PER_CAMERA, max(1, SAMPLE_ROWS // max(1, len(cameras))))
    shown = []
    for camera, frames in cameras:
        chosen = [int(index) for index in spread(np.flatnonzero(frames.ok), count)]
        thin = []
        for index in chosen:
            time_ns, stamp = int(frames.time_ns[index]), int(frames.stamp_ns[index])
            depth = read_depth(footage.output, camera.depth_topic, time_ns, stamp)
            thin += [] if depth is None else [depth[::4, ::4].copy()]
        near, far = _color_range(thin)
        rows = []
        for index in chosen:  # one frame is in memory at a time
            sample = read_sample(footage, camera, frames, index)
            seconds = f"{(int(frames.stamp_ns[index]) - start) / 1e9:.2f} s"
            row = []
            if sample.rgb is not None:
                panel = charts.camera_panel(sample.rgb)
                row.append(album.add(panel, f"Camera image at {seconds}", seconds))
            if sample.depth is not None:
                median = float(frames.depth_median[index])
                caption = f"Depth, median {median:.2f} m" if np.isfinite(median) else "Depth"
                panel = charts.depth_panel(sample.depth, near, far, options.color_map)
                row.append(album.add(panel, f"Depth at {seconds} in colours", caption))
            cloud = charts.cloud_panel(*sample.cloud) if sample.cloud is not None else None
            if cloud is not None:
                row.append(album.add(cloud, f"Point cloud at {seconds}", "Points"))
            rows += [row] if row else []
        if rows:
            shown.append((camera.image_topic, rows))
    return shown


def _truths(
    footage: Footage,
    cameras: Cameras,
    start: int,
    options: ReplayOptions,
    album: Album,
    on_comparison: OnComparison,
) -> list[tuple[str, dict[str, Any]]]:
    """Return the errors against the depth that the recording holds, for each camera with some."""
    shown: list[tuple[str, dict[str, Any]]] = []
    limit = cap(options)
    for camera, frames in () if options.rectify else cameras:  # the truth is of the raw images
        found, why = compare(footage, camera, frames, limit)
        if found is None:
            shown += [(camera.image_topic, {"why": why})] if why else []
            continue
        on_comparison(camera, found)
        index, depth, truth = found.shown
        time_ns, stamp = int(frames.time_ns[index]), int(frames.stamp_ns[index])
        rgb = read_image(footage.original, camera.image_topic, time_ns, stamp)
        near, far = _color_range([depth, truth])
        images = []
        if rgb is not None:
            seconds = f"{(stamp - start) / 1e9:.2f} s"
            images.append(album.add(charts.camera_panel(rgb), "Camera image", seconds))
        for values, alt, caption in (
            (depth, "Estimated depth", "Depth"),
            (truth, "Ground truth", "Ground truth, black unknown"),
        ):
            panel = charts.depth_panel(values, near, far, options.color_map)
            images.append(album.add(panel, alt, caption))
        abs_rel = depth_metrics(depth, truth, max_depth=limit)["abs_rel"]
        percent = round(100 * MAX_RELATIVE_ERROR)
        caption = (
            f"Relative error: blue {percent} % too near, white right, red {percent} % too far, "
            f"grey unknown; abs_rel {abs_rel:.3f}"
        )
        panel = charts.error_panel(depth, truth)
        images.append(album.add(panel, "Relative error in colours", caption))
        table = _accuracy(found, footage.name)
        shown.append((camera.image_topic, table | {"images": images}))
    return shown


def _accuracy(comparison: Comparison, data: str) -> dict[str, Any]:
    """Return the errors as predicted and median-scaled, next to those of constants."""
    found = comparison.accuracy
    kinds = (
        ("as predicted", found.as_predicted),
        ("median-scaled", found.median_scaled),
        (f"one constant, {found.constant_m:.2f} m", found.one_constant),
        ("each image's own median", found.constant_per_image),
    )
    caption = (
        f"{data}: {found.images} frames against {comparison.topic}, taken for the truth; "
        f"depth to {found.max_depth:g} m, no crop, "
        f"{100 * found.as_predicted['coverage']:.1f} % of the true pixels have a depth"
    )
    words = (
        "Each number is the mean over frames of the mean over pixels. As predicted: the metres of "
        "the replay. Median-scaled: each frame multiplied so that its median is that of the ground "
        "truth, which hides errors of scale. The last two use no image: the median of all ground "
        f"truth, and of each frame's. Stamps agree within {PAIR_TOLERANCE_NS // 10**6} ms; of "
        f"longer recordings {SCORED} frames, evenly over time, are compared. scale_correction "
        f"times {found.scale_correction:.2f} would bring the medians of depth and truth together."
    )
    return {
        "caption": caption,
        "heads": ["", "abs_rel", "rmse, m", "delta1", "delta2", "delta3"],
        "rows": [[kind, *[f"{scores[m]:.3f}" for m in METRICS]] for kind, scores in kinds],
        "words": words,
    }


def _color_range(depths: Iterable[Depth]) -> tuple[float, float]:
    """Return metres at the ends of the colours that suit all of these depth maps."""
    everything = [depth.reshape(1, -1) for depth in depths] or [np.empty((1, 0), np.float32)]
    return ColorScale.percentiles(1.0, 98.0, 0.0).range_for(np.concatenate(everything, axis=1), 0)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
