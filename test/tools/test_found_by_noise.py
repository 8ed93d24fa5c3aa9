"""Names and files of a user that noise found to end in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.errors import CalibrationError, ModelError
from depth_estimation_ros.geometry.calibration_file import read_calibration

CALIBRATION = """image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500.0, 0, 320, 0, 500, 240, 0, 0, 1]}
distortion_model: plumb_bob
"""


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-this-name/x.onnx", "a\0b"])
def test_a_model_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"expected the path of an \.onnx or"):
        resolve_model(name)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("640", ".inf"),
        ("640", ".nan"),
        ("640", "-1"),
        ("480", "0x" + "f" * 5000),
        ("500.0", "0x" + "f" * 5000),
        ("plumb_bob", "0x" + "f" * 5000),
        ("640", "2026-99-99"),
    ],
)
def test_a_calibration_of_numbers_that_cannot_be_is_refused(
    tmp_path: Path, was: str, becomes: str
) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION.replace(was, becomes))
    with pytest.raises(CalibrationError, match="expected a YAML file of camera_calibration"):
        read_calibration(path)
    path.write_text(CALIBRATION)
    assert read_calibration(path).fx == 500.0
