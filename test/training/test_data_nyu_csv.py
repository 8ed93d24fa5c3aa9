"""NYU Depth V2 with csv lists: 8-bit training depth, 16-bit test depth, never one for the other."""

import pickle

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.layouts import open_dataset

SCENES = {"basement_0001a_out/1": 40, "basement_0001a_out/2": 80, "kitchen_0003_out/1": 120}


def image(grey):
    """Brighter to the right, darker downwards, and redder than blue."""
    v, u = np.mgrid[:480, :640]
    ramp = grey + u // 16 - v // 24
    return np.stack([ramp, ramp, ramp + 60], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture
def nyu(tmp_path):
    """Three training frames and two test frames in the layout of the Kaggle download."""
    data = tmp_path / "nyu_data" / "data"
    rows = []
    for name, grey in SCENES.items():
        base = data / "nyu2_train" / name
        base.parent.mkdir(parents=True, exist_ok=True)
        depth = np.full((480, 640), grey, np.uint8)
        depth[0, :3] = [0, 254, 255]
        cv2.imwrite(f"{base}.jpg", image(grey))
        cv2.imwrite(f"{base}.png", depth)
        rows.append(f"data/nyu2_train/{name}.jpg,data/nyu2_train/{name}.png\n")
    (data / "nyu2_train.csv").write_text("".join(rows))
    (data / "nyu2_test").mkdir()
    for number in range(2):
        depth = np.full((480, 640), 2345 + number, np.uint16)
        depth[0, :2] = [0, 10000]
        depth[479, 0] = 713
        cv2.imwrite(f"{data}/nyu2_test/0000{number}_colors.png", image(90))
        cv2.imwrite(f"{data}/nyu2_test/0000{number}_depth.png", depth)
    (data / "nyu2_test.csv").write_text(
        "".join(
            f"data/nyu2_test/0000{n}_colors.png,data/nyu2_test/0000{n}_depth.png\n" for n in "01"
        )
    )
    return tmp_path / "nyu_data"


def test_training_depth_is_eight_bits_over_ten_metres(nyu):
    samples = open_dataset("nyu_csv", nyu, split="train")
    assert len(samples) == 3
    sample = samples[1]
    assert sample.depth.dtype == np.float32
    assert sample.depth[100, 100] == pytest.approx(80 * 10 / 255, abs=1e-6)
    # 254 is the farthest that is known; 255 stands for 10 m and all that is beyond.
    np.testing.assert_allclose(sample.depth[0, :3], [np.nan, 2540 / 255, np.nan], rtol=1e-6)


def test_test_depth_is_sixteen_bits_in_millimetres(nyu):
    samples = open_dataset("nyu_csv", nyu, split="test")
    assert len(samples) == 2
    depth = samples[1].depth
    assert depth[200, 300] == pytest.approx(2.346, abs=1e-6)
    np.testing.assert_allclose(depth[0, :2], [np.nan, 10.0], rtol=1e-6)
    assert depth[479, 0] == pytest.approx(0.713, abs=1e-6)


def test_frames_carry_their_name_camera_and_scoring(nyu):
    samples = open_dataset("nyu_csv", nyu, split="train")
    assert [samples.frame_name(i) for i in range(3)] == list(SCENES)
    assert open_dataset("nyu_csv", nyu, split="test").frame_name(1) == "00001"
    assert samples[0].intrinsics == pytest.approx((518.858, 519.470, 325.582, 253.736), abs=1e-3)
    assert (samples.cap_m, samples.crop, samples.name) == (10.0, "eigen_nyu", "nyu_csv_train")
    rgb = samples[0].rgb
    assert rgb.shape == (480, 640, 3)
    assert int(rgb[240, 320, 0]) - int(rgb[240, 320, 2]) == pytest.approx(60, abs=4)  # red first
    assert rgb[240, 600].mean() > rgb[240, 40].mean()  # right is right
    assert rgb[470, 320].mean() < rgb[10, 320].mean()  # below is below


@pytest.mark.parametrize("inside", ["", "data", ".."])
def test_the_folder_may_be_named_from_outside_or_inside(nyu, inside):
    assert len(open_dataset("nyu_csv", (nyu / inside).resolve(), split="train")) == 3


def test_it_travels_to_the_workers_of_a_loader(nyu):
    samples = pickle.loads(pickle.dumps(open_dataset("nyu_csv", nyu, split="train")))
    depths = [float(samples[index].depth[100, 100]) for index in range(3)]
    assert depths == pytest.approx([grey * 10 / 255 for grey in SCENES.values()], abs=1e-6)


def test_depth_of_the_wrong_bits_is_refused(nyu):
    cv2.imwrite(f"{nyu}/data/nyu2_test/00000_depth.png", np.full((480, 640), 60, np.uint8))
    with pytest.raises(DatasetError, match=r"00000_depth\.png: found 8 bits.*expected .*16 bits"):
        open_dataset("nyu_csv", nyu, split="test")[0]
    train = f"{nyu}/data/nyu2_train/kitchen_0003_out/1.png"
    cv2.imwrite(train, np.full((480, 640), 2000, np.uint16))
    with pytest.raises(DatasetError, match=r"found 16 bits.*expected .*8 bits.*255 = 10 m"):
        open_dataset("nyu_csv", nyu, split="train")[2]
    cv2.imwrite(train, np.full((480, 640, 3), 60, np.uint8))
    with pytest.raises(DatasetError, match=r"found 8 bits, 3 channels, expected .*one channel"):
        open_dataset("nyu_csv", nyu, split="train")[2]


def test_pictures_of_another_size_are_refused(nyu):
    cv2.imwrite(f"{nyu}/data/nyu2_test/00000_colors.png", np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(DatasetError, match="found 320x240, expected 640x480"):
        open_dataset("nyu_csv", nyu, split="test")[0]
    cv2.imwrite(f"{nyu}/data/nyu2_test/00001_depth.png", np.ones((240, 320), np.uint16))
    with pytest.raises(DatasetError, match="found 640x480 and 320x240, expected one size"):
        open_dataset("nyu_csv", nyu, split="test")[1]


def test_a_download_cut_short_is_counted_before_the_run(nyu):
    (nyu / "data/nyu2_train/basement_0001a_out/2.png").unlink()
    with pytest.raises(
        DatasetError,
        match=r"nyu2_train\.csv .* 1 of 6 missing, the first .*basement_0001a_out/2\.png"
        r".*cut short.*kaggle\.com/datasets/soumikrakshit/nyu-depth-v2",
    ):
        open_dataset("nyu_csv", nyu, split="train")


def test_lists_without_any_files_are_told_from_some_missing(nyu):
    (nyu / "data" / "nyu2_test").rename(nyu / "elsewhere")
    with pytest.raises(DatasetError, match="names 4 files and none of them is there"):
        open_dataset("nyu_csv", nyu, split="test")


def test_a_wrong_folder_says_what_it_holds_and_where_the_data_are(nyu, tmp_path):
    with pytest.raises(DatasetError, match=r"no folder .*nowhere.*kaggle\.com"):
        open_dataset("nyu_csv", tmp_path / "nowhere", split="train")
    (tmp_path / "other" / "pictures").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"found pictures, expected data/nyu2_train\.csv"):
        open_dataset("nyu_csv", tmp_path / "other", split="train")
    (tmp_path / "other" / "nyu_depth_v2_labeled.mat").touch()
    with pytest.raises(DatasetError, match="layout nyu_labelled"):
        open_dataset("nyu_csv", tmp_path / "other", split="test")
    with pytest.raises(ParameterError, match="found 'val', expected train or test"):
        open_dataset("nyu_csv", nyu, split="val")


def test_a_broken_list_names_its_row(nyu):
    (nyu / "data" / "nyu2_test.csv").write_text("data/a.png,data/b.png\ndata/c.png\n")
    with pytest.raises(DatasetError, match=r"nyu2_test\.csv, row 2: found data/c\.png"):
        open_dataset("nyu_csv", nyu, split="test")


def test_a_part_of_the_test_set_is_not_taken_for_the_whole(nyu, caplog):
    open_dataset("nyu_csv", nyu, split="test")
    assert "has 2 rows, the published list has 654" in caplog.text
