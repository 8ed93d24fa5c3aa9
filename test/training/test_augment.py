"""Whatever a view does to the pixels, the points that they show stay a rigid body."""

import numpy as np
import pytest

from training.data.augment import Augmentation, random_view
from training.data.examples import Examples
from training.data.sample import Sample

HEIGHT, WIDTH = 120, 160
CAMERA = (140.0, 140.0, 77.0, 62.0)


def points(pixels, depth, camera):
    """Pixels (n, 2) as u, v and depth (n,) become points (n, 3) in the optical frame."""
    fx, fy, cx, cy = camera
    x, y = (pixels[:, 0] - cx) / fx * depth, (pixels[:, 1] - cy) / fy * depth
    return np.column_stack([x, y, depth])


def distances(cloud):
    return np.linalg.norm(cloud[:, None] - cloud[None], axis=2)


def numbered_view(how, seed, height=96, width=128, camera=CAMERA):
    """A random view of a picture whose "depth" is the number of its pixel.

    Returns pixels (n, 2) of the view, the source pixels (n, 2) that they show, and the view.
    """
    numbers = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    sample = Sample(np.zeros((HEIGHT, WIDTH, 3), np.uint8), numbers, camera)
    view = random_view(sample, height, width, how, np.random.default_rng(seed))
    v, u = np.nonzero(np.isfinite(view.depth))
    some = np.random.default_rng(seed).choice(len(u), 60, replace=False)
    u, v = u[some], v[some]
    source = np.column_stack(np.unravel_index(view.depth[v, u].astype(int), numbers.shape)[::-1])
    return np.column_stack([u, v]).astype(float), source.astype(float), view


MOVES = {
    "flip": Augmentation(zoom=1.0, shift=0.0, roll_deg=0.0, stretch=0.0, flip=1.0, color=0.0),
    "crop": Augmentation(zoom=1.0, shift=1.0, roll_deg=0.0, stretch=0.0, flip=0.0, color=0.0),
    "zoom": Augmentation(zoom=2.0, shift=1.0, roll_deg=0.0, stretch=0.0, flip=0.0, color=0.0),
    "roll": Augmentation(zoom=1.0, shift=0.0, roll_deg=20.0, stretch=0.0, flip=0.0, color=0.0),
    "all": Augmentation(zoom=2.0, shift=1.0, roll_deg=20.0, stretch=0.0, flip=0.5, color=0.0),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("move", MOVES)
def test_points_keep_their_distances(move, seed):
    pixels, source, view = numbered_view(MOVES[move], seed)
    depth = np.random.default_rng(seed).uniform(1.0, 9.0, len(pixels))
    before = distances(points(source, depth, CAMERA))
    after = distances(points(pixels, depth, view.intrinsics))
    # A view takes the nearest source pixel: half a pixel across at the depth of the farther point.
    half_pixel = 2 * np.maximum(depth[:, None], depth[None]) * np.sqrt(0.5) / CAMERA[0]
    assert (np.abs(after - before) <= half_pixel).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_stretch_is_undone_by_its_intrinsics(seed):
    how = Augmentation(zoom=1.5, shift=1.0, roll_deg=0.0, stretch=0.3, flip=0.5, color=0.0)
    camera = (140.0, 150.0, 77.0, 62.0)
    pixels, source, view = numbered_view(how, seed, camera=camera)
    assert view.intrinsics[0] / view.intrinsics[1] != pytest.approx(140.0 / 150.0, rel=0.01)
    ones = np.ones(len(pixels))
    before = distances(points(source, ones, camera))
    after = distances(points(pixels, ones, view.intrinsics))
    assert np.abs(after - before).max() <= 2 * np.sqrt(0.5) / 140.0


@pytest.mark.parametrize(("height", "width"), [(30, 40), (60, 80), (240, 320)])
def test_canonical_depth_scales_the_scene_by_the_focal_length(height, width):
    """A picture scaled by s has a focal length of s f: canonical depth is 1 / s of before.

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
