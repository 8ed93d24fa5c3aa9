"""Scenes, cameras and images follow from seeds and stay within their stated ranges."""

import numpy as np
import pytest
import torch

from training.scenes.cameras import clearance, sample_cameras, within
from training.scenes.dice import SeededRandom
from training.scenes.paths import MARGIN, camera_path
from training.scenes.render import render
from training.scenes.scenes import KINDS, sample_scenes
from training.scenes.sensor import sensor
from training.scenes.textures import PATTERNS, Surface

HEIGHT, WIDTH = 36, 48


pytestmark = pytest.mark.usefixtures("one_thread")


def frames(seeds, kinds=None):
    scenes = sample_scenes(seeds, kinds)
    return render(scenes, sample_cameras(scenes, seeds, HEIGHT, WIDTH), HEIGHT, WIDTH)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_a_colour_picture_and_a_depth(kind):
    image = frames([5, 6], [kind])
    assert image.rgb.shape == (2, 3, HEIGHT, WIDTH)
    assert image.depth.shape == (2, HEIGHT, WIDTH)
    assert image.depth.dtype == torch.float32
    assert not image.rgb.isnan().any()
    assert image.rgb.min() >= 0
    assert image.rgb.max() <= 1
    assert 0.1 < image.rgb.mean() < 0.8
    assert image.depth.min() > 0.1
    solid = image.depth.isfinite()
    assert bool(solid.all()) == (kind != "outdoor")
    assert image.depth[solid].max() < 80


def test_the_same_seed_gives_the_same_pixels_and_another_seed_gives_others():
    first, again, other = frames([21]), frames([21]), frames([22])
    assert torch.equal(first.rgb, again.rgb)
    assert torch.equal(first.depth, again.depth)
    assert (first.rgb - other.rgb).abs().mean() > 0.02


def test_a_batch_equals_its_frames_one_by_one():
    seeds = [1, 2, 3]
    batch = frames(seeds)
    for n, seed in enumerate(seeds):
        single = frames([seed])
        torch.testing.assert_close(batch.depth[n], single.depth[0])
        torch.testing.assert_close(batch.rgb[n], single.rgb[0])


def test_scenes_rendered_as_one_group_equal_scenes_one_by_one():
    """What a GPU does: several scenes in one product, padded to the fullest."""
    seeds = [31, 32, 33]
    scenes = sample_scenes(seeds, ["room", "outdoor", "corridor"])
    cameras = sample_cameras(scenes, seeds, HEIGHT, WIDTH)
    together = render(scenes, cameras, HEIGHT, WIDTH, group=3)
    alone = render(scenes, cameras, HEIGHT, WIDTH, group=1)
    assert len(set(scenes.kinds)) > 1
    torch.testing.assert_close(together.depth, alone.depth)
    # A shadow ray that grazes an edge may fall on either side: a few pixels, by a few levels.
    assert (together.rgb - alone.rgb).abs().mean() < 1e-4


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="submarine"):
        sample_scenes([1], ["submarine"])


def test_the_default_mixture_holds_every_kind():
    assert set(sample_scenes(range(80)).kinds) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_stand_in_free_space_at_robot_or_hand_height(kind):
    seeds = list(range(100, 106))
    scenes = sample_scenes(seeds, [kind])
    cameras = sample_cameras(scenes, seeds, HEIGHT, WIDTH)
    for n in range(len(seeds)):
        here = cameras.position[n : n + 1]
        assert bool(within(scenes.volume[n], here).all())
        assert clearance(scenes[n : n + 1], here).item() > 0.1
    height = cameras.position[:, 2]
    assert height.min() >= 0.12
    assert height.max() <= (2.1 if kind == "tabletop" else 1.75)
    assert height.max() - height.min() > 0.3


def test_focal_lengths_span_45_to_95_degrees():
    seeds = list(range(40))
    cameras = sample_cameras(sample_scenes(seeds, ["corridor"]), seeds, HEIGHT, WIDTH)
    fx, fy, cx, cy = cameras.intrinsics.T
    hfov = 2 * torch.rad2deg(torch.atan(WIDTH / 2 / fx))
    assert 45 <= hfov.min() < 55
    assert 85 < hfov.max() <= 95
    assert (fy / fx - 1).abs().max() <= 0.0101
    assert (cx - (WIDTH - 1) / 2).abs().max() <= 0.031 * WIDTH
    assert (cy - (HEIGHT - 1) / 2).abs().max() <= 0.031 * HEIGHT


