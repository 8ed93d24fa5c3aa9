"""The input shapes that a user asks an engine for."""

from __future__ import annotations

import dataclasses

import pytest
from tiny_models import tiny_card

from depth_estimation_ros.engines.tensorrt.profile import Profile, make_profile
from depth_estimation_ros.errors import ParameterError

SPEC = tiny_card().input  # 48x64, multiples of 8
FIXED = dataclasses.replace(SPEC, multiple_of=None)


def test_the_default_is_one_picture_of_the_cards_size() -> None:
    assert make_profile(SPEC) == Profile(*[(1, 48, 64, 3)] * 3)


def test_one_number_is_smallest_best_and_largest() -> None:
    assert make_profile(SPEC, (4,), [(96, 128)]) == Profile(*[(4, 96, 128, 3)] * 3)


def test_three_numbers_are_in_the_order_of_the_layout() -> None:
    sizes = [(48, 64), (96, 128), (192, 256)]
    nchw = dataclasses.replace(SPEC, layout="NCHW")
    assert make_profile(SPEC, (1, 2, 4), sizes) == Profile(
        (1, 48, 64, 3), (2, 96, 128, 3), (4, 192, 256, 3)
    )
    assert make_profile(nchw, (1, 1, 4), sizes).best == (1, 3, 96, 128)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((1, 2), "--batch: found 2 values, expected one, or three"),
        ((0,), "--batch: found 0, 0, 0, expected whole numbers of at least 1"),
        ((4, 2, 1), "--batch: found 4, 2, 1, expected .* nowhere get smaller"),
    ],
)
def test_a_batch_that_cannot_be(batch: tuple[int, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_profile(SPEC, batch)


@pytest.mark.parametrize("size", [(50, 64), (48, 60), (0, 64), (-48, 64)])
def test_a_size_that_the_network_does_not_take(size: tuple[int, int]) -> None:
    with pytest.raises(ParameterError, match=f"found {size[0]}x{size[1]}, expected multiples of 8"):
        make_profile(SPEC, sizes=[size])


def test_a_network_of_one_size_has_no_other() -> None:
    assert make_profile(FIXED, sizes=[(48, 64)]).best == (1, 48, 64, 3)
    with pytest.raises(ParameterError, match="expected 48x64: the network has this size"):
        make_profile(FIXED, sizes=[(96, 128)])


def test_sizes_grow_on_both_axes() -> None:
    with pytest.raises(ParameterError, match="--size, width: found 64, 128, 96"):
        make_profile(SPEC, sizes=[(48, 64), (48, 128), (96, 96)])
