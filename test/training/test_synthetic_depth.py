"""Rendered depth against closed forms, in float64."""

import math

import numpy as np
import pytest
import torch

from training.scenes.builder import Place, SceneBuilder
from training.scenes.cameras import Cameras, look, pixel_rays
from training.scenes.dice import SeededRandom
from training.scenes.paths import camera_path
from training.scenes.render import render
from training.scenes.scenes import assemble, sample_scenes

HEIGHT, WIDTH = 48, 64
FOCAL = 40.0
LIGHT = {"position": (0.0, 0.0, 2.0), "is_lamp": (1.0,), "color": (1.0,) * 3, "reach": (0.5,)}


pytestmark = pytest.mark.usefixtures("one_thread")


def scene(*bodies, kind="room"):
    """A scene of bodies, each given as a function of (builder, material)."""
    builder = SceneBuilder(kind, SeededRandom(0, "scene"))
    builder.lighting = dict(LIGHT)
    material = builder.material([0.0, *(0.5,) * 9, 1.0, 1.0, 0.5, 3.0, 0.0, 0.0, 0.0])
    for body in bodies:
        body(builder, material)
    return assemble([builder])


def camera(position=(0.0, 0.0, 1.0), yaw=0.0, pitch=0.0, roll=0.0, focal=FOCAL):
    intrinsics = [focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2]
    return Cameras(
        torch.tensor([position]),
        torch.tensor([look(yaw, pitch, roll)]),
        torch.tensor([intrinsics]),
        torch.zeros(1, dtype=torch.float64),
    )


def depth_of(scenes, cameras):
    return render(scenes, cameras, HEIGHT, WIDTH).depth[0].numpy()


def world_rays(cameras):
    """Directions (H, W, 3) in the world that advance one metre along Z, float64."""
    rays = pixel_rays(cameras.intrinsics.double(), HEIGHT, WIDTH)[0]
    return (cameras.rotation[0].double() @ rays).T.reshape(HEIGHT, WIDTH, 3).numpy()


def smaller_root(a, b, c):
    """Smaller root of a t^2 + 2 b t + c, +inf where there is none."""
    with np.errstate(invalid="ignore"):
        root = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(np.isnan(root), np.inf, root)


def room(size):
    return lambda b, m: b.shell(size, [m] * 4, m, m)


def test_a_wall_seen_frontally_has_one_depth_over_a_wide_view():
    wide = camera(focal=12.0)  # 139 degrees across: the ray to a corner is 3.4 times the depth
    depth = depth_of(scene(lambda b, m: b.box(Place(), (4.5, 0, 1), (1, 99, 99), m)), wide)
    np.testing.assert_allclose(depth, 4.0, rtol=1e-6)


def test_the_floor_follows_height_times_focal_over_row():
    eye = camera(position=(0.0, 0.0, 0.8))
    depth = depth_of(scene(room((200.0, 200.0, 50.0))), eye)
    row = np.arange(HEIGHT)[26:] - (HEIGHT - 1) / 2
    expected = np.repeat((0.8 * FOCAL / row)[:, None], WIDTH, axis=1)
    np.testing.assert_allclose(depth[26:], expected, rtol=1e-5)


def test_a_room_seen_from_inside_is_its_nearest_wall_floor_or_ceiling():
    eye = camera(position=(0.5, -0.7, 1.1), yaw=0.7, pitch=-0.2, roll=0.3)
    depth = depth_of(scene(room((6.0, 4.0, 2.5))), eye)
    rays = world_rays(eye)
    low, high = np.array([-3.0, -2.0, 0.0]), np.array([3.0, 2.0, 2.5])
    at = np.array([0.5, -0.7, 1.1])
    expected = np.where(rays > 0, (high - at) / rays, (low - at) / rays).min(axis=-1)
    np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_a_sphere_is_the_smaller_root_of_its_quadric():
    eye = camera(pitch=0.1, roll=0.2)
    depth = depth_of(scene(lambda b, m: b.ball(Place(), (3.0, 0.2, 1.3), (1.6, 1.6, 1.6), m)), eye)
    rays, offset = world_rays(eye), np.array([0, 0, 1.0]) - np.array([3.0, 0.2, 1.3])
    expected = smaller_root((rays**2).sum(-1), rays @ offset, offset @ offset - 0.64)
    assert 100 < np.isfinite(expected).sum() < HEIGHT * WIDTH - 100
    agree = np.isfinite(depth) == np.isfinite(expected)
    assert agree.mean() > 0.999  # a grazing ray may fall on either side in float32
    both = np.isfinite(depth) & np.isfinite(expected)
    np.testing.assert_allclose(depth[both], expected[both], rtol=1e-4)


