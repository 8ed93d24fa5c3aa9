"""What a replay is to do, as plain values that go through JSON and to other processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from depth_estimation_ros.apps.arguments import option_fields
from depth_estimation_ros.engines.factory import AUTO, BACKENDS, PRECISIONS, EngineOptions
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import EstimatorSettings
from depth_estimation_ros.visualization.depth_colors import COLOR_RANGES, ColorSettings

OUTPUTS = ("depth", "camera_info", "points", "color")
STORAGES = ("mcap", "sqlite3")
COMPRESSIONS = ("none", "zstd")
NOT_IN_RESULT = ("output", "threads", "resume", "overwrite", "run_id")
"""Fields on which the result does not depend; it may be moved, and resumed by other workers."""


@dataclass(frozen=True)
class ReplayOptions:
    """One replay: a recording in, a recording out.

    Attributes:
        inputs: the recording; several paths are files of one recording.
        output: the directory to write.
        model: name of a bundled model or path of a model file.
        backend, device, build_engine, precision, engine_cache, providers, threads: see
            `EngineOptions`.
        min_depth, max_depth, output_size, edge_filter, temporal_filter, assumed_hfov_deg,
        scale_correction: see `EstimatorSettings`.
        scale_from: topic of a range sensor (LaserScan, PointCloud2, Range), or of a depth image
            registered to the camera, that gives the scale.
        range_sensor_pose: x y z roll pitch yaw of it: metres ahead of the camera, to its left and
            above it, radians about these axes; empty: by /tf_static of the recording.
        camera_height: metres above the floor, which then gives the scale; 0 is unknown.
        image_topics: of colour images; empty for all cameras of the recording.
        camera_info_topics: one for each of them, in their order; empty for those next to them.
        calibration: a YAML file of camera_calibration, in place of any CameraInfo; or empty.
        hfov_deg: horizontal field of view, degrees, of cameras without CameraInfo; 0 is unknown.
        image_is_rectified: the camera is P of the CameraInfo, otherwise K and the distortion.
        rectify: rectify raw images by P of the CameraInfo; the outputs are of the rectified image.
        outputs: some of `OUTPUTS`.
        depth_encoding: 32FC1 (metres) or 16UC1 (millimetres).
        cloud_stride: every this many rows and columns of the depth, one point.
        voxel_size: metres; above 0 a cloud has one mean point a voxel and is unorganised.
        color_map, color_range, color_min_depth, color_max_depth, color_legend: see `ColorSettings`.
        copy: other topics to write too: "none", "all" or their names.
        start_s, end_s: seconds of recording time from the beginning; images from start_s on and
            before end_s; an end_s of 0 is the end of the recording.
        rate_hz: at most this many images a second of each camera; 0 is all of them.
        every: every n-th image of each camera.
        window_ns: [from, to) of recording times, nanoseconds: of all that would be written, only
            what lies in it. Pieces of one recording are its windows, one after the other.
        storage: mcap or sqlite3.
        compression: none, or zstd.
        split_bytes: a new file begins when one has grown to this.
        batch: images in one run of the network; 0 takes what a TensorRT engine was built for, and
            one elsewhere.
        resume: go on with an unfinished output.
        overwrite: replace an earlier result.
        run_id: of the run of several workers that this replay belongs to; or empty.
    """

    inputs: tuple[str, ...] = ()
    output: str = ""
    model: str = "compact"
    backend: str = "auto"
    device: int = 0
    build_engine: bool = False
    precision: str = "auto"
    engine_cache: str = ""
    providers: tuple[str, ...] = AUTO
    threads: int = 0
    min_depth: float = 0.0
    max_depth: float = 0.0
    output_size: str = "image"
    edge_filter: float = 0.0
    temporal_filter: float = 0.0
    assumed_hfov_deg: float = 60.0
    scale_correction: float = 1.0
    scale_from: str = ""
    range_sensor_pose: tuple[float, ...] = ()
    camera_height: float = 0.0
    image_topics: tuple[str, ...] = ()
    camera_info_topics: tuple[str, ...] = ()
    calibration: str = ""
    hfov_deg: float = 0.0
    image_is_rectified: bool = False
    rectify: bool = False
    outputs: tuple[str, ...] = ("depth", "camera_info", "points")
    depth_encoding: str = "32FC1"
    cloud_stride: int = 2
    voxel_size: float = 0.0
    color_map: str = ColorSettings.color_map
    color_range: str = ColorSettings.color_range
    color_min_depth: float = 0.0
    color_max_depth: float = 0.0
    color_legend: bool = False
    copy: str | tuple[str, ...] = "none"
    start_s: float = 0.0
    end_s: float = 0.0
    rate_hz: float = 0.0
    every: int = 1
    window_ns: tuple[int, int] | None = None
    storage: str = "mcap"
    compression: str = "none"
    split_bytes: int = 1_000_000_000
    batch: int = 0
    resume: bool = False
    overwrite: bool = False
    run_id: str = ""

    def check(self) -> None:
        """Raise ParameterError for a value that no recording could suit."""
        for name, choices in (
            ("backend", BACKENDS),
            ("precision", PRECISIONS),
            ("output_size", ("image", "network")),
            ("depth_encoding", ("32FC1", "16UC1")),
            ("color_range", COLOR_RANGES),
            ("storage", STORAGES),
            ("compression", COMPRESSIONS),
        ):
            _one_of(name, getattr(self, name), choices)
        for output in self.outputs:
            _one_of("outputs", output, OUTPUTS)
        if not self.outputs:
            raise ParameterError("outputs", found="none", expected=f"some of {', '.join(OUTPUTS)}")
        for name, least in (("every", 1), ("cloud_stride", 1), ("batch", 0), ("threads", 0)):
            _at_least(name, getattr(self, name), least)
        for name in ("rate_hz", "start_s", "end_s", "voxel_size", "hfov_deg", "camera_height"):
            _at_least(name, getattr(self, name), 0)
        if 0 < self.end_s <= self.start_s:
            raise ParameterError(
                "start and end leave nothing of the recording",
                found=f"from {self.start_s:g} s to {self.end_s:g} s",
                expected="start < end, both in seconds from the beginning",
            )
        if self.scale_from and self.camera_height:
            raise ParameterError(
                "The scale comes from one source",
                found=f"scale_from {self.scale_from} and a camera_height of "
                f"{self.camera_height:g} m",
                expected="one of them",
            )
        if self.range_sensor_pose and len(self.range_sensor_pose) != 6:
            raise ParameterError(
                "range_sensor_pose", found=self.range_sensor_pose, expected="x y z roll pitch yaw"
            )
        self.color_settings().check()

    @property
    def is_anchored(self) -> bool:
        """Whether the scale comes from something metric."""
        return bool(self.scale_from or self.camera_height)

    def engine_options(self) -> EngineOptions:
        """Return the part that opens the model."""
        return EngineOptions(**option_fields(EngineOptions, self))

    def estimator_settings(self) -> EstimatorSettings:
        """Return the part that the estimator needs."""
        return EstimatorSettings(**option_fields(EstimatorSettings, self))

    def color_settings(self) -> ColorSettings:
        """Return the part that colours the depth."""
        return ColorSettings(
            self.color_map,
            self.color_range,
            self.color_min_depth,
            self.color_max_depth,
            self.color_legend,
        )

    def to_json(self) -> dict[str, Any]:
        """Values for JSON; `from_json` reads them."""
        return cast("dict[str, Any]", _as_lists(asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReplayOptions:
        """Return the options of `to_json`; fields that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name in known
        }
        return cls(**plain)

    def differences(self, other: ReplayOptions) -> list[str]:
        """In what the results of two replays would differ: "name: this, other"."""
        return [
            f"{f.name}: {getattr(self, f.name)!r}, {getattr(other, f.name)!r}"
            for f in fields(self)
            if f.name not in NOT_IN_RESULT and getattr(self, f.name) != getattr(other, f.name)
        ]


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lists(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(name, found=repr(value), expected=f"one of {', '.join(choices)}")


def _at_least(name: str, value: float, least: int) -> None:
    if not value >= least:
        raise ParameterError(name, found=value, expected=f"{least} or more")