def test_rotations_are_rotations():
    seeds = [1, 2, 3]
    rotation = sample_cameras(sample_scenes(seeds), seeds, HEIGHT, WIDTH).rotation.double()
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand(3, 3, 3)
    )
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(3, dtype=torch.float64))


def test_indoor_depth_is_diverse():
    depth = frames(list(range(200, 212)), ["room", "tabletop"]).depth
    medians = depth.flatten(1).median(dim=1).values
    assert medians.min() < 1.0
    assert medians.max() > 3.0


def test_a_path_keeps_time_and_distance_and_moves_smoothly():
    scene = sample_scenes([11], ["room"])
    path = camera_path(scene, 3, 20, 8.0, height=HEIGHT, width=WIDTH, camera_height=0.6)
    np.testing.assert_allclose(path.stamps.numpy(), np.arange(20) / 8)
    assert clearance(scene, path.position).min() > MARGIN
    step = (path.position[1:] - path.position[:-1]).norm(dim=1)
    assert 0 < step.max() < 0.9 / 8
    turn = (path.rotation[1:, :, 2] * path.rotation[:-1, :, 2]).sum(1).clamp(max=1).acos()
    assert turn.max() < 0.1
    assert (path.position[:, 2] - 0.6).abs().max() < 0.01
    assert torch.equal(path.intrinsics[0], path.intrinsics[-1])


def test_a_path_follows_from_its_seed():
    scene = sample_scenes([11], ["room"])
    one, two, other = (
        camera_path(scene, seed, 5, 8.0, height=HEIGHT, width=WIDTH) for seed in (3, 3, 4)
    )
    assert torch.equal(one.position, two.position)
    assert not torch.equal(one.position, other.position)


def test_the_sensor_keeps_shape_and_range_and_follows_from_its_seed():
    image = torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    taken = sensor(image, [1, 2, 3])
    assert taken.shape == image.shape
    assert taken.min() >= 0
    assert taken.max() <= 1
    assert torch.equal(taken[1], sensor(image[1:2], [2])[0])
    assert not torch.equal(taken[1], sensor(image[1:2], [4])[0])


def test_sensor_exposure_varies_about_the_true_brightness():
    grey = torch.full((40, 3, 16, 16), 0.45)
    level = sensor(grey, range(40)).mean(dim=(1, 2, 3))
    assert 0.3 < level.median() < 0.6
    assert level.max() - level.min() > 0.15


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_finite_varies_near_by_and_fades_far_away(name):
    count = 4000
    u, v = torch.rand(2, count, generator=torch.Generator().manual_seed(2)) * 4 - 2

    def color(footprint):
        one = torch.ones(count)
        a, b, c = (torch.full((count, 3), x) for x in (0.8, 0.3, 0.1))
        seed = torch.full((count,), 77, dtype=torch.int32)
        return PATTERNS[name](
            Surface(u, v, footprint * one, a, b, c, 0.1 * one, 1.5 * one, 0.5 * one, seed)
        )

    near, far = color(1e-3), color(5.0)
    assert near.isfinite().all()
    assert near.min() >= 0
    assert near.std(dim=0).max() > 0.005
    if name != "picture":  # its fields are larger than what a pixel covers
        assert far.std(dim=0).max() <= near.std(dim=0).max()


def test_dice_draw_evenly_and_reproducibly():
    draws = [SeededRandom(5, "scene").uniform() for _ in range(2)]
    assert draws[0] == draws[1] != SeededRandom(5, "camera").uniform()
    dice = SeededRandom(6, "scene")
    rolls = [dice.integer(1, 6) for _ in range(1200)]
    assert set(rolls) == {1, 2, 3, 4, 5, 6}
    assert np.mean(rolls) == pytest.approx(3.5, abs=0.2)
