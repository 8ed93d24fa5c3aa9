"""The labelled NYU Depth V2: the official split, the right way round, the depth that was asked."""

import hashlib
import pickle

import h5py
import numpy as np
import pytest
from torch.utils.data import DataLoader

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.layouts import open_dataset
from training.data.nyu import official_split

WRITTEN = (0, 1, 2, 1448)  # images of the small file, counted from 0: test, test, train, train


@pytest.fixture(scope="module")
def mat(tmp_path_factory):
    """A file of the published layout in which four images are written."""
    path = tmp_path_factory.mktemp("nyu") / "nyu_depth_v2_labeled.mat"
    v, u = np.mgrid[:480, :640]
    with h5py.File(path, "w") as file:
        chunk = {"compression": "gzip", "compression_opts": 1}
        images = file.create_dataset(
            "images", (1449, 3, 640, 480), np.uint8, chunks=(1, 3, 640, 480), **chunk
        )
        for name in ("depths", "rawDepths"):
            file.create_dataset(name, (1449, 640, 480), np.float32, chunks=(1, 640, 480), **chunk)
        for number in WRITTEN:
            rgb = np.stack([u % 251, v % 251, np.full_like(u, number % 251)], axis=-1)
            depth = 1.0 + u / 1000.0 + v / 100.0 + number / 10_000.0
            images[number] = rgb.transpose(2, 1, 0)
            file["depths"][number] = depth.T
            depth[7, 9] = 0.0
            file["rawDepths"][number] = depth.T
    return path


def test_the_split_is_the_official_one():
    test, train = official_split("test"), official_split("train")
    assert (len(test), len(train)) == (654, 795)
    assert sorted([*test, *train]) == list(range(1449))
    # trainNdxs and testNdxs of splits.mat begin so, counted from 1.
    assert (test[:10] + 1).tolist() == [1, 2, 9, 14, 15, 16, 17, 18, 21, 28]
    assert (train[:10] + 1).tolist() == [3, 4, 5, 6, 7, 8, 10, 11, 12, 13]
    digest = hashlib.sha256(" ".join(str(index + 1) for index in test).encode()).hexdigest()
    assert digest.startswith("cdad6b1082ddd75f0702046db722c3ca")


def test_the_first_654_pictures_are_not_the_test_set():
    assert np.count_nonzero(official_split("test") < 654) == 268


def test_lengths_names_and_scoring(mat):
    test, train = (open_dataset("nyu_labelled", mat, split=split) for split in ("test", "train"))
    assert (len(test), len(train)) == (654, 795)
    assert [test.frame_name(i) for i in range(3)] == ["0001", "0002", "0009"]
    assert not {test.frame_name(i) for i in range(654)} & {train.frame_name(i) for i in range(795)}
    assert (test.cap_m, test.crop, test.name) == (10.0, "eigen_nyu", "nyu_labelled_test")
    assert test[0].intrinsics == pytest.approx((518.858, 519.470, 325.582, 253.736), abs=1e-3)


def test_pictures_and_depth_stand_upright(mat):
    sample = open_dataset("nyu_labelled", mat, split="test")[1]  # the image 1 from 0
    assert sample.rgb.shape == (480, 640, 3)
    assert sample.rgb.dtype == np.uint8
    assert sample.rgb[30, 200].tolist() == [200, 30, 1]
    assert sample.depth.dtype == np.float32
    assert sample.depth[30, 200] == pytest.approx(1.0 + 0.2 + 0.3 + 0.0001, abs=1e-6)
    assert sample.rgb.flags.c_contiguous
    assert sample.depth.flags.c_contiguous


def test_raw_depth_has_holes_and_filled_has_none(mat):
    raw = open_dataset("nyu_labelled", mat.parent, split="train")[0]
    filled = open_dataset("nyu_labelled", mat.parent, split="train", depth="filled")[0]
    assert np.argwhere(np.isnan(raw.depth)).tolist() == [[7, 9]]
    assert filled.depth[7, 9] == pytest.approx(1.0 + 0.009 + 0.07 + 0.0002, abs=1e-6)
    with pytest.raises(ParameterError, match="found 'painted', expected raw or filled"):
        open_dataset("nyu_labelled", mat, split="test", depth="painted")


def test_workers_open_the_file_for_themselves(mat):
    samples = open_dataset("nyu_labelled", mat, split="train")
    here = samples[794].depth  # opened here, before the worker is forked
    subset = [794, 0]
    loader = DataLoader(samples, batch_size=None, sampler=subset, num_workers=1)
    there = [sample.depth for sample in loader]
    np.testing.assert_array_equal(there[0], here)
    assert there[1][0, 0] == pytest.approx(1.0002, abs=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(samples))[794].depth, here)


def test_a_file_cut_short_is_told_so(mat, tmp_path):
    part = tmp_path / mat.name
    part.write_bytes(mat.read_bytes()[: mat.stat().st_size // 2])
    with pytest.raises(
        DatasetError, match=r"truncated file.*whole HDF5 file of 2\.8 GB.*cut short"
    ):
        open_dataset("nyu_labelled", part, split="test")
    part.write_bytes(b"<html>404</html>")
    with pytest.raises(DatasetError, match=r"0\.000 GB, and .*cs\.nyu\.edu"):
        open_dataset("nyu_labelled", tmp_path, split="test")


def test_a_wrong_place_says_what_it_holds_and_where_the_data_are(tmp_path):
    with pytest.raises(DatasetError, match=r"found no such file .*cs\.nyu\.edu.*nyu_depth_v2"):
        open_dataset("nyu_labelled", tmp_path / "none.mat", split="test")
    (tmp_path / "data").mkdir()
    with pytest.raises(DatasetError, match=r"found data, expected nyu_depth_v2_labeled\.mat"):
        open_dataset("nyu_labelled", tmp_path, split="test")
    (tmp_path / "data" / "nyu2_test.csv").touch()
    with pytest.raises(DatasetError, match="layout nyu_csv"):
        open_dataset("nyu_labelled", tmp_path, split="test")


def test_other_arrays_than_the_published_are_refused(tmp_path):
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (1449, 3, 640, 480), np.uint8)
        file.create_dataset("depths", (654, 640, 480), np.float32)
    with pytest.raises(DatasetError, match="no array rawDepths: found depths, images"):
        open_dataset("nyu_labelled", path, split="test")
    with pytest.raises(DatasetError, match=r"found \(654, 640, 480\), expected \(1449, 640, 480\)"):
        open_dataset("nyu_labelled", path, split="test", depth="filled")
