"""A folder of frames holds what was rendered, and can be completed."""

import json
import math

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from training.__main__ import main
from training.scenes import write

SIZE = {"height": 36, "width": 48}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    options = "--count 3 --seed 40 --size 48x36 --workers 1 --kinds outdoor --quiet"
    assert main(["synthesize", "--out", str(out), *options.split()]) == 0
    return out


def test_frames_json_says_what_the_files_hold(folder):
    about = json.loads((folder / "frames.json").read_text())
    assert about["size_wh"] == [48, 36]
    assert about["seed"] == 40
    assert about["kinds"] == ["outdoor"]
    assert about["depth_scale"] == 0.002
    assert about["infinite_value"] == 65535
    assert about["generator_version"] == write.GENERATOR_VERSION
    assert list(about["frames"]) == ["00000", "00001", "00002"]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [f"0000{n}.{end}" for n in range(3) for end in ("jpg", "png")] + ["frames.json"]
    )


def test_depth_and_intrinsics_come_back_within_the_quantum(folder):
    rgb, depth, intrinsics = write.make_frame(41, **SIZE, kinds=["outdoor"])
    stored = cv2.imread(str(folder / "00001.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    sky = np.isposinf(depth)
    assert sky.any()
    np.testing.assert_array_equal(stored == write.INFINITE, sky)
    np.testing.assert_allclose(stored[~sky] * 0.002, depth[~sky], atol=0.00101)
    about = json.loads((folder / "frames.json").read_text())
    assert about["frames"]["00001"] == intrinsics
    image = cv2.imread(str(folder / "00001.jpg"))[..., ::-1]
    assert np.abs(image.astype(float) - rgb).mean() < 6


def test_the_field_of_view_can_be_chosen(tmp_path):
    options = "--count 2 --seed 5 --size 48x36 --workers 1 --hfov 60 --quiet"
    assert main(["synthesize", "--out", str(tmp_path), *options.split()]) == 0
    about = json.loads((tmp_path / "frames.json").read_text())
    assert about["hfov_deg"] == [60.0, 60.0]
    expected = 24 / math.tan(math.radians(30))
    assert [fx for fx, *_ in about["frames"].values()] == pytest.approx([expected, expected])


@pytest.mark.parametrize("text", ["wide", "80-40", "1", "40-170"])
def test_a_field_of_view_that_cannot_be_is_refused(text, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["synthesize", "--out", str(tmp_path), "--hfov", text])
    assert text in capsys.readouterr().err


def test_a_folder_is_completed_not_rewritten(folder):
    kept = (folder / "00000.jpg").stat().st_mtime_ns
    image = (folder / "00001.jpg").read_bytes()
    (folder / "00001.jpg").unlink()
    write.write_folder(folder, 4, 40, **SIZE, workers=1, kinds=["outdoor"], quiet=True)
    assert (folder / "00000.jpg").stat().st_mtime_ns == kept
    assert (folder / "00001.jpg").read_bytes() == image
    assert len(json.loads((folder / "frames.json").read_text())["frames"]) == 4


def test_other_settings_are_refused(folder):
    with pytest.raises(ParameterError, match="seed: found 40, expected 41"):
        write.write_folder(folder, 4, 41, **SIZE, kinds=["outdoor"], quiet=True)


def test_the_command_reports_a_refusal_without_a_traceback(folder, capsys):
    options = ["--count", "4", "--seed", "41", "--quiet"]
    assert main(["synthesize", "--out", str(folder), *options]) == 1
    assert "error: " in capsys.readouterr().err


def test_depth_that_has_no_code_is_invalid():
    depth = np.array([[np.nan, np.inf, 0.0, 1.0, 131.0, 200.0]], np.float32)
    assert write.encode_depth(depth).tolist() == [[0, 65535, 0, 500, 65500, 0]]


@pytest.mark.parametrize("text", ["320", "axb", "320x", "8x8", "99999x240"])
def test_a_size_that_cannot_work_is_refused(text, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["synthesize", "--out", str(tmp_path), "--size", text])
    assert text in capsys.readouterr().err


def test_leaving_out_every_kind_is_refused_before_anything_is_written(tmp_path, capsys):
    words = f"synthesize --out {tmp_path / 'none'} --kinds hall --without kind:hall".split()
    assert main(words) == 1
    assert "no kind of scene is left of hall" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_what_is_left_out_stands_beside_the_frames(tmp_path):
    few = ["--count", "1", "--size", "48x36", "--workers", "1", "--quiet"]
    words = ["--out", str(tmp_path), *few, "--without", "noise", "clutter"]
    assert main(["synthesize", *words]) == 0
    assert json.loads((tmp_path / "frames.json").read_text())["without"] == ["clutter", "noise"]
