"""The parts of the page that are pictures: sample frames, and a frame beside the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report.camera_frames import Frames
from depth_estimation_ros.apps.replay.report.footage import (
    Depth,
    Footage,
    read_depth,
    read_image,
    read_sample,
    spread,
)
from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined
from depth_estimation_ros.apps.replay.report.pictures import (
    Album,
    camera_panel,
    cloud_panel,
    depth_panel,
    error_panel,
)
from depth_estimation_ros.apps.replay.report.sections import accuracy_table
from depth_estimation_ros.apps.replay.report.truth import Comparison, cap, compare
from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.estimation.metrics import depth_metrics
from depth_estimation_ros.visualization import ColorScale

ROWS = 24  # of sample frames, all cameras together
ROWS_PER_CAMERA = 6
LARGEST_ERROR = 0.5

Cameras = list[tuple[CameraSummary, Frames]]


def sample_views(
    footage: Footage, cameras: Cameras, start: int, options: ReplayOptions, album: Album
) -> Markup:
    """Camera, depth and cloud of some frames of each camera, evenly over the recording."""
    most = min(ROWS_PER_CAMERA, max(1, ROWS // max(1, len(cameras))))
    parts: list[object] = []
    for camera, frames in cameras:
        rows = _rows(footage, camera, frames, most, start, options.color_map, album)
        if rows:
            parts += [element("h3", camera.image_topic) if len(cameras) > 1 else None, *rows]
    if not parts:
        return Markup("")
    words = "Evenly over the recording. The colours of one camera mean the same depth in all rows."
    return joined(element("h2", "Sample frames"), element("p", words, class_="faint"), *parts)


def truth_views(
    footage: Footage,
    cameras: Cameras,
    start: int,
    options: ReplayOptions,
    album: Album,
    on_comparison: Callable[[CameraSummary, Comparison], None],
) -> Markup:
    """Errors against the depth that the recording holds, for each camera that has some."""
    parts: list[object] = []
    limit = cap(options)
    for camera, frames in cameras:
        found, why = compare(footage, camera, frames, limit)
        if found is None and not why:
            continue
        parts.append(element("h3", camera.image_topic) if len(cameras) > 1 else None)
        if found is None:
            parts.append(element("p", why))
            continue
        on_comparison(camera, found)
        index, depth, truth = found.shown
        time_ns, stamp = int(frames.time_ns[index]), int(frames.stamp_ns[index])
        rgb = read_image(footage.original, camera.image_topic, time_ns, stamp)
        seconds = (stamp - start) / 1e9
        parts.append(accuracy_table(found, footage.name))
        parts.append(_beside_truth(rgb, depth, truth, seconds, limit, options.color_map, album))
    if not parts:
        return Markup("")
    return joined(element("h2", "Against the truth"), *parts)


def _rows(
    footage: Footage,
    camera: CameraSummary,
    frames: Frames,
    most: int,
    start: int,
    color_map: str,
    album: Album,
) -> list[Markup]:
    """One row of pictures for each of these frames; one frame is in memory at a time."""
    chosen = [int(index) for index in spread(np.flatnonzero(frames.ok), most)]
    near, far = _range(_thin_depths(footage, camera, frames, chosen))
    rows = []
    for index in chosen:
        sample = read_sample(footage, camera, frames, index)
        seconds = f"{(int(frames.stamp_ns[index]) - start) / 1e9:.2f} s"
        row = []
        if sample.rgb is not None:
            row.append(album.figure(camera_panel(sample.rgb), f"Camera at {seconds}", seconds))
        if sample.depth is not None:
            median = float(frames.depth_median[index])
            caption = f"Depth, median {median:.2f} m" if np.isfinite(median) else "Depth"
            panel = depth_panel(sample.depth, near, far, color_map)
            row.append(album.figure(panel, f"Depth at {seconds} in colours", caption))
        cloud = cloud_panel(sample)
        if cloud is not None:
            row.append(album.figure(cloud, f"Point cloud at {seconds}, from beside", "Points"))
        if row:
            rows.append(element("div", *row, class_="row three"))
    return rows


def _thin_depths(
    footage: Footage, camera: CameraSummary, frames: Frames, chosen: list[int]
) -> Iterator[Depth]:
    for index in chosen:
        time_ns, stamp = int(frames.time_ns[index]), int(frames.stamp_ns[index])
        depth = read_depth(footage.output, camera.depth_topic, time_ns, stamp)
        if depth is not None:
            yield depth[::4, ::4].copy()


def _beside_truth(
    rgb: np.ndarray | None,
    depth: Depth,
    truth: Depth,
    seconds: float,
    limit: float,
    color_map: str,
    album: Album,
) -> Markup:
    near, far = _range([depth, truth])
    scores = depth_metrics(depth, truth, max_depth=limit)
    percent = round(100 * LARGEST_ERROR)
    row = []
    if rgb is not None:
        row.append(album.figure(camera_panel(rgb), "Camera", f"{seconds:.2f} s"))
    for picture, alt, caption in (
        (depth, "Estimated depth", "Depth"),
        (truth, "True depth", "Truth, black unknown"),
    ):
        row.append(album.figure(depth_panel(picture, near, far, color_map), alt, caption))
    row.append(
        album.figure(
            error_panel(depth, truth, LARGEST_ERROR),
            "Relative error in colours",
            f"Relative error: blue {percent} % too near, white right, red {percent} % too far, "
            f"grey unknown; abs_rel {scores['abs_rel']:.3f}",
        )
    )
    return element("div", *row, class_="row")


def _range(depths: Iterable[Depth]) -> tuple[float, float]:
    """Metres at the ends of the colours that suit all of these."""
    everything = [depth.reshape(1, -1) for depth in depths] or [np.empty((1, 0), np.float32)]
    return ColorScale.percentiles(1.0, 98.0, 0.0).range_for(np.concatenate(everything, axis=1), 0)
