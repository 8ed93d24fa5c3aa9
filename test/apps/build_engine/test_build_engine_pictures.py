"""Where the images for calibration and comparison come from."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_estimation_ros.apps.build_engine import calibration_images
from depth_estimation_ros.apps.build_engine.calibration_images import own_images, split
from depth_estimation_ros.errors import BagError, ParameterError

BAG = Path(calibration_images.__file__).parent.parent / "demo" / "bag"


def write_gray(folder: Path, count: int) -> Path:
    """Images of one gray each, 0, 1, 2, ..."""
    folder.mkdir()
    for value in range(count):
        cv2.imwrite(str(folder / f"{value:03}.png"), np.full((8, 8, 3), value, np.uint8))
    return folder


def test_a_folder_gives_different_pictures_from_all_over_it(tmp_path: Path) -> None:
    grays = [int(rgb[0, 0, 0]) for rgb in own_images(str(write_gray(tmp_path / "x", 150)))]
    assert len(set(grays)) == len(grays) == 120
    assert min(grays) < 15
    assert max(grays) > 135


def test_a_recording_gives_its_images() -> None:
    pytest.importorskip("rosbags", reason="needs rosbags")
    found = own_images(str(BAG))
    (file,) = BAG.glob("*.mcap")
    assert len(found) >= 10
    assert {rgb.shape[2] for rgb in found} == {3}
    assert {rgb.dtype for rgb in found} == {np.dtype(np.uint8)}
    assert len({rgb.tobytes() for rgb in found}) == len(found)
    assert [rgb.tobytes() for rgb in own_images(str(file))] == [rgb.tobytes() for rgb in found]


def test_a_topic_that_the_recording_lacks() -> None:
    pytest.importorskip("rosbags", reason="needs rosbags")
    with pytest.raises(BagError, match="/nowhere"):
        own_images(str(BAG), "/nowhere")


def test_rosbags_is_asked_for_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rosbags", None)
    monkeypatch.setattr(calibration_images, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match="pip install rosbags"):
        own_images(str(BAG))


@pytest.mark.parametrize(("count", "message"), [(0, "found none"), (1, "found 1, expected at lea")])
def test_too_few_pictures(tmp_path: Path, count: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        own_images(str(write_gray(tmp_path / "x", count)))


def test_a_place_that_is_not_there() -> None:
    with pytest.raises(ParameterError, match="--calibration: found '/nowhere': nothing there"):
        own_images("/nowhere")


@pytest.mark.parametrize(("count", "compared"), [(2, 1), (6, 1), (7, 2), (60, 10), (120, 20)])
def test_what_is_compared_on_was_not_calibrated_with(count: int, compared: int) -> None:
    everything = [np.full((1, 1, 3), value, np.uint8) for value in range(count)]
    first, second = split(everything)
    assert len(second) == compared
    assert sorted(int(rgb[0, 0, 0]) for rgb in first + second) == list(range(count))