def test_a_turned_box_is_its_slabs():
    yaw = 0.5
    eye = camera(position=(0.0, 0.0, 1.4), pitch=-0.15)
    depth = depth_of(
        scene(lambda b, m: b.box(Place(2.5, 0.3, 0.0, yaw), (0, 0, 0.5), (1.0, 0.6, 1.0), m)), eye
    )
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    rays, at = world_rays(eye) @ turn.T, turn @ (np.array([0, 0, 1.4]) - np.array([2.5, 0.3, 0.5]))
    half = np.array([0.5, 0.3, 0.5])
    first, second = (-half - at) / rays, (half - at) / rays
    enter = np.minimum(first, second).max(-1)
    expected = np.where(enter < np.maximum(first, second).min(-1), enter, np.inf)
    assert 100 < np.isfinite(expected).sum() < HEIGHT * WIDTH - 100
    both = np.isfinite(depth) & np.isfinite(expected)
    assert (np.isfinite(depth) == np.isfinite(expected)).mean() > 0.999
    np.testing.assert_allclose(depth[both], expected[both], rtol=1e-4)


def test_an_upright_cylinder_has_a_round_side_and_a_flat_lid():
    eye = camera(position=(0.0, 0.0, 1.5), pitch=-0.4)
    depth = depth_of(scene(lambda b, m: b.cylinder(Place(), (2.0, 0, 0.5), 0.4, 1.0, m)), eye)
    rays, at = world_rays(eye), np.array([-2.0, 0, 1.5])
    side = smaller_root(
        (rays[..., :2] ** 2).sum(-1), rays[..., :2] @ at[:2], at[:2] @ at[:2] - 0.16
    )
    height = 1.5 + side * rays[..., 2]
    side[~((height >= 0) & (height <= 1))] = np.inf
    lid = np.where(rays[..., 2] < 0, -0.5 / rays[..., 2], np.inf)
    lid[np.hypot(at[0] + lid * rays[..., 0], lid * rays[..., 1]) > 0.4] = np.inf
    expected = np.minimum(side, lid)
    assert np.isfinite(lid).sum() > 20
    assert np.isfinite(side).sum() > 100
    both = np.isfinite(depth) & np.isfinite(expected)
    assert (np.isfinite(depth) == np.isfinite(expected)).mean() > 0.998
    np.testing.assert_allclose(depth[both], expected[both], rtol=1e-4)


def test_the_nearer_body_hides_the_farther():
    bodies = [lambda b, m, x=x: b.box(Place(), (x, 0, 1), (0.2, 0.4, 0.4), m) for x in (5.1, 2.1)]
    depth = depth_of(scene(room((20.0, 20.0, 3.0)), *bodies), camera())
    assert depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(2.0, rel=1e-5)


def test_where_nothing_is_hit_depth_is_infinite_and_only_there():
    eye = camera(position=(0.0, 0.0, 1.0))
    ground = scene(lambda b, m: b.cylinder(Place(), (0, 0, -0.5), 60.0, 1.0, m))
    depth = depth_of(ground, eye)
    horizon = (HEIGHT - 1) / 2 + FOCAL / 60.0
    below = np.arange(HEIGHT) > horizon + 1
    assert np.isposinf(depth[np.arange(HEIGHT) < horizon - 1]).all()
    assert np.isfinite(depth[below]).all()
    assert not np.isnan(depth).any()


def test_a_camera_behind_a_body_does_not_see_it():
    depth = depth_of(scene(lambda b, m: b.box(Place(), (-3, 0, 1), (1, 1, 1), m)), camera())
    assert np.isposinf(depth).all()


def test_points_of_one_frame_land_on_the_depth_of_another():
    """A static scene under known motion: no point of A lies behind the surface that B sees."""
    scenes = sample_scenes([11], ["room"])
    path = camera_path(scenes, 3, 9, 4.0, height=96, width=128)
    pair = path[0::3][:2]
    depth = render(scenes.repeat(2), pair, 96, 128).depth.double()
    rays = pixel_rays(pair.intrinsics, 96, 128).double()
    points = pair.rotation[0].double() @ (rays[0] * depth[0].reshape(1, -1))
    points += pair.position[0].double()[:, None]
    x, y, z = pair.rotation[1].double().T @ (points - pair.position[1].double()[:, None])
    fx, fy, cx, cy = pair.intrinsics[1].double()
    u, v = fx * x / z + cx, fy * y / z + cy
    inside = (z > 0.05) & (u >= 0) & (v >= 0) & (u < 127) & (v < 95)
    assert inside.double().mean() > 0.3
    u, v, z = u[inside], v[inside], z[inside]
    i, j = v.long(), u.long()
    around = torch.stack([depth[1, i + a, j + b] for a in (0, 1) for b in (0, 1)])
    low, high = around.amin(0), around.amax(0)
    hidden = z > high * 1.02
    seen = (z >= low * 0.99) & ~hidden
    assert hidden.double().mean() < 0.3
    assert seen.double().sum() / (~hidden).double().sum() > 0.99
