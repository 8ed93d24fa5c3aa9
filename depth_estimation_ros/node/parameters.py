"""All parameters of the node in one table: default, meaning, range, and when they may change.

``python -m depth_estimation_ros.node.parameters`` prints the table as Markdown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from depth_estimation_ros.engines.factory import AUTO, BACKENDS, PRECISIONS, EngineOptions
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import EstimatorSettings
from depth_estimation_ros.estimation.temporal_filter import MAX_WEIGHT
from depth_estimation_ros.media.images import DEFAULT_MAX_PIXELS
from depth_estimation_ros.visualization import (
    COLOR_MAPS,
    COLOR_RANGES,
    DEFAULT_COLOR_MAP,
    ColorSettings,
)

ANY_TIME = "any time"
UNCONFIGURED = "while unconfigured"
READ_ONLY = "at start only"
ONE_CAMERA = ("",)
SCALE_SOURCES = ("none", "scan", "points", "range", "depth", "camera_height")
EMPTY = '""'
_CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Spec:
    """Description of one parameter, apart from its default.

    ``limits`` are inclusive. ``choices`` empty means that any text is allowed.
    """

    description: str
    changes: str = ANY_TIME
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()


def _parameter(default: Any, description: str, **spec: Any) -> Any:
    return field(default=default, metadata={"spec": Spec(description, **spec)})


@dataclass(frozen=True)
class Parameters:
    """The values of all parameters."""

    model: str = _parameter(
        "compact",
        "Network to run: the name of a bundled model (compact, nano, compact_open), or the path of "
        "an ONNX file or of a TensorRT engine (.engine, .plan) with its sidecar.",
        changes=UNCONFIGURED,
    )
    backend: str = _parameter(
        "auto",
        "What runs the network. auto takes TensorRT where it is installed and has an engine of "
        "this model for this GPU, else ONNX Runtime; the log says which and why. openvino is "
        "the fastest on some processors (docs/speed.md), and never chosen unasked.",
        changes=UNCONFIGURED,
        choices=BACKENDS,
    )
    device: int = _parameter(
        0, "Index of the GPU, where one is used.", changes=UNCONFIGURED, limits=(0, 63)
    )
    precision: str = _parameter(
        "auto",
        "Precision of the network's arithmetic. auto takes the fastest that costs at most 0.01 of "
        "delta1: fp16 on TensorRT, on processors int8 for a bundled model whose card allows it. "
        "fp16 on openvino is 16 bits where the processor has them; onnxruntime has fp32 and int8. "
        "int8 of other models needs a file or engine made with images of yours (docs/engines.md).",
        changes=UNCONFIGURED,
        choices=PRECISIONS,
    )
    build_engine: bool = _parameter(
        False,
        "Build a TensorRT engine while configuring if none fits; takes minutes, once.",
        changes=UNCONFIGURED,
    )
    engine_cache: str = _parameter(
        "",
        "Folder that TensorRT engines are looked for and kept in. Empty: the environment variable "
        "DEPTH_ESTIMATION_ENGINE_CACHE, else ~/.cache/depth_estimation_ros/engines.",
        changes=UNCONFIGURED,
    )
    image_transport: str = _parameter(
        "raw",
        "Input topic: raw takes sensor_msgs/Image on `image`, compressed takes "
        "sensor_msgs/CompressedImage on `image/compressed`.",
        changes=UNCONFIGURED,
        choices=("raw", "compressed"),
    )
    max_image_pixels: int = _parameter(
        DEFAULT_MAX_PIXELS,
        "Images of more pixels are refused, compressed ones by what their header declares. The "
        "default is 4096 x 3072; a pixel takes about 40 bytes if depth, cloud and colours are made "
        "at the size of the image.",
        limits=(1, 10**9),
    )
    cameras: tuple[str, ...] = _parameter(
        ONE_CAMERA,
        "Names of several cameras, which share one network. Each has topics of its own: "
        "`<name>/image`, `<name>/camera_info`, `~/<name>/depth/image` and so on. One empty name: a "
        "single camera, whose topics have no name before them.",
        changes=UNCONFIGURED,
    )
    depth_encoding: str = _parameter(
        "32FC1",
        "Depth image: 32FC1 in metres (NaN unknown, +Inf too far, -Inf too near) or 16UC1 in "
        "millimetres (0 unknown).",
        choices=("32FC1", "16UC1"),
    )
    output_size: str = _parameter(
        "image",
        "Size of the depth image: that of the camera image, or that of the network (faster).",
        choices=("image", "network"),
    )
    min_depth: float = _parameter(
        0.0, "Nearest depth in metres; nearer is -Inf. 0 takes the model's.", limits=(0.0, 1000.0)
    )
    max_depth: float = _parameter(
        0.0, "Farthest depth in metres; farther is +Inf. 0 takes the model's.", limits=(0.0, 1000.0)
    )
    edge_filter: float = _parameter(
        0.0,
        "Relative depth jump within 3x3 pixels above which a pixel is unknown: removes the points "
        "that hang between an object and what is behind it. 0 is off; 0.07 is a good start.",
        limits=(0.0, 10.0),
    )
    temporal_filter: float = _parameter(
        0.0,
        "Weight of the frames before in each pixel's depth: less flicker. A pixel that changes by "
        "more than 10 % takes its new depth at once. 0 is off; 0.5 is a good start.",
        limits=(0.0, MAX_WEIGHT),
    )
    scale_correction: float = _parameter(
        1.0,
        "Factor on all depth, for what the model gets wrong by the same factor everywhere around "
        "a robot: a distance that was measured, divided by the depth shown for it.",
        limits=(0.01, 100.0),
    )
    scale_source: str = _parameter(
        "none",
        "What anchors the depth to true metres: scan (sensor_msgs/LaserScan on `scan`), points "
        "(PointCloud2 on `points`: LiDAR, radar, ToF), range (Range on `range`), depth (a sparse "
        "or poor depth image on `depth`, registered to the camera), camera_height (the floor at a "
        "known height below the camera). none leaves it to the network (docs/scale.md).",
        changes=UNCONFIGURED,
        choices=SCALE_SOURCES,
    )
    scale_required: bool = _parameter(
        False,
        "Publish nothing before the first anchor; otherwise depth has the network's own scale "
        "until then. Networks without metric scale need it.",
        changes=UNCONFIGURED,
    )
    scale_field: bool = _parameter(
        True,
        "Where measurements cover the image, correct the scale by a smooth field instead of one "
        "factor.",
    )
    range_sensor_pose: str = _parameter(
        "",
        "Pose of the range sensor in the camera's body frame (x forward, y left, z up): x y z in "
        "metres and roll pitch yaw in radians, such as `0.1 0 -0.3 0 0 0`. Empty takes TF.",
    )
    camera_height: float = _parameter(
        0.0,
        "Height of the camera above the floor in metres, for camera_height and cloud_min_height.",
        limits=(0.0, 100.0),
    )
    camera_pitch: float = _parameter(
        0.0,
        "Degrees that the camera looks down, for camera_height.",
        limits=(-89.0, 89.0),
    )
    camera_roll: float = _parameter(
        0.0,
        "Degrees that the camera is rolled clockwise, for camera_height.",
        limits=(-180.0, 180.0),
    )
    floor_frame: str = _parameter(
        "",
        "TF frame that lies on the floor, such as base_footprint: gives height and tilt of the "
        "camera in place of camera_height, camera_pitch and camera_roll.",
        changes=UNCONFIGURED,
    )
    cloud_stride: int = _parameter(
        1, "Use every n-th row and column of the depth image for the cloud.", limits=(1, 64)
    )
    cloud_voxel_size: float = _parameter(
        0.0,
        "Metres: one mean point per voxel, in an unorganised cloud, for navigation. 0 is off.",
        limits=(0.0, 10.0),
    )
    cloud_max_range: float = _parameter(
        0.0,
        "Metres from the camera beyond which points are left out of the cloud. 0 is off.",
        limits=(0.0, 1000.0),
    )
    cloud_min_height: float = _parameter(
        0.0,
        "Metres above the floor below which points are left out of the cloud: 0.1 removes the "
        "floor. Where the floor is say floor_frame, or camera_height and camera_pitch. 0 is off.",
        limits=(-100.0, 100.0),
    )
    cloud_max_height: float = _parameter(
        0.0,
        "Metres above the floor above which points are left out of the cloud, such as the height "
        "of the robot. 0 is off.",
        limits=(-100.0, 100.0),
    )
    image_is_rectified: bool = _parameter(
        False,
        "True if `image` is rectified (image_rect): the camera is then P of the CameraInfo, "
        "otherwise K and the distortion.",
    )
    rectify: bool = _parameter(
        False,
        "Rectify raw images by P of the CameraInfo before their depth is estimated: depth, its "
        "camera_info, points and colours are then those of the rectified image, as "
        "depth_image_proc, depthimage_to_laserscan and RTAB-Map expect. Pixels that the raw image "
        "does not show are NaN. Ignored with image_is_rectified.",
    )
    camera_info_timeout: float = _parameter(
        2.0,
        "Seconds after activation that images wait for a first CameraInfo. Afterwards depth is "
        "published without one. 0 never waits.",
        limits=(0.0, 3600.0),
    )
    assumed_hfov_deg: float = _parameter(
        60.0,
        "Horizontal field of view in degrees that gives the depth its scale while there is no "
        "calibrated CameraInfo.",
        limits=(1.0, 179.0),
    )
    color_map: str = _parameter(
        DEFAULT_COLOR_MAP,
        "Colours of ~/depth/color, near is warm or bright. spectral has even steps; viridis, "
        "plasma and cividis are even too and get darker all the way; turbo has the most colours, "
        "in uneven steps.",
        choices=COLOR_MAPS,
    )
    color_range: str = _parameter(
        "fixed",
        "fixed: a colour is the same depth at all times, from color_min_depth to color_max_depth. "
        "percentile: the colours follow the depths in view (percentiles 2 to 98), smoothed over "
        "two seconds so that they do not flicker, within color_min_depth and color_max_depth.",
        choices=COLOR_RANGES,
    )
    color_min_depth: float = _parameter(
        0.0,
        "Depth in metres at the near end of the colours. 0 takes 0.3 m, or with percentile no "
        "limit.",
        limits=(0.0, 1000.0),
    )
    color_max_depth: float = _parameter(
        0.0,
        "Depth in metres at the far end of the colours. 0 takes the farthest depth, or with "
        "percentile no limit.",
        limits=(0.0, 1000.0),
    )
    color_legend: bool = _parameter(
        False, "Draw a bar with depths in metres over the lowest part of ~/depth/color."
    )
    onnxruntime_providers: tuple[str, ...] = _parameter(
        AUTO,
        "Execution providers of ONNX Runtime in order of preference, such as "
        "CUDAExecutionProvider, TensorrtExecutionProvider, CPUExecutionProvider. auto takes CUDA "
        "where ONNX Runtime has it and it starts, else the processor.",
        changes=UNCONFIGURED,
    )
    inference_threads: int = _parameter(
        0,
        "Threads of the network on the CPU. 0 leaves it to ONNX Runtime or OpenVINO: one per core.",
        changes=UNCONFIGURED,
        limits=(0, 256),
    )
    engine_timeout: float = _parameter(
        30.0,
        "Seconds that the network may take for one image. One that takes longer hangs: the node "
        "deactivates with an error, or ends if the run cannot be cancelled. 0 is no limit.",
        limits=(0.0, 3600.0),
    )
    enabled: bool = _parameter(
        True,
        "False pauses: images are received and dropped, the network rests, the node stays active. "
        "The service ~/enable sets it, too.",
    )
    autostart: bool = _parameter(True, "Configure and activate at start.", changes=READ_ONLY)
    diagnostics_period: float = _parameter(
        1.0,
        "Seconds between two messages on /diagnostics.",
        changes=UNCONFIGURED,
        limits=(0.1, 60.0),
    )
    diagnostics_min_rate: float = _parameter(
        0.0,
        "Hz: if fewer images come, or less depth goes out while somebody listens, /diagnostics "
        "warns. 0 is off.",
        limits=(0.0, 1000.0),
    )
    diagnostics_max_age: float = _parameter(
        60.0,
        "Seconds: if the stamps of the images lie farther behind the node's clock, or 1 s ahead of "
        "it, /diagnostics warns. 0 is off.",
        limits=(0.0, 86400.0),
    )
    diagnostics_max_latency: float = _parameter(
        0.0,
        "Milliseconds: if one frame in a hundred takes longer, from its stamp (or else its "
        "arrival) to its last message, /diagnostics warns. 0 is off.",
        limits=(0.0, 60000.0),
    )

    def check(self, names: Iterable[str] | None = None) -> None:
        """Raise ParameterError for values that the ranges cannot exclude.

        Args:
            names: check these only; None is all.
        """
        concerned = set(SPECS if names is None else names)
        for name in sorted(concerned):
            choices, value = SPECS[name].choices, getattr(self, name)
            if choices and value not in choices:
                raise ParameterError(
                    f"parameter {name}", found=repr(value), expected=f"one of {', '.join(choices)}"
                )
        heights = self.cloud_min_height, self.cloud_max_height
        if concerned & {"cloud_min_height", "cloud_max_height"} and any(heights):
            self._check_heights(*heights)
        if "range_sensor_pose" in concerned and self.range_sensor_pose:
            parse_pose(self.range_sensor_pose)
        if names is None:  # these are set one after the other
            self._check_scale()
        if "cameras" in concerned:
            _check_cameras(self.cameras)
        for low, high, what_zero_does in (
            ("min_depth", "max_depth", "to take the model's"),
            ("color_min_depth", "color_max_depth", "to leave it to the depth"),
        ):
            near, far = getattr(self, low), getattr(self, high)
            if concerned & {low, high} and 0 < far <= near:
                raise ParameterError(
                    f"parameters {low} and {high}",
                    found=f"{low} {near} and {high} {far}",
                    expected=f"{low} < {high}",
                    fix=f"Set both at once, or 0 {what_zero_does}",
                )

    def _check_heights(self, low: float, high: float) -> None:
        if low and high and not low < high:
            raise ParameterError(
                "parameters cloud_min_height and cloud_max_height",
                found=f"{low} and {high}",
                expected="cloud_min_height < cloud_max_height",
                fix="Set both at once, or 0 for no limit",
            )
        if not (self.camera_height > 0 or self.floor_frame):
            raise ParameterError(
                "parameter cloud_min_height or cloud_max_height",
                found="neither floor_frame nor camera_height",
                expected="one of them, which says where the floor is",
                fix="Set it first",
            )

    def _check_scale(self) -> None:
        if self.scale_required and self.scale_source == "none":
            raise ParameterError(
                "parameter scale_required",
                found="scale_source none",
                expected=f"one of {', '.join(SCALE_SOURCES[1:])}",
                fix="Set scale_source, or scale_required to false",
            )
        known = self.camera_height > 0 or self.floor_frame
        if self.scale_source == "camera_height" and not known:
            raise ParameterError(
                "parameter camera_height",
                found="0",
                expected="metres above the floor",
                fix="Measure it and set it, or set floor_frame to a TF frame on the floor",
            )

    def engine_options(self) -> EngineOptions:
        """Return the parameters that opening the model needs."""
        return EngineOptions(
            backend=self.backend,
            device=self.device,
            build_engine=self.build_engine,
            precision=self.precision,
            engine_cache=self.engine_cache,
            providers=self.onnxruntime_providers,
            threads=self.inference_threads,
        )

    def color_settings(self) -> ColorSettings:
        """Return the parameters that ~/depth/color needs."""
        return ColorSettings(
            color_map=self.color_map,
            color_range=self.color_range,
            min_depth=self.color_min_depth,
            max_depth=self.color_max_depth,
            legend=self.color_legend,
        )

    def estimator_settings(self) -> EstimatorSettings:
        """Return the parameters that the estimator needs."""
        return EstimatorSettings(
            min_depth=self.min_depth,
            max_depth=self.max_depth,
            output_size=self.output_size,  # type: ignore[arg-type]
            edge_filter=self.edge_filter,
            temporal_filter=self.temporal_filter,
            assumed_hfov_deg=self.assumed_hfov_deg,
            scale_correction=self.scale_correction,
            scale_required=self.scale_required,
        )


def parse_pose(text: str) -> tuple[float, ...]:
    """Return x, y, z, roll, pitch and yaw of a pose written as text.

    Raises:
        ParameterError: the text is not six numbers.
    """
    try:
        values = tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        values = ()
    if len(values) != 6 or not all(math.isfinite(value) for value in values):
        raise ParameterError(
            "parameter range_sensor_pose",
            found=repr(text),
            expected="six numbers: x y z in metres, roll pitch yaw in radians",
        )
    return values


def _check_cameras(names: tuple[str, ...]) -> None:
    if names == ONE_CAMERA:
        return
    if not names or len(set(names)) < len(names) or not all(map(_CAMERA_NAME.fullmatch, names)):
        raise ParameterError(
            "parameter cameras",
            found=repr(list(names)),
            expected="different names of letters, digits and _, each beginning with a letter; or "
            "one empty name",
            fix="The names become a part of topics, as in [front, left]",
        )


SPECS: Mapping[str, Spec] = {f.name: f.metadata["spec"] for f in fields(Parameters)}
DEFAULTS: Mapping[str, Any] = {f.name: f.default for f in fields(Parameters)}


def markdown_table() -> str:
    """Return all parameters as a Markdown table."""
    lines = ["| Parameter | Default | Range | Can be set | Meaning |", "|---|---|---|---|---|"]
    for name, spec in SPECS.items():
        default = DEFAULTS[name]
        if isinstance(default, tuple):
            shown = f"[{', '.join(text or EMPTY for text in default)}]"
        else:
            shown = str(default).lower() if isinstance(default, bool) else str(default) or EMPTY
        allowed = ", ".join(f"`{choice}`" for choice in spec.choices)
        if spec.limits is not None:
            allowed = f"{spec.limits[0]:g} ... {spec.limits[1]:g}"
        lines.append(f"| `{name}` | `{shown}` | {allowed} | {spec.changes} | {spec.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown_table())
