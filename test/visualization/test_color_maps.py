"""The colour maps: how even their steps are, and how their lightness goes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.colorize import COLOR_MAPS, DEFAULT_COLOR_MAP, color_table

FALLING = ("viridis", "plasma", "magma", "inferno", "cividis", "gray")
BOTH_ENDS_DARK = ("spectral", "turbo")


def cielab(color_map: str) -> np.ndarray:
    """(256, 3) L* 0..100, a*, b*, far first."""
    rgb = color_table(color_map).astype(np.float32) / 255.0
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[:, 0]


def oklab(color_map: str) -> np.ndarray:
    """(256, 3) by the two matrices from linear sRGB of Ottosson, 2020."""
    rgb = color_table(color_map).reshape(256, 3) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def steps(color_map: str, *, above_lightness: float = 0.0) -> np.ndarray:
    """Colour differences a step in Oklab; each over eight, as eight bits round single ones."""
    lab = oklab(color_map)
    differences = np.linalg.norm(lab[8:] - lab[:-8], axis=1) / 8.0
    return differences[cielab(color_map)[4:-4, 0] > above_lightness]


def unevenness(color_map: str) -> float:
    """The longest step over the shortest, but for the darkest tenth, which no screen shows well."""
    lengths = steps(color_map, above_lightness=10.0)
    return float(lengths.max() / lengths.min())


def test_default_map_has_the_most_even_steps() -> None:
    assert DEFAULT_COLOR_MAP == "spectral"
    assert unevenness("spectral") < 1.2
    assert all(unevenness("spectral") < unevenness(other) for other in COLOR_MAPS[1:])
    assert unevenness("turbo") > 5.0


@pytest.mark.parametrize("color_map", FALLING)
def test_uniform_maps_are_even(color_map: str) -> None:
    assert unevenness(color_map) < 1.8


def test_default_separates_most_depths_of_even_maps() -> None:
    total = {
        name: float(np.linalg.norm(np.diff(oklab(name), axis=0), axis=1).sum())
        for name in COLOR_MAPS
    }
    assert total["spectral"] == pytest.approx(1.21, abs=0.02)
    assert all(total["spectral"] > total[name] for name in FALLING)
    assert total["turbo"] == pytest.approx(1.65, abs=0.02)


@pytest.mark.parametrize("color_map", FALLING)
def test_lightness_falls_from_near_to_far(color_map: str) -> None:
    lightness = cielab(color_map)[:, 0]  # far first
    assert np.diff(lightness).min() > -0.05
    assert lightness[-1] - lightness[0] > 75.0


@pytest.mark.parametrize("color_map", BOTH_ENDS_DARK)
def test_lightness_rises_to_one_crest_and_falls(color_map: str) -> None:
    lightness = cielab(color_map)[:, 0]
    crest = int(lightness.argmax())
    assert 100 < crest < 155
    # Eight bits, and the knee of a hue, may take back a little.
    assert np.diff(lightness[: crest + 1]).min() > -0.5
    assert np.diff(lightness[crest:]).max() < 0.5


def test_default_map_has_no_corner() -> None:
    """No corner at an anchor: the direction of the curve turns little from entry to entry."""
    lab = oklab("spectral")
    directions = lab[8:] - lab[:-8]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turns = np.degrees(np.arccos((directions[1:] * directions[:-1]).sum(axis=1)))
    assert turns.max() < 10.0


def test_default_map_is_far_from_black() -> None:
    from_black = {name: np.linalg.norm(cielab(name), axis=1).min() for name in COLOR_MAPS}
    assert from_black["spectral"] > 60.0
    assert from_black["turbo"] < 35.0
    assert from_black["inferno"] < 5.0


def test_table_has_256_colours_far_first() -> None:
    table = color_table("spectral")
    assert table.shape == (256, 1, 3)
    assert table.dtype == np.uint8
    assert len(np.unique(table.reshape(256, 3), axis=0)) == 256
    far, near = table[[0, 255], 0].astype(int)
    assert far[2] > far[0] + 50  # violet
    assert near[0] > near[2] + 50  # crimson


def test_unknown_map_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"'jet'.*spectral, turbo, viridis"):
        color_table("jet")
