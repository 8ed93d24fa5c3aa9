"""Cityscapes: metres from disparity, and no depth from what is not disparity."""

import json
import pickle

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.cityscapes import depth_of
from training.data.layouts import open_dataset

FX, BASELINE = 2262.52, 0.209313
CAMERA = {
    "extrinsic": {"baseline": BASELINE, "pitch": 0.038, "x": 1.7, "y": 0.1, "z": 1.22},
    "intrinsic": {"fx": FX, "fy": 2265.3017905988554, "u0": 1096.98, "v0": 513.137},
}
FRAMES = ("aachen_000000_000019", "aachen_000001_000019", "zurich_000000_000019")


def file_of(root, kind, frame, end="png"):
    return root / kind / "train" / frame.split("_")[0] / f"{frame}_{kind}.{end}"


def write_disparity(root, frame, raw):
    assert cv2.imwrite(str(file_of(root, "disparity", frame)), raw)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("cityscapes")
    ramp = np.mgrid[:1024, :2048][1].astype(np.uint8)
    for number, frame in enumerate(FRAMES):
        for kind in ("leftImg8bit", "disparity", "camera"):
            file_of(root, kind, frame).parent.mkdir(parents=True, exist_ok=True)
        bgr = np.stack([np.full_like(ramp, 10 * number), ramp // 2, ramp], axis=-1)
        cv2.imwrite(str(file_of(root, "leftImg8bit", frame)), bgr)
        raw = np.full((1024, 2048), 256 * (20 + number) + 1, np.uint16)
        raw[0, :3] = [0, 1, 65535]
        write_disparity(root, frame, raw)
        camera = {**CAMERA, "intrinsic": {**CAMERA["intrinsic"], "fx": FX + number}}
        file_of(root, "camera", frame, "json").write_text(json.dumps(camera))
    return root


@pytest.fixture
def cut(whole, tmp_path):
    """The same by links, to take something away from."""
    for file in whole.rglob("*.*"):
        link = tmp_path / "cut" / file.relative_to(whole)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return tmp_path / "cut"


def test_depth_is_baseline_times_focal_length_over_disparity():
    raw = np.array([[1 + 256 * 8, 1 + 256 * 94, 1 + 128]], np.uint16)
    # 0.209313 m * 2262.52 px = 473.574 px m: at 8 px, 94 px and half a pixel.
    np.testing.assert_allclose(depth_of(raw, BASELINE, FX), [[59.19679, 5.03803, 947.1487]], 1e-5)


def test_each_frame_has_its_own_camera(whole):
    samples = open_dataset("cityscapes", whole, split="train")
    assert len(samples) == 3
    assert [samples.frame_name(i) for i in range(3)] == list(FRAMES)
    sample = samples[2]
    assert sample.intrinsics == pytest.approx((FX + 2, 2265.3018, 1096.98, 513.137), abs=1e-3)
    assert sample.depth[500, 500] == pytest.approx(BASELINE * (FX + 2) / 22.0, abs=1e-4)
    assert sample.depth.dtype == np.float32
    assert sample.rgb[0, 200].tolist() == [200, 100, 20]
    assert (samples.cap_m, samples.crop, samples.name) == (80.0, "none", "cityscapes_train")


def test_without_a_match_and_at_infinity_depth_is_unknown(whole):
    depth = open_dataset("cityscapes", whole, split="train")[0].depth
    far = BASELINE * FX / (65534 / 256)
    np.testing.assert_allclose(depth[0, :3], [np.nan, np.nan, far], rtol=1e-6)
    assert np.isnan(depth).sum() == 2


def test_it_travels_to_the_workers_of_a_loader(whole):
    samples = pickle.loads(pickle.dumps(open_dataset("cityscapes", whole, split="train")))
    assert samples[1].depth[9, 9] == pytest.approx(BASELINE * (FX + 1) / 21.0, abs=1e-4)


@pytest.mark.parametrize("outside", [True, False])
def test_the_copy_of_kaggle_is_refused_and_the_way_to_disparity_shown(tmp_path, outside):
    inside = tmp_path / "Cityspaces"
    (inside / "images" / "train").mkdir(parents=True)
    (inside / "gtFine" / "train").mkdir(parents=True)
    message = (
        r"copy of Cityscapes for semantic segmentation.*no disparity: found images and gtFine"
        r".*not depth.*cityscapes-dataset\.com.*disparity_trainvaltest\.zip"
    )
    with pytest.raises(DatasetError, match=message):
        open_dataset("cityscapes", tmp_path if outside else inside, split="train")


def test_a_missing_part_is_named_with_its_archive(tmp_path, whole):
    (tmp_path / "leftImg8bit").symlink_to(whole / "leftImg8bit")
    (tmp_path / "camera").symlink_to(whole / "camera")
    message = r"found camera, leftImg8bit, expected also disparity\..*disparity_trainvaltest\.zip"
    with pytest.raises(DatasetError, match=message):
        open_dataset("cityscapes", tmp_path, split="train")
    with pytest.raises(DatasetError, match=r"no folder .*nowhere.*Register at"):
        open_dataset("cityscapes", tmp_path / "nowhere", split="train")


def test_files_that_did_not_arrive_are_counted(cut):
    file_of(cut, "disparity", FRAMES[1]).unlink()
    with pytest.raises(
        DatasetError, match=r"1 of 3 missing, the first .*aachen_000001_000019_disparity\.png"
    ):
        open_dataset("cityscapes", cut, split="train")


def test_a_split_that_is_not_there(whole):
    with pytest.raises(DatasetError, match=r"leftImg8bit/val holds no images"):
        open_dataset("cityscapes", whole, split="val")
    with pytest.raises(ParameterError, match="found 'validation', expected train, val, test"):
        open_dataset("cityscapes", whole, split="validation")


def test_class_masks_and_resized_copies_are_no_disparity(cut):
    for frame in FRAMES:
        file_of(cut, "disparity", frame).unlink()
    write_disparity(cut, FRAMES[0], np.full((1024, 2048), 7, np.uint8))
    write_disparity(cut, FRAMES[1], np.full((512, 1024), 700, np.uint16))
    write_disparity(cut, FRAMES[2], np.full((1024, 2048), 700, np.uint16))
    image = file_of(cut, "leftImg8bit", FRAMES[2])
    image.unlink()
    cv2.imwrite(str(image), np.zeros((512, 1024, 3), np.uint8))
    samples = open_dataset("cityscapes", cut, split="train")
    with pytest.raises(DatasetError, match=r"found 8 bits, 1 channel, expected .*16 bits"):
        samples[0]
    with pytest.raises(DatasetError, match="found 2048x1024 and 1024x512, expected one size"):
        samples[1]
    with pytest.raises(DatasetError, match="found 1024x512, expected 2048x1024"):
        samples[2]


def test_a_camera_without_baseline_is_named(cut):
    camera = file_of(cut, "camera", FRAMES[0], "json")
    camera.unlink()
    camera.write_text(json.dumps({"intrinsic": CAMERA["intrinsic"]}))
    with pytest.raises(DatasetError, match=r"camera\.json: found KeyError: 'extrinsic', expected"):
        open_dataset("cityscapes", cut, split="train")[0]
