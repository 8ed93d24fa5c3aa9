"""Whatever a view does to the pixels, the points that they show stay a rigid body."""

from dataclasses import replace

import numpy as np
import pytest

from training.data.augment import NO_AUGMENTATION, Augmentation, random_affine, warp
from training.data.examples import Examples
from training.data.sample import Sample

HEIGHT, WIDTH = 120, 160
VIEW = (96, 128)
CAMERA = (140.0, 140.0, 77.0, 62.0)
PIXELS = np.random.default_rng(7).uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (40, 2))

MOVES = {
    "flip": Augmentation(zoom=1.0, shift=0.0, roll_deg=0.0, stretch=0.0, flip=1.0, color=0.0),
    "crop": Augmentation(zoom=1.0, shift=1.0, roll_deg=0.0, stretch=0.0, flip=0.0, color=0.0),
    "zoom": Augmentation(zoom=2.0, shift=1.0, roll_deg=0.0, stretch=0.0, flip=0.0, color=0.0),
    "roll": Augmentation(zoom=1.0, shift=0.0, roll_deg=20.0, stretch=0.0, flip=0.0, color=0.0),
    "all": Augmentation(zoom=2.0, shift=1.0, roll_deg=20.0, stretch=0.0, flip=0.5, color=0.0),
}


def numbered(camera=CAMERA):
    """An image whose "depth" is the number of its pixel."""
    numbers = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    return Sample(np.zeros((HEIGHT, WIDTH, 3), np.uint8), numbers, camera)


def distances(pixels, depth, camera):
    """Between the points (n, 3) that pixels (n, 2) show at depths (n,), as (n, n)."""
    fx, fy, cx, cy = camera
    x, y = (pixels[:, 0] - cx) / fx * depth, (pixels[:, 1] - cy) / fy * depth
    points = np.column_stack([x, y, depth])
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def moved(affine, pixels):
    return pixels @ affine[:, :2].T + affine[:, 2]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("move", MOVES)
def test_points_keep_their_distances(move, seed):
    sample, how = numbered(), MOVES[move]
    affine = random_affine(sample, *VIEW, how, np.random.default_rng(seed))
    view = warp(sample, affine, *VIEW)
    depth = np.random.default_rng(seed).uniform(1.0, 9.0, len(PIXELS))
    before = distances(PIXELS, depth, CAMERA)
    after = distances(moved(affine, PIXELS), depth, view.intrinsics)
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)


def test_a_shear_moves_each_row_against_the_one_below_by_at_most_its_bound():
    how = replace(NO_AUGMENTATION, shear=0.05)
    sample, moves = numbered(), []
    for seed in range(40):
        affine = random_affine(sample, HEIGHT, WIDTH, how, np.random.default_rng(seed))
        np.testing.assert_allclose(affine[:, 0], (1.0, 0.0), atol=1e-12)
        assert affine[1, 1] == pytest.approx(1.0)
        moves.append(affine[0, 1])
        middle = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
        np.testing.assert_allclose(moved(affine, np.array([middle])), [middle], atol=1e-9)
    assert -0.05 <= min(moves) < -0.03
    assert 0.03 < max(moves) <= 0.05


@pytest.mark.parametrize("seed", range(4))
def test_a_stretch_is_undone_by_its_intrinsics(seed):
    how = Augmentation(zoom=1.5, shift=1.0, roll_deg=0.0, stretch=0.3, flip=0.5, color=0.0)
    sample = numbered((140.0, 150.0, 77.0, 62.0))
    affine = random_affine(sample, *VIEW, how, np.random.default_rng(seed))
    view = warp(sample, affine, *VIEW)
    assert view.intrinsics[0] / view.intrinsics[1] != pytest.approx(140.0 / 150.0, rel=0.01)
    depth = np.linspace(1.0, 9.0, len(PIXELS))
    before = distances(PIXELS, depth, sample.intrinsics)
    after = distances(moved(affine, PIXELS), depth, view.intrinsics)
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("move", MOVES)
def test_the_picture_goes_where_the_map_says(move, seed):
    sample = numbered()
    affine = random_affine(sample, *VIEW, MOVES[move], np.random.default_rng(seed))
    view = warp(sample, affine, *VIEW)
    v, u = np.nonzero(np.isfinite(view.depth))
    assert len(u) > 0.8 * view.depth.size
    row, column = np.unravel_index(view.depth[v, u].astype(int), (HEIGHT, WIDTH))
    back = np.linalg.solve(affine[:, :2], (np.column_stack([u, v]) - affine[:, 2]).T).T
    # Half a source pixel, and OpenCV's 1/32 of a pixel.
    assert np.abs(back - np.column_stack([column, row])).max() < 0.5 + 1 / 16


@pytest.mark.parametrize(("height", "width"), [(30, 40), (60, 80), (240, 320)])
def test_canonical_depth_scales_the_scene_by_the_focal_length(height, width):
    """An image scaled by s has a focal length of s f: canonical depth is 1 / s of before.

    Seen by a camera of the canonical focal length, each pixel then shows its point as far aside
    as in the scene and f_c / (s f) times as far away (Metric3D's de-canonical transform).
    """
    depth = np.random.default_rng(0).uniform(1, 9, (HEIGHT, WIDTH)).astype(np.float32)
    sample = Sample(np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth, CAMERA)
    still = Augmentation(zoom=1.0, shift=0.0, roll_deg=0.0, stretch=0.0, flip=0.0, color=0.0)
    plain = Examples([sample], height, width, still, None)[0]["depth"].numpy()
    canonical = Examples([sample], height, width, still, 100.0)[0]["depth"].numpy()
    focal = CAMERA[0] * width / WIDTH
    np.testing.assert_allclose(canonical, plain * 100.0 / focal, rtol=1e-6)
    u = np.arange(width) - width / 2
    np.testing.assert_allclose(u / 100.0 * canonical, u / focal * plain, rtol=1e-4, atol=1e-5)


def test_every_point_of_sparse_depth_is_kept_when_an_image_shrinks():
    depth = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    depth[2:110:9, 4:150:9], depth[50, 50:54] = 8.0, (5.0, 4.0, 6.0, 7.0)
    sample = replace(numbered(), depth=depth)
    half = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    view = warp(sample, half, HEIGHT // 2, WIDTH // 2)
    measured = np.isfinite(view.depth)
    assert measured.sum() == np.isfinite(depth).sum() - 2
    assert view.depth[25, 25:27].tolist() == [5.0, 4.0]


def test_a_zoom_below_one_ends_in_a_border_without_depth():
    how = replace(NO_AUGMENTATION, zoom=0.5, min_zoom=0.5)
    sample = numbered()
    affine = random_affine(sample, *VIEW, how, np.random.default_rng(0))
    view = warp(sample, affine, *VIEW)
    assert np.isfinite(view.depth).mean() == pytest.approx(0.25, abs=0.02)
    assert view.intrinsics[0] == pytest.approx(0.4 * CAMERA[0])
