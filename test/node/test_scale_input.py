"""The pose of a range sensor and of the floor: from TF, with a stand-in for tf2_ros."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, Vector3

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.node.scale_input import Transforms, floor_below

# An optical frame 0.4 m above the floor: x right, y down, z forward.
LOOKS_AHEAD = Transform(
    translation=Vector3(x=0.1, y=0.0, z=0.4), rotation=Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
)


class LookupFailed(Exception):
    """What tf2_ros raises."""


class Buffer:
    """Knows base_footprint <- camera, at the latest time only."""

    def lookup_transform(self, target: str, source: str, time: object) -> SimpleNamespace:
        if (target, source) != ("base_footprint", "camera") or time.nanoseconds != 0:
            raise LookupFailed(f"{source} is not connected to {target}")
        return SimpleNamespace(transform=LOOKS_AHEAD)


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> Transforms:
    module = ModuleType("tf2_ros")
    module.Buffer = Buffer
    module.TransformListener = lambda buffer, node: None
    module.TransformException = LookupFailed
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return Transforms(None)


def test_tf_gives_height_and_tilt_of_the_camera(transforms: Transforms) -> None:
    floor = floor_below(Parameters(floor_frame="base_footprint"), "camera", transforms)
    assert floor.height == pytest.approx(0.4)
    np.testing.assert_allclose(floor.down, [0.0, 1.0, 0.0], atol=1e-12)


def test_the_latest_transform_stands_in_for_a_stamp(transforms: Transforms) -> None:
    pose = transforms.lookup("base_footprint", "camera", Time(sec=5))
    np.testing.assert_allclose(pose @ [0.0, 0.0, 2.0, 1.0], [2.1, 0.0, 0.4, 1.0], atol=1e-12)


def test_frames_apart_are_an_error_that_helps(transforms: Transforms) -> None:
    with pytest.raises(ParameterError, match=r"the transform from laser to camera.*not connected"):
        transforms.lookup("camera", "laser", Time(sec=5))
    with pytest.raises(ParameterError, match="Install tf2_ros"):
        floor_below(Parameters(floor_frame="base_footprint"), "camera", None)


def test_parameters_give_the_floor_without_tf() -> None:
    floor = floor_below(Parameters(camera_height=1.2, camera_pitch=90.0 - 1e-9), "camera", None)
    assert floor.height == 1.2
    np.testing.assert_allclose(floor.down, [0.0, 0.0, 1.0], atol=1e-6)
