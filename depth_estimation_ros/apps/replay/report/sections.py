"""The words and tables of the page: what was played with what, how fast, and how accurate."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report.camera_frames import Floats, Frames, percentiles
from depth_estimation_ros.apps.replay.report.losses import counted
from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined, table
from depth_estimation_ros.apps.replay.report.truth import SCORED, Comparison
from depth_estimation_ros.apps.replay.summary import CameraSummary, ReplaySummary
from depth_estimation_ros.estimation.metrics import PAIR_TOLERANCE_NS


def heading(summary: ReplaySummary) -> Markup:
    """The title, and how the replay ended."""
    names = [Path(path).name or path for path in summary.inputs]
    title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    lost = [f"{counted(summary.frames_bad, 'frame')} gave no depth"] if summary.frames_bad else []
    lost += ["the recording is damaged"] if summary.damage else []
    if summary.interrupted:
        words = "Interrupted: this is how far it got; --resume goes on from here."
    elif summary.problem:
        words = f"Ended early: {summary.problem}"
    elif not summary.complete:
        words = "Not finished: this is how far it got."
    elif lost:
        words = f"Complete, with loss: {' and '.join(lost)}."
    else:
        words = "Complete: every frame gave depth."
    kind = "good" if summary.complete and not lost and not summary.problem else "poor"
    return joined(
        element("h1", f"Depth of {title}"),
        element("p", words, class_=f"status {kind}"),
        *[element("p", note) for note in summary.notes],
    )


def key_figures(summary: ReplaySummary, engine: Mapping[str, float], span_s: float) -> Markup:
    """The numbers that are asked for first."""
    figures = [
        ("frames in", f"{summary.frames_in}"),
        ("frames out", f"{summary.frames_out}"),
        ("bad", f"{summary.frames_bad}"),
        ("of recording", f"{span_s:.1f} s"),
        ("took", f"{summary.seconds:.1f} s"),
        ("frames/s", f"{summary.frames_per_second:.1f}"),
        ("engine, median", f"{engine['p50']:.1f} ms" if engine else "-"),
        ("memory, peak", f"{summary.peak_rss_mb:.0f} MB"),
    ]
    pairs = [element("div", element("dt", k), element("dd", v)) for k, v in figures]
    return element("dl", *pairs, class_="keys")


def setting(summary: ReplaySummary, options: ReplayOptions) -> Markup:
    """What was played with what, and every option that is not the default."""
    sizes = [f" ({_size(n)})" for n in summary.input_bytes]
    sizes += [""] * (len(summary.inputs) - len(sizes))
    inputs = [f"{path}{size}" for path, size in zip(summary.inputs, sizes, strict=False)]
    system = f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}"
    model = (
        options.model
        if summary.model in ("", options.model)
        else (f"{summary.model} ({options.model})")
    )
    rows: list[list[object]] = [
        ["recording", _lines(inputs)],
        ["written to", summary.output],
        ["model", model],
        ["engine", summary.engine or "-"],
        ["machine (where this page was made)", system],
    ]
    if summary.model_sha256:
        rows.insert(3, ["SHA-256 of the model", element("code", summary.model_sha256)])
    shown = options.to_json()
    plain = ReplayOptions().to_json()
    hidden = ("inputs", "output", "model", "split_bytes", "resume", "overwrite")
    changed = [k for k in shown if shown[k] != plain[k] and k not in hidden]
    rows += [[name, _value(shown[name])] for name in changed]
    others = [[k, _value(v)] for k, v in shown.items() if k not in (*changed, *hidden)]
    return joined(
        table("What was played with what", [], rows, numbers_from=2),
        element(
            "details",
            element("summary", "All other settings: they have their defaults"),
            table("Settings with their defaults", [], others, numbers_from=2),
        ),
    )


def camera_table(camera: CameraSummary, frames: Frames | None, period: float) -> Markup:
    """Topics and numbers of one camera."""
    none = "-"
    rows: list[list[object]] = [
        ["images", camera.image_topic],
        ["CameraInfo", f"{camera.camera_info_topic or none} ({camera.camera_state or 'unknown'})"],
        ["depth", camera.depth_topic or none],
        ["points", camera.points_topic or none],
        ["colour", camera.color_topic or none],
        ["frames in, out, bad", f"{camera.frames_in}, {camera.frames_out}, {camera.frames_bad}"],
    ]
    if frames is not None and math.isfinite(period) and period > 0:
        rows.append(["median period", f"{period / 1e6:.1f} ms ({1e9 / period:.2f} Hz)"])
    return table("Topics and frames", [], rows, numbers_from=2)


def times_table(cameras: list[tuple[str, Frames]], engine: Floats, total: Floats) -> Markup:
    """Percentiles of the times a frame took.

    Args:
        cameras: names and frames; with several of them each has its own rows.
        engine, total: milliseconds of the frames of all cameras.
    """
    kinds = [("engine", engine), ("total", total)]
    if len(cameras) > 1:
        for name, frames in cameras:
            kinds += [(f"engine, {name}", frames.engine_ms), (f"total, {name}", frames.total_ms)]
    rows: list[list[object]] = []
    for name, values in kinds:
        found = percentiles(values)
        if found:
            rows.append([name, *[f"{found[p]:.2f}" for p in ("p50", "p90", "p99", "max")]])
    return table("Time per frame, milliseconds", ["", "p50", "p90", "p99", "max"], rows)


def accuracy_table(comparison: Comparison, data: str) -> Markup:
    """Errors as predicted and median-scaled, beside those of constants."""
    found = comparison.accuracy
    names = ("abs_rel", "rmse", "delta1", "delta2", "delta3")
    kinds = (
        ("as predicted", found.as_predicted),
        ("median-scaled", found.median_scaled),
        (f"one constant, {found.constant_m:.2f} m", found.one_constant),
        ("each image's own median", found.constant_per_image),
    )
    rows: list[list[object]] = [
        [kind, *[f"{scores[name]:.3f}" for name in names]] for kind, scores in kinds
    ]
    caption = (
        f"{data}: {found.images} frames against {comparison.topic}, taken for the truth; "
        f"depth to {found.max_depth:g} m, no crop, "
        f"{100 * found.as_predicted['coverage']:.1f} % of the true pixels have a depth"
    )
    words = (
        "Each number is the mean over frames of the mean over pixels. As predicted: the metres of "
        "the replay. Median-scaled: each frame multiplied so that its median is the truth's, which "
        "hides errors of scale. The last two use no picture: the median of all the truth, and of "
        f"each frame's. A frame's truth is the nearest within {PAIR_TOLERANCE_NS // 10**6} ms; of "
        f"longer recordings {SCORED} frames, evenly over time, are compared. scale_correction "
        f"times {found.scale_correction:.2f} would bring the medians of depth and truth together."
    )
    heads = ["", "abs_rel", "rmse, m", "delta1", "delta2", "delta3"]
    return joined(table(caption, heads, rows), element("p", words, class_="faint"))


def utc(ns: int) -> str:
    """A time in words, to the second."""
    return f"{datetime.fromtimestamp(ns / 1e9, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _lines(lines: list[str]) -> Markup:
    parts: list[object] = []
    for line in lines:
        parts += [element("br"), line] if parts else [line]
    return joined(*parts)


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
