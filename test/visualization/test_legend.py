"""The legend in metres on, or right of, a depth image."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.colorize import color_table
from depth_estimation_ros.visualization.legend import add_legend, depth_label, round_depths

SIZES = [(240, 320), (480, 640), (1080, 1920), (640, 360)]


def ticks(near: float, far: float, length: int = 300) -> list[float]:
    return round_depths(near, far, length, lambda text: 8 * len(text))


@pytest.mark.parametrize(
    ("near", "far", "expected"),
    [
        (0.3, 10.0, [0.5, 1, 2, 5, 10]),
        (1.0, 80.0, [1, 2, 5, 10, 20, 50]),
        (0.8, 3.0, [1, 1.5, 2, 3]),
        (0.79, 2.3, [1, 1.5, 2]),  # rather than 0.8, 0.9, 1, 2
        (1.2, 1.6, [1.2, 1.3, 1.4, 1.5, 1.6]),
        (2.01, 2.51, [2.1, 2.2, 2.3, 2.4, 2.5]),
    ],
)
def test_ticks_are_round(near: float, far: float, expected: list[float]) -> None:
    assert ticks(near, far) == pytest.approx(expected)


def test_longer_scale_has_up_to_ten_ticks() -> None:
    assert len(ticks(0.3, 10.0, 120)) < len(ticks(0.3, 10.0, 300)) < len(ticks(0.3, 10.0, 2000))
    assert len(ticks(0.3, 10.0, 9000)) <= 10


def test_every_range_has_two_ticks() -> None:
    for near, ratio in itertools.product(np.geomspace(0.1, 100.0, 61), (1.25, 1.6, 3.0, 30.0)):
        assert len(ticks(near, near * ratio)) >= 2, (near, ratio)


def test_labels_do_not_touch() -> None:
    for near, ratio in itertools.product(np.geomspace(0.1, 100.0, 31), (1.25, 2.0, 30.0)):
        shown = ticks(near, near * ratio)
        places = [300 * np.log(metres / near) / np.log(ratio) for metres in shown]
        halves = [8 * len(depth_label(metres)) / 2 for metres in shown]
        for i in range(len(shown) - 1):
            assert places[i] + halves[i] <= places[i + 1] - halves[i + 1] + 1e-9


@pytest.mark.parametrize("size", SIZES)
def test_bottom_legend_keeps_size_and_upper_part(size) -> None:
    image = np.full((*size, 3), 200, np.uint8)
    drawn = add_legend(image, 0.3, 10.0)
    assert drawn.shape == image.shape
    assert (image == 200).all()
    changed = np.flatnonzero((drawn != 200).any(axis=(1, 2)))
    assert changed[-1] == size[0] - 1
    assert 0.05 < len(changed) / size[0] < 0.17


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("color_map", ["spectral", "viridis"])
def test_bar_goes_from_near_to_far(size, color_map: str) -> None:
    drawn = add_legend(np.zeros((*size, 3), np.uint8), 0.3, 10.0, color_map)
    table = color_table(color_map)[::-1, 0]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        wanted = table[round(share * 255)].astype(int)
        close = (np.abs(drawn.astype(int) - wanted).max(axis=-1) <= 2).any(axis=0)
        at = np.flatnonzero(close).mean() / (size[1] - 1)
        assert at == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("size", SIZES)
def test_text_is_readable_and_grows(size) -> None:
    drawn = add_legend(np.zeros((*size, 3), np.uint8), 0.3, 10.0, "gray")
    band = drawn[drawn.shape[0] - drawn.shape[0] // 6 :]
    white = np.flatnonzero((band[-round(0.09 * min(size)) :, :, :] > 230).all(axis=-1).any(axis=1))
    height = white[-1] - white[0] + 1
    assert height >= 8
    assert 0.02 < height / min(size) < 0.09


def luminance(rgb: np.ndarray) -> float:
    """Relative luminance of WCAG 2."""
    channels = rgb.astype(float) / 255.0
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("background", [0, 128, 255])
@pytest.mark.parametrize("place", ["bottom", "right"])
def test_text_has_contrast_on_any_image(background: int, place) -> None:
    drawn = add_legend(np.full((480, 640, 3), background, np.uint8), 0.3, 10.0, place=place)
    paper = drawn[-1, -1]  # a corner of the legend, without a word
    contrast = 1.05 / (luminance(paper) + 0.05)
    assert (drawn == 255).all(axis=-1).any()
    assert contrast >= 7.0  # WCAG 2 asks 4.5 for small letters, 7 for its best grade


@pytest.mark.parametrize("size", SIZES)
def test_right_legend_keeps_image_and_even_width(size) -> None:
    image = np.full((*size, 3), 200, np.uint8)
    drawn = add_legend(image, 0.3, 10.0, place="right")
    np.testing.assert_array_equal(drawn[:, : size[1]], image)
    assert drawn.shape[0] == size[0]
    assert drawn.shape[1] % 2 == 0
    assert 0.05 < drawn.shape[1] / size[1] - 1.0 < 0.3
    strip = drawn[:, size[1] :].astype(int)
    near = np.abs(strip - color_table("spectral")[255, 0]).max(axis=-1).min(axis=1)
    far = np.abs(strip - color_table("spectral")[0, 0]).max(axis=-1).min(axis=1)
    assert far.argmin() < 0.15 * size[0]
    assert near.argmin() > 0.8 * size[0]  # near is below, as a floor is


def test_small_image_gets_no_legend() -> None:
    image = np.full((40, 60, 3), 9, np.uint8)
    np.testing.assert_array_equal(add_legend(image, 0.3, 10.0), image)


def test_invalid_legend_is_refused() -> None:
    image = np.zeros((48, 96, 3), np.uint8)
    with pytest.raises(ParameterError):
        add_legend(image, 3.0, 2.0)
    with pytest.raises(ParameterError):
        add_legend(image, 1.0, 2.0, "jet")
