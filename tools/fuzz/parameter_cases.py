"""Parameters of a node, names of models, and files that a user gives: calibrations and images."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from budget import Budget
from camera_messages import declaring
from hypothesis import strategies as st
from noise import DOUBLES, UINT32, spoiled

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.errors import CalibrationError, EngineError, MediaError, ModelError
from depth_estimation_ros.geometry.calibration_file import read_calibration
from depth_estimation_ros.media.images import focal_in_35mm, read_image

TEXTS = st.sampled_from(["", "compact", "~nobody/x", "a\0b", "x" * 5000, "/", "..", "é\n", "raw"])
VALUES: st.SearchStrategy[Any] = (
    st.booleans()
    | st.sampled_from([0, 1, -1, 64, 2**31, 2**62])
    | DOUBLES
    | TEXTS
    | st.sampled_from([["a", "b"], [1, 2], [1.0], [True], None])
)
_OF_TYPE = {float: DOUBLES, int: st.integers(-2, 300), bool: st.booleans(), str: TEXTS}
CALIBRATION = """image_width: 640
image_height: 480
camera_name: cam
camera_matrix: {rows: 3, cols: 3, data: [500.0, 0, 320, 0, 500, 240, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0.001, 0.0, 0.3]}
projection_matrix: {rows: 3, cols: 4, data: [500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0]}
"""


class Parameters:
    """The properties.

    Args:
        budget: of the cases.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._keeper = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._folder = Path(self._keeper.name)
        self._node: Any = None

    def parameters(self, data: st.DataObject) -> None:
        """A set is taken whole, or refused with a reason; then nothing has changed."""
        from rclpy.parameter import Parameter

        from depth_estimation_ros.node.lifecycle_node import read_parameters as read
        from depth_estimation_ros.node.parameters import DEFAULTS

        if self._node is None:
            self._node = _node()
        node = self._node
        given = {}
        for name in data.draw(st.lists(st.sampled_from(sorted(DEFAULTS)), min_size=1, max_size=3)):
            kind = type(DEFAULTS[name])
            right = _OF_TYPE.get(kind, VALUES)  # most are of the right type
            given[name] = data.draw(right if data.draw(st.integers(0, 3)) else VALUES)
        changes = [Parameter(name, value=value) for name, value in given.items()]
        before = read(node)
        with self._budget.case():
            result = node.set_parameters_atomically(changes)
        after = read(node)
        self._budget.count("good" if result.successful else "refused")
        if result.successful:
            after.check(given)  # what belongs together is checked at configure
            assert all(np.isfinite(v) for v in vars(after).values() if isinstance(v, float))
            defaults = {n: list(v) if isinstance(v, tuple) else v for n, v in DEFAULTS.items()}
            node.set_parameters([Parameter(name, value=defaults[name]) for name in given])
        else:
            assert result.reason
            result.reason.encode()
            assert after == before

    def files(self, data: st.DataObject) -> None:
        """Calibrations and images are read or refused; so are names of models."""
        what = data.draw(st.sampled_from(["calibration", "picture", "model"]))
        path = self._folder / what
        if what == "calibration":
            path.write_bytes(data.draw(_calibrations()))
            with self._budget.case():
                self._budget.refused_or(lambda: read_calibration(path), CalibrationError)
        elif what == "picture":
            path.write_bytes(data.draw(_pictures()))
            with self._budget.case():
                image = self._budget.refused_or(lambda: read_image(path), MediaError)
                focal = focal_in_35mm(path)
            assert image is None or (image.dtype == np.uint8 and image.shape[2:] == (3,))
            assert focal is None or focal > 0
        else:
            name = data.draw(TEXTS.filter(lambda text: text != "compact"))
            with self._budget.case():
                self._budget.refused_or(lambda: open_engine(name), ModelError, EngineError)


def _node() -> Any:
    """A node that never configures; heard by nobody else."""
    import rclpy
    from rclpy.parameter import Parameter

    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "OFF"
    rclpy.init()
    from depth_estimation_ros.node.lifecycle_node import DepthEstimationNode

    return DepthEstimationNode(parameter_overrides=[Parameter("autostart", value=False)])


@st.composite
def _calibrations(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(spoiled(CALIBRATION.encode(), most=6))
    odd = ["1" * 5000, "2026-99-99", ".inf", ".nan", "1e400", "0x" + "f" * 5000, "[1]", "{}", "é"]
    old = draw(st.sampled_from(["640", "480", "500.0", "-0.2", "plumb_bob", "rows: 3"]))
    return CALIBRATION.replace(old, draw(st.sampled_from(odd)), 1).encode()


@st.composite
def _pictures(draw: st.DrawFn) -> bytes:
    extension = draw(st.sampled_from([".jpg", ".png", ".webp", ".bmp", ".tiff"]))
    content = cv2.imencode(extension, np.full((24, 32, 3), 99, np.uint8))[1].tobytes()
    if draw(st.booleans()):
        content = declaring(content, draw(UINT32), draw(UINT32))
    return draw(spoiled(content))
