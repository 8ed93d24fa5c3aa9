"""The parts of an image that published numbers are of."""

import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from training.data.crops import CROPS, crop_box, crop_mask


def test_nyu_is_exact_at_its_own_size_and_keeps_its_shares_elsewhere() -> None:
    assert crop_box("eigen_nyu", 480, 640) == (45, 471, 41, 601)
    assert crop_box("eigen_nyu", 240, 320) == (22, 235, 20, 300)
    assert crop_box("eigen_nyu", 960, 1280) == (90, 942, 82, 1202)


# The sizes of KITTI's images; the bounds worked out by hand: for instance 0.40810811 * 375 is
# 153.04, 0.99189189 * 375 is 371.96, 0.03594771 * 1242 is 44.65, 0.96405229 * 1242 is 1197.35.
@pytest.mark.parametrize(
    ("size", "garg", "eigen"),
    [
        ((375, 1242), (153, 371, 44, 1197), (124, 342, 44, 1197)),
        ((370, 1224), (151, 366, 43, 1180), (122, 337, 43, 1180)),
        ((376, 1241), (153, 372, 44, 1196), (124, 343, 44, 1196)),
        ((352, 1216), (143, 349, 43, 1172), (117, 321, 43, 1172)),
    ],
)
def test_kitti_bounds_are_cut_not_rounded(
    size: tuple[int, int], garg: tuple[int, ...], eigen: tuple[int, ...]
) -> None:
    assert crop_box("garg", *size) == garg
    assert crop_box("eigen_kitti", *size) == eigen


def test_a_mask_is_true_inside_the_box_alone() -> None:
    mask = crop_mask("eigen_nyu", 480, 640)
    assert mask.shape == (480, 640)
    assert mask.sum() == (471 - 45) * (601 - 41)
    assert [mask[45, 41], mask[470, 600]] == [True, True]
    assert [mask[44, 41], mask[45, 40], mask[471, 600], mask[470, 601]] == [False] * 4
    assert crop_mask("none", 7, 9).all()


def test_a_mask_that_is_kept_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        crop_mask("garg", 375, 1242)[0, 0] = True


@pytest.mark.parametrize("name", CROPS)
def test_every_crop_fits_into_small_images(name: str) -> None:
    for height, width in ((1, 1), (24, 32), (33, 17)):
        top, bottom, left, right = crop_box(name, height, width)
        assert 0 <= top <= bottom <= height
        assert 0 <= left <= right <= width
        assert crop_mask(name, height, width).dtype == np.bool_


def test_an_unknown_crop_names_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"'eigen'.*none or eigen_nyu or garg or eigen_kitti"):
        crop_box("eigen", 480, 640)
