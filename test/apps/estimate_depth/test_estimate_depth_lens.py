"""The lens behind an image: what the user, the EXIF or nobody says of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from estimate_depth_cases import HEIGHT, WIDTH, steps, summary
from media_files import write, write_jpeg


def test_an_unknown_lens_is_noted_once(run, out, tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name, steps())
    code, text = run(tmp_path / "a.png", tmp_path / "b.png")
    assert code == 0
    assert text.count("the focal length of the lens is not known") == 1
    assert "Give --hfov DEGREES, --focal-px PIXELS or --calibration YAML" in text
    assert [told["focal_length"] for told in summary(out)["inputs"]] == [
        ["unknown, 60 degrees of horizontal view assumed"]
    ] * 2
    assert len(summary(out)["notes"]) == 1


def test_an_image_of_a_phone_has_its_lens(run, out, tmp_path):
    card = tiny_models.tiny_card(canonical_focal_px=100.0)
    canonical = tiny_models.constant_depth(tmp_path / "canonical.onnx", 2.0, card)
    image = write_jpeg(tmp_path / "k.jpg", steps(), focal_35mm=26)
    code, text = run(image, "--save", "npz", "ply", "--model", canonical)
    assert code == 0, text
    assert "note" not in text
    stored = np.load(out / "k_depth_m.npz")
    focal = 26 * 80 / math.hypot(36, 24)  # 80 is the diagonal of 64 x 48
    assert stored["K"][0, 0] == pytest.approx(focal)
    np.testing.assert_allclose(stored["depth"], 2.0 * focal / 100.0, rtol=1e-5)
    assert summary(out)["inputs"][0]["focal_length"] == ["EXIF of the image, 26 mm of 35 mm film"]
    run(image, "--focal-px", "50", "--save", "npz", "--overwrite")  # the user knows better
    assert np.load(out / "k_depth_m.npz")["K"][0, 0] == 50.0


def test_a_cloud_without_a_lens_is_refused(run, out, tmp_path):
    code, text = run(write(tmp_path / "k.png", steps()), "--save", "color", "ply")
    assert code == 1
    assert "--save ply: found no focal length" in text
    assert not out.exists()


def write_calibration(path: Path, width: int, height: int, focal: float) -> Path:
    k = f"[{focal}, 0, {(width - 1) / 2}, 0, {focal}, {(height - 1) / 2}, 0, 0, 1]"
    path.write_text(
        f"image_width: {width}\nimage_height: {height}\n"
        f"camera_matrix: {{rows: 3, cols: 3, data: {k}}}\n"
    )
    return path


@pytest.mark.parametrize(
    ("option", "value", "focal"),
    [
        ("--focal-px", "50", 50.0),
        ("--hfov", "65", 32 / math.tan(math.radians(32.5))),
        ("--calibration", "twice the size", 150.0),
    ],
)
def test_the_focal_length_scales_the_depth(run, out, tmp_path, option, value, focal):
    card = tiny_models.tiny_card(canonical_focal_px=100.0)
    canonical = tiny_models.constant_depth(tmp_path / "canonical.onnx", 2.0, card)
    image = write(tmp_path / "k.png", steps())
    if option == "--calibration":
        value = write_calibration(tmp_path / "camera.yaml", 2 * WIDTH, 2 * HEIGHT, 300.0)
    code, text = run(image, option, value, "--save", "npz", "--model", canonical)
    assert code == 0, text
    stored = np.load(out / "k_depth_m.npz")
    np.testing.assert_allclose(stored["depth"], 2.0 * focal / 100.0, rtol=1e-5)
    np.testing.assert_allclose(stored["K"][[0, 0], [0, 2]], [focal, 31.5], rtol=1e-6)


def test_a_calibration_of_another_shape_is_refused(run, tmp_path):
    image = write(tmp_path / "k.png", steps())
    code, text = run(image, "--calibration", write_calibration(tmp_path / "c.yaml", 64, 64, 50.0))
    assert code == 1
    assert "of another shape: found 64 x 48, expected 64 x 64" in text


def test_a_missing_or_damaged_calibration_is_one_line(run, tmp_path):
    image = write(tmp_path / "a.png", steps())
    code, text = run(image, "--calibration", tmp_path / "none.yaml")
    assert code == 1
    assert "none.yaml: found No such file or directory, expected a YAML file" in text
    (tmp_path / "notes.yaml").write_text("# Notes\n\n- a\nb\n")
    code, text = run(image, "--calibration", tmp_path / "notes.yaml")
    assert code == 1
    assert 'in "<unicode string>", line' in text
    assert len(text.strip().splitlines()) == 1
