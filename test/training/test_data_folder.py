"""Folders of RGB and depth as they come: side by side or apart, with a JSON file or without."""

import json
import pickle

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.augment import NO_AUGMENTATION
from training.data.examples import Examples
from training.data.layouts import open_dataset

CAMERA = [300.0, 301.0, 3.5, 2.5]


def write_pair(folder, name="a", ending="png", millimetres=1500, red=200, grey_depth=False):
    """A pair apart from each other: rgb/name.ending and depth/name.png."""
    for kind in ("rgb", "depth"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(
        str(folder / "rgb" / f"{name}.{ending}"), np.full((6, 8, 3), (10, 20, red), np.uint8)
    )
    kind = np.uint8 if grey_depth else np.uint16
    cv2.imwrite(str(folder / "depth" / f"{name}.png"), np.full((6, 8), millimetres, kind))


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "png"])
def test_pictures_and_depth_may_lie_apart(tmp_path, ending):
    write_pair(tmp_path, "1305031229.529", ending, 1500)
    write_pair(tmp_path, "1305031229.565", ending, 2500, red=90)
    (tmp_path / "info.json").write_text(json.dumps({"intrinsics_px": None}))
    samples = open_dataset("folder", tmp_path)
    assert [samples.frame_name(i) for i in range(2)] == ["1305031229.529", "1305031229.565"]
    np.testing.assert_array_equal(samples[1].depth, np.full((6, 8), 2.5, np.float32))
    assert samples[1].rgb[0, 0] == pytest.approx([90, 20, 10], abs=6)
    assert samples[1].intrinsics is None


def test_options_stand_in_for_the_json_file(tmp_path):
    write_pair(tmp_path, millimetres=2560)
    with pytest.raises(DatasetError, match=r"neither info\.json nor frames\.json.*depth_scale"):
        open_dataset("folder", tmp_path)
    samples = open_dataset(
        "folder", tmp_path, depth_scale=1 / 256, intrinsics=CAMERA, cap_m=80.0, crop="garg"
    )
    assert samples[0].depth[0, 0] == 10.0
    assert samples[0].intrinsics == tuple(CAMERA)
    assert (samples.cap_m, samples.crop) == (80.0, "garg")
    assert open_dataset("folder", tmp_path, depth_scale=0.001)[0].intrinsics is None


