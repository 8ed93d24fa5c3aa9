"""Each factor of the scenes can be left out, and nothing else of the same seed changes."""

import math

import pytest
import torch

from training.scenes import materials, write
from training.scenes.builder import Place, SceneBuilder
from training.scenes.cameras import Cameras, look, sample_cameras
from training.scenes.dice import SeededRandom
from training.scenes.factors import FACTORS
from training.scenes.render import render
from training.scenes.scenes import DEFAULT_MIXTURE, assemble, sample_scenes

SIZE = {"height": 36, "width": 48}
SEEDS = range(40, 52)
# How many of the images must look otherwise: mirrors are rare, and a sharp lens blurs small
# images by less than a step of brightness.
OF_THE_PICTURE = {"textures": 11, "lighting": 11, "exposure": 11, "noise": 11, "blur": 4}
OF_THE_PICTURE |= {"mirrors": 1}
OF_THE_SCENE = ("shapes", "clutter", "tilt", "roll", "heights", "close", "lenses")


pytestmark = pytest.mark.usefixtures("one_thread")


def frames(*without):
    return [write.make_frame(seed, **SIZE, without=without) for seed in SEEDS]


@pytest.fixture(scope="module")
def everything():
    return frames()


def test_every_factor_is_tested_here():
    assert {*OF_THE_PICTURE, *OF_THE_SCENE, "jpeg"} == set(FACTORS)


@pytest.mark.parametrize("factor", OF_THE_PICTURE)
def test_without_a_factor_of_the_picture_depth_is_the_same(factor, everything):
    changed = 0
    for (rgb, depth, intrinsics), (seen, same, own) in zip(everything, frames(factor), strict=True):
        assert (depth == same).all()
        assert intrinsics == own
        changed += (rgb != seen).any()
    assert changed >= OF_THE_PICTURE[factor]


@pytest.mark.parametrize("factor", OF_THE_SCENE)
def test_without_a_factor_of_the_scene_other_things_are_seen(factor, everything):
    pairs = zip(everything, frames(factor), strict=True)
    assert sum((depth != other).any() for (_, depth, _), (_, other, _) in pairs) >= 3


def test_cameras_without_their_factors_stand_level_at_one_height_with_one_lens():
    without = ("tilt", "roll", "heights", "close", "lenses")
    scenes = sample_scenes(SEEDS, ["room"], without=without)
    cameras = sample_cameras(scenes, SEEDS, **SIZE, without=without)
    torch.testing.assert_close(cameras.position[:, 2], torch.full((len(SEEDS),), 1.4))
    torch.testing.assert_close(cameras.rotation[:, 2, 1], torch.full((len(SEEDS),), -1.0))
    expected = 24 / math.tan(math.radians(30))
    torch.testing.assert_close(cameras.intrinsics[:, 0], torch.full((len(SEEDS),), expected))


def test_without_round_shapes_their_boxes_stand_in_their_place():
    whole, boxes = (sample_scenes([7], ["tabletop"], without=w) for w in ((), ("shapes",)))
    shell, box, cylinder, ball = whole.counts[0].tolist()
    assert cylinder + ball > 0
    assert boxes.counts[0].tolist() == [shell, box + cylinder + ball, 0, 0]


def test_without_a_kind_no_scene_is_of_it_and_without_all_there_is_none():
    kinds = sample_scenes(range(30), without=("kind:kitchen", "kind:outdoor")).kinds
    assert set(kinds) <= set(DEFAULT_MIXTURE) - {"kitchen", "outdoor"}
    with pytest.raises(ValueError, match="no kind of scene is left of hall"):
        sample_scenes([1], ["hall"], without=("kind:hall",))
    with pytest.raises(ValueError, match="unknown factor 'gravity', known are shapes, clutter"):
        sample_scenes([1], without=("gravity",))


def test_a_third_of_the_pictures_is_compressed_harder():
    qualities = [write.jpeg_quality(seed) for seed in range(400)]
    harder = [q for q in qualities if q != write.JPEG_QUALITY]
    assert 0.28 < len(harder) / 400 < 0.42
    assert 35 <= min(harder) < 40
    assert 85 < max(harder) <= 90
    assert {write.jpeg_quality(seed, ["jpeg"]) for seed in range(50)} == {write.JPEG_QUALITY}


def test_a_mirror_shows_what_is_before_it_and_is_as_far_as_its_glass():
    """A camera looks along +x at a mirror 2 m away; a red wall stands 1 m behind the camera."""
    builder = SceneBuilder("room", SeededRandom(0, "scene"))
    builder.lighting = {"is_lamp": (1.0,), "position": (1.0, 0.0, 1.0), "color": (1.0,) * 3}
    builder.lighting |= {"ambient_up": (1.0,) * 3, "ambient_down": (1.0,) * 3, "reach": (0.5,)}
    dice = SeededRandom(1, "scene")
    glass = materials.row(dice, "paint", (0.0,) * 3, contrast=0.0, mirror=1.0)
    red = materials.row(dice, "paint", (1.0, 0.0, 0.0), contrast=0.0)
    builder.box(Place(), (2.05, 0, 1), (0.1, 1.0, 8), builder.material(glass))
    builder.box(Place(), (-1.05, 0, 1), (0.1, 8, 8), builder.material(red))
    intrinsics = torch.tensor([[40.0, 40.0, 23.5, 17.5]])
    position, rotation = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([look(0.0, 0.0, 0.0)])
    camera = Cameras(position, rotation, intrinsics, torch.zeros(1, dtype=torch.float64))
    image = render(assemble([builder]), camera, **SIZE)
    rows, columns = slice(10, 26), slice(16, 32)  # well inside the glass, which spans 14 to 34
    assert image.depth[0, rows, columns].numpy() == pytest.approx(2.0, abs=1e-4)
    r, g, b = image.rgb[0, :, rows, columns].mean(dim=(1, 2)).tolist()
    assert r > 0.3
    assert max(g, b) < 0.02
