"""Every parameter: described, limited, refused with a reason, and in effect on the next frame."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from rcl_interfaces.msg import ParameterType
from ros_helpers import NodeProcess, Tester, info_of, red_image
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth, decode_image
from depth_estimation_ros.node.parameters import DEFAULTS, SPECS, Parameters, markdown_table
from depth_estimation_ros.visualization import COLOR_MAPS, ColorSettings, add_legend, colorize

TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple: ParameterType.PARAMETER_STRING_ARRAY,
}
CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def test_each_parameter_is_described_with_its_type_and_range(
    node: NodeProcess, tester: Tester
) -> None:
    assert set(SPECS) <= set(tester.list_parameters(node))
    for name, descriptor in zip(SPECS, tester.describe(node, list(SPECS)), strict=True):
        spec = SPECS[name]
        assert descriptor.name == name
        assert descriptor.type == TYPES[type(DEFAULTS[name])]
        assert descriptor.description == spec.description
        assert descriptor.read_only is (name == "autostart")
        assert not descriptor.dynamic_typing
        limits = [
            (r.from_value, r.to_value)
            for r in [*descriptor.integer_range, *descriptor.floating_point_range]
        ]
        assert limits == ([] if spec.limits is None else [spec.limits])
        assert all(choice in descriptor.additional_constraints for choice in spec.choices)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_depth", -0.1),
        ("max_depth", 1000.5),
        ("edge_filter", -1.0),
        ("temporal_filter", 1.0),
        ("scale_correction", 0.0),
        ("cloud_stride", 0),
        ("cloud_stride", 65),
        ("camera_info_timeout", -1.0),
        ("assumed_hfov_deg", 180.0),
        ("color_max_depth", -1.0),
        ("color_min_depth", 1001.0),
        ("color_legend", 1),
        ("inference_threads", -1),
        ("device", -1),
        ("diagnostics_period", 0.0),
        ("autostart", False),
    ],
)
def test_value_out_of_range_or_type_is_refused(
    node: NodeProcess, tester: Tester, name: str, value: object
) -> None:
    tester.bring(node, "unconfigured")
    result = tester.set_parameter(node, name, value)
    assert not result.successful
    assert result.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth_encoding", "64FC1"),
        ("output_size", "camera"),
        ("image_transport", "theora"),
        ("color_map", "jet2000"),
        ("color_range", "auto"),
        ("backend", "tvm"),
        ("precision", "fp8"),
    ],
)
def test_unknown_choice_is_refused_with_the_known(
    node: NodeProcess, tester: Tester, name: str, value: str
) -> None:
    tester.bring(node, "unconfigured")
    result = tester.set_parameter(node, name, value)
    assert not result.successful
    assert repr(value) in result.reason
    assert all(choice in result.reason for choice in SPECS[name].choices)


def test_depth_limits_may_change_together(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "unconfigured", model=red_model, min_depth=2.0, max_depth=5.0)
    result = tester.set_parameter(node, "max_depth", 1.0)
    assert not result.successful
    assert "min_depth 2.0 and max_depth 1.0" in result.reason
    for limits in ((0.5, 1.0), (6.0, 8.0), (1.0, 2.0)):  # up and down, whatever comes first
        for names in (("min_depth", "max_depth"), ("max_depth", "min_depth")):
            changes = {name: limits[name == "max_depth"] for name in names}
            results = tester.set_parameters(node, changes)
            assert [result.reason for result in results] == ["", ""]
    assert tester.set_parameter(node, "max_depth", 3).successful  # a whole number
    assert tester.set_parameter(node, "max_depth", 0.0).successful

    assert tester.change(node, "configure")
    result = tester.set_parameter(node, "min_depth", 50.0)  # the model ends at 10 m
    assert not result.successful
    assert "10" in result.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "compact"),
        ("image_transport", "compressed"),
        ("onnxruntime_providers", ["CUDAExecutionProvider"]),
        ("inference_threads", 1),
        ("backend", "onnxruntime"),
        ("device", 1),
        ("precision", "fp32"),
        ("build_engine", True),
        ("diagnostics_period", 2.0),
    ],
)
def test_parameters_of_configure_are_refused_later(
    node: NodeProcess, tester: Tester, red_model: str, name: str, value: object
) -> None:
    tester.bring(node, "active", model=red_model)
    result = tester.set_parameter(node, name, value)
    assert not result.successful
    assert name in result.reason
    assert "deactivate, then cleanup" in result.reason
    assert tester.change(node, "deactivate")
    result = tester.set_parameter(node, name, value)
    assert not result.successful
    assert "Make the transition cleanup" in result.reason
    assert tester.change(node, "cleanup")
    assert tester.set_parameter(node, name, value).successful


def test_every_parameter_can_be_set_unchanged(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    present = {**DEFAULTS, "diagnostics_period": 0.1, "model": red_model}
    del present["autostart"]  # read-only to ROS: refused whatever the value
    for state in ("unconfigured", "inactive", "active"):
        tester.bring(node, state, model=red_model)
        results = tester.set_parameters(node, present)
        assert [result.reason for result in results if not result.successful] == []
        assert tester.set_parameters(node, present, atomically=True)[0].successful


def test_unknown_provider_keeps_the_node_unconfigured(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "unconfigured", model=red_model, onnxruntime_providers=["NoSuchProvider"])
    assert tester.change(node, "configure") is False
    values = tester.diagnostics(node, lambda v: v["level"] == "2")
    assert "NoSuchProvider" in values["last_error"]
    assert "CPUExecutionProvider" in values["last_error"]


@pytest.mark.skipif(find_spec("pycuda") is not None, reason="pycuda is installed here")
def test_missing_tensorrt_keeps_the_node_unconfigured(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "unconfigured", model=red_model, backend="tensorrt")
    assert tester.change(node, "configure") is False
    values = tester.diagnostics(node, lambda v: v["level"] == "2")
    assert "red.onnx cannot run on TensorRT: " in values["last_error"]
    assert "pycuda" in values["last_error"]
    log_before = len(node.log)
    tester.bring(node, "inactive", model=red_model, backend="auto")
    assert "; not on TensorRT: " in node.log[log_before:]
    assert "Traceback" not in node.log


def test_bad_start_values_keep_the_node_unconfigured(
    tester: Tester, tmp_path: Path, red_model: str
) -> None:
    bad = {"max_depth": 1001, "cloud_stride": 0, "color_map": "plaid"}
    odd = {"min_depth": 1, "edge_filtr": 0.1, "modle": "nano"}
    with NodeProcess(tmp_path, model=red_model, **bad, **odd) as process:
        for name, good in [("cloud_stride", 2), ("max_depth", 8.0), ("color_map", "turbo")]:
            log_before = len(process.log)
            assert tester.change(process, "configure") is False
            assert f"parameter {name}" in process.log[log_before:]
            assert tester.set_parameter(process, name, good).successful
        assert tester.change(process, "configure")
        assert "Set it, then configure again" in process.log
        assert "restart" not in process.log
        for wrong, right in (("edge_filtr", "edge_filter"), ("modle", "model")):
            assert f"parameter {wrong} is unknown: did you mean {right}?" in process.log
        assert "parameter min_depth" not in process.log  # a whole number is taken


def test_bad_read_only_start_value_asks_for_restart(
    tester: Tester, tmp_path: Path, red_model: str
) -> None:
    with NodeProcess(tmp_path, model=red_model, autostart="yes") as process:
        values = tester.diagnostics(process, lambda v: v["level"] == "2")
        assert "parameter autostart" in values["last_error"]
        assert "correct the parameter file and restart the node" in values["last_error"]
        assert "Set it" not in values["last_error"]
        assert tester.change(process, "configure") is False


def test_parameters_take_effect_on_the_next_frame(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    depth = tester.collect(node, Image, "~/depth/image")
    color = tester.collect(node, Image, "~/depth/color")
    points = tester.collect(node, PointCloud2, "~/points")
    red = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    red[:, :8] = 0
    expected = 1.0 + 8.0 * red / 255.0

    def next_frame() -> Image:
        image = red_image(red)
        for collected in (points, color):
            tester.result_of(node, image, collected, info_of(CAMERA))
        return tester.result_of(node, image, depth)

    def set_(**values: object) -> None:
        for result in tester.set_parameters(node, values):
            assert result.successful, result.reason

    message = next_frame()
    assert (message.encoding, message.width, message.height) == ("32FC1", 64, 48)
    np.testing.assert_allclose(decode_depth(message), expected, atol=1e-5)
    assert (points[-1].width, points[-1].height) == (64, 48)

    set_(depth_encoding="16UC1", cloud_stride=3)
    message = next_frame()
    assert message.encoding == "16UC1"
    millimetres = np.frombuffer(message.data, np.uint16).reshape(48, 64)
    np.testing.assert_array_equal(millimetres, np.rint(1000.0 * expected))
    assert (points[-1].width, points[-1].height) == (22, 16)

    set_(depth_encoding="32FC1", min_depth=2.0, max_depth=6.0)
    seen = decode_depth(next_frame())
    assert (seen[expected < 1.99] == -np.inf).all()
    assert (seen[expected > 6.01] == np.inf).all()
    between = (expected > 2.01) & (expected < 5.99)
    np.testing.assert_allclose(seen[between], expected[between], atol=1e-5)

    set_(min_depth=0.0, max_depth=0.0, color_map="viridis", color_max_depth=3.0)
    seen = decode_depth(next_frame())
    picture = colorize(seen, max_depth=3.0, color_map="viridis")
    np.testing.assert_array_equal(decode_image(color[-1]), picture)

    set_(color_map="spectral", color_min_depth=2.0, color_max_depth=8.0, color_legend=True)
    seen = decode_depth(next_frame())
    picture = add_legend(colorize(seen, min_depth=2.0, max_depth=8.0), 2.0, 8.0)
    np.testing.assert_array_equal(decode_image(color[-1]), picture)

    set_(color_range="percentile", color_min_depth=0.0, color_max_depth=0.0, color_legend=False)
    seen = decode_depth(next_frame())
    near, far = np.percentile(seen, (2, 98))
    picture = colorize(seen, min_depth=near, max_depth=far)
    np.testing.assert_array_equal(decode_image(color[-1]), picture)

    set_(edge_filter=0.1)
    red[:, 32:] = 255
    red[:, :32] = 0
    seen = decode_depth(next_frame())
    assert np.isnan(seen[:, 31:33]).all()
    assert np.isfinite(seen[:, :30]).all()
    assert np.isfinite(seen[:, 34:]).all()


def test_colour_limits_must_be_in_order(node: NodeProcess, tester: Tester) -> None:
    tester.bring(node, "unconfigured", color_min_depth=2.0, color_max_depth=5.0)
    result = tester.set_parameter(node, "color_max_depth", 1.0)
    assert not result.successful
    assert "color_min_depth 2.0 and color_max_depth 1.0" in result.reason
    both = {"color_min_depth": 0.5, "color_max_depth": 1.0}
    assert tester.set_parameters(node, both, atomically=True)[0].successful
    assert tester.set_parameter(node, "color_max_depth", 0.0).successful


def test_network_size_shrinks_depth_and_its_camera_info(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    card = tiny_models.tiny_card(height=24, width=32, multiple_of=None)
    model = str(tiny_models.constant_depth(tmp_path / "small.onnx", 2.0, card))
    tester.bring(node, "active", model=model, output_size="network")
    depth = tester.collect(node, Image, "~/depth/image")
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    image = red_image()
    info = tester.result_of(node, image, infos, info_of(CAMERA))
    message = tester.result_of(node, image, depth, info_of(CAMERA))
    assert (message.width, message.height) == (32, 24)
    assert (info.width, info.height) == (32, 24)
    np.testing.assert_allclose(info.k, [30, 0, 15.25, 0, 31, 11.75, 0, 0, 1])
    np.testing.assert_allclose(info.p, [30, 0, 15.25, 0, 0, 31, 11.75, 0, 0, 0, 1, 0])

    assert tester.set_parameter(node, "output_size", "image").successful
    info = tester.result_of(node, red_image(), infos, info_of(CAMERA))
    assert (info.width, info.height) == (64, 48)
    np.testing.assert_allclose(info.k, CAMERA.K.ravel())


def test_colour_map_choices_can_be_drawn() -> None:
    assert SPECS["color_map"].choices == COLOR_MAPS
    assert Parameters().color_settings() == ColorSettings()
    Parameters().check()


def test_parameter_table_has_every_default() -> None:
    command = [sys.executable, "-m", "depth_estimation_ros.node.parameters"]
    repository = Path(__file__).resolve().parents[2]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=repository
    ).stdout
    assert printed == markdown_table() + "\n"
    rows = [line for line in printed.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(DEFAULTS)
    assert "| `max_depth` | `0.0` | 0 ... 1000 | any time |" in printed