def test_options_go_before_the_json_file(tmp_path):
    write_pair(tmp_path, millimetres=5000)
    other = {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0}
    about = {"depth_scale": 0.001, "intrinsics_px": other, "infinite_value": 5000}
    (tmp_path / "info.json").write_text(json.dumps(about))
    assert np.isposinf(open_dataset("folder", tmp_path)[0].depth).all()
    about.pop("infinite_value")
    (tmp_path / "info.json").write_text(json.dumps(about))
    sample = open_dataset("folder", tmp_path, depth_scale=0.0002, intrinsics=CAMERA)[0]
    assert sample.depth[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert sample.intrinsics == tuple(CAMERA)
    assert open_dataset("folder", tmp_path)[0].intrinsics == (1.0, 1.0, 0.0, 0.0)


def test_options_that_cannot_be_are_refused(tmp_path):
    write_pair(tmp_path)
    with pytest.raises(ParameterError, match=r"found \[300\.0, 301\.0\], expected \[fx, fy"):
        open_dataset("folder", tmp_path, depth_scale=0.001, intrinsics=CAMERA[:2])
    with pytest.raises(ParameterError, match=r"depth_scale .*found 0, expected above 0"):
        open_dataset("folder", tmp_path, depth_scale=0)


def test_a_camera_that_lacks_a_number_is_refused(tmp_path):
    write_pair(tmp_path)
    (tmp_path / "info.json").write_text(json.dumps({"intrinsics_px": {"fx": 300.0}}))
    with pytest.raises(DatasetError, match=r"intrinsics_px .*found \{'fx': 300\.0\}, expected"):
        open_dataset("folder", tmp_path)


def test_what_is_missing_is_counted(tmp_path, caplog):
    for name in "abc":
        write_pair(tmp_path, name)
    (tmp_path / "depth" / "b.png").unlink()
    (tmp_path / "info.json").write_text(json.dumps({"frames": 4}))
    samples = open_dataset("folder", tmp_path)
    assert len(samples) == 2
    assert "1 images have no depth" in caplog.text
    assert "holds 2 of the 4 frames" in caplog.text
    for depth in (tmp_path / "depth").iterdir():
        depth.unlink()
    with pytest.raises(DatasetError, match=r"no pairs of rgb/NAME\.jpg .*found 3 images and 0"):
        open_dataset("folder", tmp_path)


def test_depth_of_eight_bits_is_refused(tmp_path):
    write_pair(tmp_path, millimetres=200, grey_depth=True)
    samples = pickle.loads(pickle.dumps(open_dataset("folder", tmp_path, depth_scale=0.001)))
    with pytest.raises(DatasetError, match=r"depth/a\.png: found 8 bits.*expected .*16 bits"):
        samples[0]


def test_a_recorded_sequence(shared_data):
    samples = open_dataset("folder", shared_data("tum_fr1_rpy_sequence"))
    sample = samples[0]
    assert len(samples) == 100
    assert sample.intrinsics == (517.3, 516.5, 318.6, 255.3)
    assert sample.rgb.shape == (480, 640, 3)
    raw = cv2.imread(str(samples.path / "depth" / f"{samples.frame_name(0)}.png"), -1)
    np.testing.assert_array_equal(np.isnan(sample.depth), raw == 0)
    np.testing.assert_allclose(sample.depth[raw > 0] * 1000.0, raw[raw > 0], rtol=1e-6)


def test_a_recorded_drive_needs_its_unit(shared_data):
    path = shared_data("kitti_drive_0005")
    with pytest.raises(DatasetError, match="name the option depth_scale"):
        open_dataset("folder", path)
    samples = open_dataset("folder", path, depth_scale=1 / 256, cap_m=80.0)
    depth = samples[0].depth
    assert (len(samples), depth.shape) == (20, (375, 1242))
    assert np.isfinite(depth).mean() == pytest.approx(0.036, abs=0.005)
    assert 5.0 < np.nanmedian(depth) < 20.0
    assert np.nanmax(depth) < 130.0  # the reach of the scanner
    # A scanner sees the road, below the horizon, nearer than what stands above it.
    assert np.nanmedian(depth[330:]) < np.nanmedian(depth[180:240])


@pytest.mark.parametrize(
    ("name", "frames", "calibrated"),
    [
        ("train/tum_fr1_rpy", 302, True),
        ("train/hololens", 187, True),
        ("val/realsense_room", 49, False),
        ("val/tum_static", 5, True),
    ],
)
def test_recorded_folders_side_by_side(shared_data, caplog, name, frames, calibrated):
    samples = open_dataset("folder", shared_data("rgbd") / name)
    assert len(samples) == frames
    assert (samples[0].intrinsics is not None) == calibrated
    assert 0.4 < np.nanmedian(samples[frames // 2].depth) < 6.0
    assert not caplog.text  # all images have depth, and none is missing


@pytest.mark.parametrize("key", ["intrinsics", "per_frame_intrinsics"])
def test_an_unknown_camera_key_is_refused(tmp_path, key):
    write_pair(tmp_path)
    (tmp_path / "info.json").write_text(json.dumps({key: CAMERA}))
    with pytest.raises(DatasetError, match=f"info.json: camera: found the key {key}"):
        open_dataset("folder", tmp_path)


def test_depth_of_unknown_scale_is_not_metric(tmp_path):
    write_pair(tmp_path)
    samples = open_dataset("folder", tmp_path, depth_scale=0.001, intrinsics=CAMERA, metric=False)
    example = Examples(samples, 6, 8, NO_AUGMENTATION, None)[0]
    assert not samples[0].metric
    assert not example["metric"]
