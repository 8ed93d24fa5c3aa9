"""The command estimate_depth: what it writes of an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from estimate_depth_cases import HEIGHT, WIDTH, depth_of, names, png_texts, steps, summary
from media_files import read_ply, write

from depth_estimation_ros.apps.estimate_depth.files import to_units


def test_an_image_becomes_colors_and_millimetres(run, out, tmp_path):
    image = write(tmp_path / "kitchen.png", steps())
    code, text = run(image, "--hfov", "70")
    assert code == 0, text
    assert names(out) == ["kitchen_depth_color.png", "kitchen_depth_mm.png", "summary.json"]
    pixels = cv2.imread(str(out / "kitchen_depth_mm.png"), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, np.rint(1000 * depth_of(steps()).astype(float)))
    assert "1 frame in" in text
    assert "note" not in text


def test_every_file_says_its_unit(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    run(image, "--hfov", "70", "--save", "depth16", "npz", "color", "side-by-side", "ply")
    assert names(out) == [
        "k_cloud_m.ply",
        "k_depth_color.png",
        "k_depth_m.npz",
        "k_depth_mm.png",
        "k_side_by_side.png",
        "summary.json",
    ]
    assert "millimetres; 0 is unknown" in png_texts(out / "k_depth_mm.png")["Description"]
    color = png_texts(out / "k_depth_color.png")
    assert "legend in metres" in color["Description"]
    assert color["Colors"] == "1 m to 9 m, spectral"
    assert "legend in metres" in png_texts(out / "k_side_by_side.png")["Description"]
    assert str(np.load(out / "k_depth_m.npz")["unit"]) == "metres"
    assert (
        "comment metres, camera optical frame: x right, y down, z forward"
        in (read_ply(out / "k_cloud_m.ply")[0])
    )
    told = summary(out)["units"]
    assert list(told) == ["depth16", "npz", "color", "side-by-side", "ply"]
    assert all("metres" in text for text in told.values())


def test_npz_has_metres_infinities_and_the_camera(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    run(image, "--focal-px", "50", "--save", "npz", "--min-depth", "2", "--max-depth", "5.5")
    stored = np.load(out / "k_depth_m.npz")
    expected = depth_of(steps())
    expected[:, :16], expected[:, 48:] = -np.inf, np.inf
    assert stored["depth"].dtype == np.float32
    np.testing.assert_allclose(stored["depth"], expected, rtol=1e-6)
    np.testing.assert_allclose(stored["K"], [[50, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])
    assert (float(stored["near_limit"]), float(stored["far_limit"])) == (2.0, 5.5)
    assert str(stored["source"]) == "focal length: --focal-px 50"


def test_other_units_report_what_does_not_fit(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    code, text = run(image, "--hfov", "70", "--save", "depth16", "--png-scale", "10000")
    assert code == 0
    pixels = cv2.imread(str(out / "k_depth_10000_per_m.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels[0, ::16], [10000, 30078, 50157, 0])
    lost = HEIGHT * WIDTH // 4
    assert f"{lost} pixels do not fit into 16 bits at 10000 units per metre" in text
    assert summary(out)["inputs"][0]["depth16_lost_pixels"] == lost
    assert "1 / 10000 metres" in png_texts(out / "k_depth_10000_per_m.png")["Description"]


def test_16_bits_lose_only_finite_depth():
    depth = np.array([[np.nan, np.inf, -np.inf, 65.535, 65.536, 0.0004, 1.2344]], np.float32)
    pixels, lost = to_units(depth, 1000.0)
    np.testing.assert_array_equal(pixels, [[0, 0, 0, 65535, 0, 0, 1234]])
    assert lost == 2


def test_an_image_next_to_its_depth(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    run(image, "--hfov", "70", "--save", "side-by-side", "color", "--range", "1", "9")
    page = cv2.cvtColor(cv2.imread(str(out / "k_side_by_side.png")), cv2.COLOR_BGR2RGB)
    color = cv2.cvtColor(cv2.imread(str(out / "k_depth_color.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(page[:, :WIDTH], steps())
    np.testing.assert_array_equal(page[:, WIDTH:], color)
    assert page.shape[0] == HEIGHT
    assert summary(out)["colors"] == {"map": "spectral", "near_far_m": [1, 9], "from": "--range"}


def test_a_cloud_has_colors_and_shape(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    run(image, "--focal-px", "50", "--save", "ply", "--stride", "4")
    _, vertices = read_ply(out / "k_cloud_m.ply")
    assert len(vertices) == HEIGHT * WIDTH // 16
    u, v = 20, 4
    z = float(depth_of(steps())[v, u])
    x, y, z_read, red, green, blue = vertices[(v // 4) * (WIDTH // 4) + u // 4]
    np.testing.assert_allclose((x, y), ((u - 31.5) * z / 50, (v - 23.5) * z / 50), rtol=1e-5)
    assert z_read == pytest.approx(z)
    assert (red, green, blue) == (64, 77, 0)


def test_a_cloud_is_thinned_by_voxels(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    run(image, "--focal-px", "50", "--save", "ply", "--voxel", "100")
    vertices = read_ply(out / "k_cloud_m.ply")[1]
    assert len(vertices) == 4  # one for each quadrant of x and y
    np.testing.assert_allclose(np.mean([v[2] for v in vertices]), depth_of(steps()).mean(), 1e-4)


def test_the_camera_height_gives_the_scale(run, out, tmp_path):
    slope = np.maximum((np.arange(HEIGHT) - 23.5) / 50.0, 1e-3)
    floor = np.minimum(2.0 / slope, 8.5)  # of a camera 2 m above it
    red = np.rint((floor - 1.0) / 8.0 * 255.0).clip(0, 255).astype(np.uint8)
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = red[:, np.newaxis]
    image = write(tmp_path / "k.png", rgb)
    arguments = (image, "--focal-px", "50", "--save", "npz", "--camera-height", "3")
    code, text = run(*arguments)
    assert code == 0, text
    assert "1 of 1 frames have the floor's scale" in " ".join(text.split())
    depth = np.load(out / "k_depth_m.npz")["depth"]
    np.testing.assert_allclose(depth[-5:], 1.5 * floor[-5:, np.newaxis].repeat(WIDTH, 1), rtol=0.05)
