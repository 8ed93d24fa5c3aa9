"""The page as a whole, from what replay.json and frames.csv say and the bags show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import sections, timeline
from depth_estimation_ros.apps.replay.report.camera_frames import (
    Frames,
    find_gaps,
    percentiles,
    period_ns,
)
from depth_estimation_ros.apps.replay.report.footage import Footage
from depth_estimation_ros.apps.replay.report.histogram import histogram, time_range
from depth_estimation_ros.apps.replay.report.losses import counted, gap_table, losses
from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined
from depth_estimation_ros.apps.replay.report.pictures import Album
from depth_estimation_ros.apps.replay.report.style import STYLE
from depth_estimation_ros.apps.replay.report.truth import Comparison
from depth_estimation_ros.apps.replay.report.views import sample_views, truth_views
from depth_estimation_ros.apps.replay.summary import CameraSummary, ReplaySummary

PICTURE_BYTES = 2_600_000  # of all pictures together: the page stays below 3 MB

Cameras = list[tuple[CameraSummary, Frames]]


def page(
    summary: ReplaySummary,
    frames: dict[str, Frames],
    footage: Footage,
    on_comparison: Callable[[CameraSummary, Comparison], None],
) -> str:
    """The whole report as HTML.

    Args:
        summary: of the replay.
        frames: by image topic.
        footage: the bags, open.
        on_comparison: told the errors of each camera whose truth is known.
    """
    options = ReplayOptions.from_json(summary.options)
    known = {camera.image_topic: camera for camera in summary.cameras}
    known |= {topic: CameraSummary(topic) for topic in frames if topic not in known}
    cameras = [(camera, frames[topic]) for topic, camera in known.items() if topic in frames]
    silent = [camera for topic, camera in known.items() if topic not in frames]
    start = min((int(f.stamp_ns[0]) for _, f in cameras), default=0)
    end = max((int(f.stamp_ns[-1]) for _, f in cameras), default=0)
    engine = np.concatenate([f.engine_ms for _, f in cameras] or [np.empty(0)])
    album = Album(PICTURE_BYTES)
    body = joined(
        sections.heading(summary),
        element("p", f"Recorded from {sections.utc(start)} on.", class_="faint") if start else None,
        sections.key_figures(summary, percentiles(engine), (end - start) / 1e9),
        sections.setting(summary, options),
        _frames_in_time(cameras, silent, start, end, options),
        losses(summary, start),
        _times(cameras),
        _depths(cameras, start, options),
        sample_views(footage, cameras, start, options, album),
        truth_views(footage, cameras, start, options, album, on_comparison),
        *[element("p", note, class_="faint") for note in footage.notes],
        element("p", f"Left out of a full page: {counted(album.left_out, 'picture')}.")
        if album.left_out
        else None,
    )
    names = ", ".join(summary.inputs)
    return "<!DOCTYPE html>\n" + element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", f"Depth of {names}"),
            element("style", Markup(STYLE)),
        ),
        element("body", element("main", body)),
        lang="en",
    )


def _frames_in_time(
    cameras: Cameras,
    silent: list[CameraSummary],
    start: int,
    end: int,
    options: ReplayOptions,
) -> Markup:
    parts: list[object] = []
    if end > start:
        key = [
            joined(element("span", class_=f"key {state}"), state)
            for state in ("received", "missing", "bad")
        ]
        parts.append(element("p", "Seconds of the recording, from left to right:", *key))
    for camera, frames in cameras:
        period = period_ns(frames.stamp_ns, options.rate_hz)
        gaps = find_gaps(frames.stamp_ns, period)
        ends = [f"{seconds:.1f} s" for seconds in (0, (end - start) / 2e9, (end - start) / 1e9)]
        parts.append(element("h3", camera.image_topic))
        if end > start:
            parts += [
                timeline.strip(frames, start, end, gaps, camera.image_topic),
                element("div", *[element("span", text) for text in ends], class_="ends"),
                gap_table(gaps, start, period) if len(frames) > 1 else None,
            ]
        parts.append(sections.camera_table(camera, frames, period))
    for camera in silent:
        parts.append(element("h3", camera.image_topic))
        parts.append(element("p", "No frames."))
        parts.append(sections.camera_table(camera, None, 0.0))
    if not parts:
        parts.append(element("p", "No frames."))
    return joined(element("h2", "Frames in time"), *parts)


def _times(cameras: Cameras) -> Markup:
    engine, total = (
        np.concatenate([values[np.isfinite(values)] for values in kind] or [np.empty(0)])
        for kind in ([f.engine_ms for _, f in cameras], [f.total_ms for _, f in cameras])
    )
    kinds = [(name, ms) for name, ms in (("engine", engine), ("total", total)) if ms.size]
    if not kinds:
        return Markup("")
    low, high = time_range(*[ms for _, ms in kinds])
    captions = {
        "engine": "Inside the engine: the network alone; of a batch, the share of the frame.",
        "total": "Decoding, depth and making the messages, without waiting and writing.",
    }
    figures = []
    for name, ms in kinds:
        beyond = int((ms > high).sum())
        frames = counted(beyond, "frame")
        more = f" The last bar holds {frames} of more than {high:g} ms." if beyond else ""
        chart = histogram(ms, low, high, f"{name} time")
        figures.append(element("figure", chart, element("figcaption", captions[name] + more)))
    every = [(camera.image_topic, frames) for camera, frames in cameras]
    return joined(
        element("h2", "Time per frame"),
        element("div", *figures, class_="charts"),
        sections.times_table(every, engine, total),
    )


def _depths(cameras: Cameras, start: int, options: ReplayOptions) -> Markup:
    figures = []
    for camera, frames in cameras:
        known = np.isfinite(frames.depth_p5 + frames.depth_median + frames.depth_p95)
        if len(np.unique(frames.stamp_ns[known])) > 1:
            period = period_ns(frames.stamp_ns, options.rate_hz)
            gaps = find_gaps(frames.stamp_ns, period)
            chart = timeline.depth_over_time(frames, start, gaps, camera.image_topic)
            share = float(np.nanmean(frames.valid_share))
            caption = (
                f"{camera.image_topic}. Line: median of the pixels; band: 5 to 95 % of them. "
                f"{100 * share:.1f} % of the pixels have a depth."
            )
            figures.append(element("figure", chart, element("figcaption", caption)))
    if not figures:
        return Markup("")
    return joined(element("h2", "Depth over time"), element("div", *figures, class_="charts"))
