"""A frame through all of the package, from the message that came in to those that go out."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from budget import Budget
from camera_messages import camera_infos, compressed_images, images
from hypothesis import strategies as st
from made_messages import of_rclpy, recorded
from tiny_models import affine_of_channel, constant_depth, red_depth, tiny_card

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.factory import EngineOptions
from depth_estimation_ros.errors import CalibrationError, ImageError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.media.images import DEFAULT_MAX_PIXELS
from depth_estimation_ros.messages import ROSBAGS, MessageFactory, read_points
from depth_estimation_ros.node.frame_processor import (
    OUTPUTS,
    DepthFrame,
    decode_image,
    read_camera,
)
from depth_estimation_ros.visualization import COLOR_MAPS, ColorSettings, DepthColors

DROPPED = (ImageError, CalibrationError, ParameterError)  # a node drops the frame, and goes on

SETTINGS = st.builds(
    EstimatorSettings,
    min_depth=st.sampled_from([0.0, 0.0, 0.5, 2.0]),
    max_depth=st.sampled_from([0.0, 0.0, 3.0, 100.0]),
    output_size=st.sampled_from(["image", "network"]),
    edge_filter=st.sampled_from([0.0, 0.0, 1e-9, 0.1, 10.0]),
    assumed_hfov_deg=st.sampled_from([60.0, 1.0, 179.0]),
    scale_correction=st.sampled_from([1.0, 0.01, 0.7, 100.0]),
)
COLORS = st.builds(
    ColorSettings,
    color_map=st.sampled_from(COLOR_MAPS),
    color_range=st.sampled_from(["fixed", "percentile"]),
    min_depth=st.sampled_from([0.0, 0.0, 1.0, 1000.0]),
    max_depth=st.sampled_from([0.0, 0.0, 2000.0]),
    legend=st.booleans(),
)


class Frames:
    """The property; opens tiny networks of every kind once.

    Args:
        budget: of its cases.
        kind: of the messages, in and out.
    """

    def __init__(self, budget: Budget, kind: MessageFactory = ROSBAGS) -> None:
        self._budget, self._kind = budget, kind
        self._make = recorded if kind is ROSBAGS else of_rclpy
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            inverse = tiny_card(kind="inverse_depth", unit="1/m", min_depth=0.5)
            files = [
                red_depth(path / "red.onnx"),
                red_depth(path / "fixed.onnx", tiny_card(multiple_of=None)),
                red_depth(path / "canonical.onnx", tiny_card(canonical_focal_px=50.0)),
                affine_of_channel(path / "inverse.onnx", 0.01, -1.0, card=inverse),
                constant_depth(path / "nan.onnx", float("nan")),
                constant_depth(path / "inf.onnx", float("inf")),
                constant_depth(path / "zero.onnx", 0.0),
            ]
            self._engines = [open_engine(file, EngineOptions(threads=1)) for file in files]

    def raw(self, data: st.DataObject) -> None:
        self._case(data, "Image", data.draw(images()))

    def compressed(self, data: st.DataObject) -> None:
        self._case(data, "CompressedImage", data.draw(compressed_images()))

    def any(self, data: st.DataObject) -> None:
        self.raw(data) if data.draw(st.booleans()) else self.compressed(data)

    def _case(self, data: st.DataObject, msgtype: str, fields: dict[str, Any]) -> None:
        message = self._make(msgtype, fields)
        info = None
        if data.draw(st.integers(0, 4)):
            size = fields.get("width"), fields.get("height")
            if size == (None, None):
                size = _size_of(fields["data"])
            info = self._make("CameraInfo", data.draw(camera_infos(*size)))
        engine = data.draw(st.sampled_from(self._engines + self._engines[:3]))
        settings, colors = data.draw(SETTINGS), data.draw(COLORS)
        rectified = data.draw(st.booleans())
        stride, voxel = (
            data.draw(st.sampled_from([1, 2, 64])),
            # A node makes no cloud of voxels.
            data.draw(st.sampled_from([0, 0, 1e-3, 1])) if self._kind is ROSBAGS else 0,
        )
        before = _snapshot(message), _snapshot(info)
        with self._budget.case():
            frame = self._budget.refused_or(
                lambda: _estimate(message, info, rectified, engine, settings), *DROPPED
            )
            if isinstance(frame, DepthFrame):
                _check(frame, settings, engine.card, colors, stride, float(voxel), self._kind)
        assert (_snapshot(message), _snapshot(info)) == before, "the message was changed"


def _estimate(
    message: Any, info: Any, rectified: bool, engine: Any, settings: EstimatorSettings
) -> DepthFrame:
    camera = read_camera(info, image_is_rectified=rectified)
    image = decode_image(message, camera, DEFAULT_MAX_PIXELS)
    pipeline = DepthEstimator(engine, settings)
    return DepthFrame(image, pipeline.run(image.rgb, camera.model))


def _check(
    frame: DepthFrame,
    settings: EstimatorSettings,
    card: Any,
    colors: ColorSettings,
    stride: int,
    voxel: float,
    kind: MessageFactory,
) -> None:
    """All that can be made of the frame is made, without any error, and of the right shape."""
    result, rgb = frame.result, frame.image.rgb
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3
    assert rgb.shape[2] == 3
    depth = result.depth
    assert depth.dtype == np.float32
    if settings.output_size == "image":
        assert depth.shape == rgb.shape[:2]
    nominal = card.input.height * card.input.width
    assert settings.output_size == "image" or depth.size <= 4 * nominal
    finite = depth[np.isfinite(depth)]
    assert ((finite > 0) & (finite > result.near) & (finite < result.far)).all(), "not REP 117"

    height, width = depth.shape
    for encoding, pixel in (("32FC1", 4), ("16UC1", 2)):
        image = frame.depth(encoding, kind)
        assert (image.height, image.width, image.step) == (height, width, pixel * width)
        assert len(image.data) == pixel * width * height
    makes = OUTPUTS[frame.image.camera.state]
    if "camera_info" in makes:
        info = frame.camera_info(kind)
        assert (info.height, info.width) == (height, width)
        assert np.isfinite([*info.k, *info.r, *info.p, *info.d]).all()
    if "points" in makes:
        cloud = frame.points(stride, voxel, kind)
        assert len(cloud.data) == cloud.row_step * cloud.height == 16 * cloud.width * cloud.height
        if voxel == 0:
            assert (cloud.height, cloud.width) == (-(-height // stride), -(-width // stride))
        seen = np.isfinite(read_points(cloud)[0])
        assert (seen.all(axis=-1) == seen.any(axis=-1)).all(), "half a point"
    picture = frame.color(DepthColors(colors), kind)
    assert (picture.height, picture.width, picture.step) == (height, width, 3 * width)
    assert len(picture.data) == 3 * width * height


def _size_of(data: np.ndarray) -> tuple[int, int]:
    """Width and height of a compressed image that is still sound; a usual one otherwise."""
    content = data.tobytes()
    if content[12:16] == b"IHDR":
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    if at < 0:
        return 64, 48
    return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(
        content[at + 5 : at + 7], "big"
    )


def _snapshot(message: Any) -> Any:
    """All of a message, of either kind, in values that compare."""
    if message is None or isinstance(message, int | float | str | bytes):
        return repr(message)
    if hasattr(message, "tobytes"):
        return message.tobytes()
    if hasattr(message, "get_fields_and_field_types"):
        names = list(message.get_fields_and_field_types())
    elif dataclasses.is_dataclass(message):
        names = [field.name for field in dataclasses.fields(message)]
    else:
        return repr(message)
    return [_snapshot(getattr(message, name)) for name in names if not name.startswith("_")]
