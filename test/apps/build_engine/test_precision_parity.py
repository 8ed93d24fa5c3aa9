"""Two engines compared, the limits, and the images that it is done on."""

import cv2
import numpy as np
import pytest
from rich.console import Console
from tiny_models import RED_OFFSET, RED_SCALE, affine_of_channel, red_depth, tiny_card

from depth_estimation_ros.apps.build_engine.calibration_images import (
    drawn_images,
    network_batch,
    read_images,
)
from depth_estimation_ros.apps.build_engine.parity import Parity, as_table, check_parity, compare
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ModelError, ParameterError

GREY = np.full((48, 64, 3), 51, np.uint8)  # 2.6 m in red_depth


@pytest.fixture
def reference(tmp_path):
    return OnnxRuntimeEngine(red_depth(tmp_path / "red.onnx"))


def test_an_engine_equals_itself(reference):
    parity = compare(reference, reference, drawn_images(reference.card.input))
    assert parity == Parity(images=4, abs_rel=0.0, delta1=1.0, max_rel=0.0, unknown=0.0)
    for precision in ("fp32", "fp16", "int8"):
        check_parity(parity, precision, "file", "")


@pytest.mark.parametrize(("factor", "delta1"), [(1.1, 1.0), (1.3, 0.0), (0.7, 0.0)])
def test_a_constant_factor_is_the_relative_error(reference, tmp_path, factor, delta1):
    path = affine_of_channel(tmp_path / "f.onnx", factor * RED_SCALE, factor * RED_OFFSET)
    parity = compare(reference, OnnxRuntimeEngine(path), [GREY, GREY])
    assert parity.images == 2
    assert parity.abs_rel == pytest.approx(abs(factor - 1), rel=1e-5)
    assert parity.max_rel == pytest.approx(abs(factor - 1), rel=1e-5)
    assert parity.delta1 == delta1


def test_beyond_the_cards_limit_nothing_differs(reference, tmp_path):
    """The card ends at 10 m; 12 m and 20 m are both out of range."""
    far, farther = (
        OnnxRuntimeEngine(affine_of_channel(tmp_path / f"{m}.onnx", 0.0, float(m)))
        for m in (12, 20)
    )
    assert compare(far, farther, [GREY]).max_rel == 0.0


def test_pixels_that_become_unknown_are_counted_and_refused(reference, tmp_path):
    path = affine_of_channel(tmp_path / "nan.onnx", 0.0, float("nan"))
    parity = compare(reference, OnnxRuntimeEngine(path), [GREY])
    assert parity.unknown == 1.0
    with pytest.raises(ModelError, match=r"1e\+02 % of pixels without depth"):
        check_parity(parity, "int8", "file", "")


def test_inverse_depth_is_compared_as_depth(tmp_path):
    card = tiny_card(kind="inverse_depth", unit="1/m")
    two, four = (
        OnnxRuntimeEngine(affine_of_channel(tmp_path / f"{z}.onnx", 0.0, 1.0 / z, card=card))
        for z in (2.0, 4.0)
    )
    assert compare(two, four, [GREY]).abs_rel == pytest.approx(1.0)


def test_the_refusal_names_the_file_the_numbers_and_the_limits():
    parity = Parity(images=79, abs_rel=0.2, delta1=0.91, max_rel=3.0, unknown=0.0)
    message = (
        r"m\.onnx: int8 is too far from float32: found abs_rel 0\.2, delta1 0\.9100, max_rel 3 on "
        r"79 images, expected abs_rel at most 0\.1, delta1 at least 0\.99\. Calibrate again"
    )
    with pytest.raises(ModelError, match=message):
        check_parity(parity, "int8", "m.onnx", "Calibrate again")


def test_the_table_shows_numbers_beside_limits():
    parity = Parity(images=79, abs_rel=0.003, delta1=0.99999, max_rel=0.06, unknown=0.0)
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(as_table({"compact": ("fp16", parity)}))
    text = console.export_text()
    assert "0.003 (0.02)" in text
    assert "0.99999 (0.999)" in text


def test_without_a_picture_there_is_nothing_to_compare(reference):
    with pytest.raises(ModelError, match="no image"):
        compare(reference, reference, [])


def test_depth_maps_and_broken_files_are_passed_over(tmp_path):
    (tmp_path / "scene").mkdir()
    for index in range(6):
        name = str(tmp_path / "scene" / f"{index:05}")
        cv2.imwrite(f"{name}.png", np.full((4, 6), 1000, np.uint16))
        cv2.imwrite(f"{name}.jpg", np.full((4, 6, 3), (0, 0, 40 * index), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    images = list(read_images(tmp_path, 100))
    assert len(images) == 6
    assert sorted(int(p[0, 0, 0]) // 36 for p in images) == [0, 1, 2, 3, 4, 5]  # red comes first
    again = read_images(tmp_path, 3)
    assert [p.tobytes() for p in again] == [p.tobytes() for p in images[:3]]


@pytest.mark.parametrize(("depth_maps", "found"), [(2, "2 image files, none in"), (0, "none")])
def test_a_folder_without_pictures_is_named(tmp_path, depth_maps, found):
    for index in range(depth_maps):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.ones((4, 6), np.uint16))
    with pytest.raises(ParameterError, match=f"images in {tmp_path}: found {found}"):
        list(read_images(tmp_path, 5))


def test_a_picture_goes_in_at_the_pipelines_size_or_at_the_nominal_one():
    spec = tiny_card().input
    wide = np.zeros((100, 300, 3), np.uint8)
    assert network_batch(wide, spec).shape == (1, 32, 96, 3)
    assert network_batch(wide, spec, nominal=True).shape == (1, 48, 64, 3)
