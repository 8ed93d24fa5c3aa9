"""Flicker after true motion and filters over time, on sequences whose flicker is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from estimator_cases import constant_pipeline

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.research.cloud_quality.views import trace_faces
from training.research.stability.measure import Run, add_lag, add_step
from training.research.stability.motion import (
    Moment,
    changes,
    common_points,
    estimate_motion,
    flicker,
    project,
)
from training.research.stability.sequences import APPEARS_AT, rendered_moments, with_obstacle
from training.research.stability.smoothing import CANDIDATES, shared_factor, where_nothing_moves
from training.scenes.cameras import sample_cameras
from training.scenes.scenes import sample_scenes

HEIGHT, WIDTH = 96, 128
CAMERA = CameraModel.from_intrinsics(100.0, 100.0, 63.5, 47.5, WIDTH, HEIGHT)
GREY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
FORWARD = 0.2  # metres from a frame to the next
STILL = np.eye(4)


def motion(forward: float = 0.0, turn_deg: float = 0.0) -> np.ndarray:
    """From the second frame to the first: the camera has moved along z and turned about y."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    result = np.eye(4)
    result[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    result[2, 3] = forward
    return result


def wall(to_first: np.ndarray) -> np.ndarray:
    """Depth of the slanted plane n . X = 3 (in the first frame), from a moved camera."""
    normal = np.array([0.3, 0.2, 1.0])
    rays = np.dstack([CAMERA.rays(), np.ones((HEIGHT, WIDTH))]) @ to_first[:3, :3].T
    return ((3.0 - normal @ to_first[:3, 3]) / (rays @ normal)).astype(np.float32)


def moment(depth: np.ndarray, to_previous: np.ndarray | None = None) -> Moment:
    return Moment(GREY, depth, CAMERA, to_previous, stamp_ns=0)


@pytest.mark.parametrize("move", [motion(FORWARD), motion(0.0, 8.0), motion(FORWARD, -5.0)])
def test_exact_depth_does_not_flicker_however_the_camera_moves(move: np.ndarray) -> None:
    before, now = wall(STILL), wall(move)
    common = common_points(moment(before), moment(now, move), step=1)
    assert len(common.pixels) > 0.6 * HEIGHT * WIDTH
    seen = flicker(changes(before, now, common))
    assert seen is not None
    assert seen.total < 1e-5  # float32 depth
    # Without the motion, the same two would differ by several percent.
    assert np.abs(np.log(now / before)).mean() > 0.01


def test_a_factor_on_a_frame_is_flicker_of_just_that_factor() -> None:
    move = motion(FORWARD, 3.0)
    before, now = 2.0 * wall(STILL), 2.0 * 1.07 * wall(move)
    common = common_points(moment(wall(STILL)), moment(wall(move), move), step=2)
    seen = flicker(changes(before, now, common))
    assert seen is not None
    assert seen.total == pytest.approx(np.log(1.07), abs=1e-5)
    assert seen.common == pytest.approx(np.log(1.07), abs=1e-5)
    assert seen.rest < 1e-5


def test_a_change_of_a_quarter_of_the_points_is_no_common_change() -> None:
    before, now = wall(STILL), wall(STILL)
    now[: HEIGHT // 4] *= 1.2
    common = common_points(moment(wall(STILL)), moment(wall(STILL), STILL), step=1)
    seen = flicker(changes(before, now, common))
    assert seen is not None
    assert seen.common < 1e-6
    changed = np.mean(common.pixels // WIDTH < HEIGHT // 4)
    assert 0.2 < changed < 0.3
    assert seen.total == pytest.approx(changed * np.log(1.2), rel=1e-4)
    assert seen.rest == pytest.approx(seen.total, abs=1e-6)


def test_what_one_frame_does_not_see_is_left_out() -> None:
    before, now = wall(STILL), wall(STILL)
    now[:, :40] = 0.8  # something has moved in
    now[:, 90:] = np.nan
    common = common_points(moment(before), moment(now, STILL), step=1)
    columns = common.pixels % WIDTH
    assert columns.min() == 40
    assert columns.max() == 89


def test_too_few_points_are_no_flicker() -> None:
    assert flicker(np.zeros(99)) is None
    assert flicker(np.zeros(100)) is not None


def test_points_fall_on_the_pixels_whose_rays_they_lie_on() -> None:
    lens = np.array([0.26, -0.95, -0.005, 0.003, 1.16])
    K = np.array([[517.3, 0, 318.6], [0, 516.5, 255.3], [0, 0, 1]])
    camera = CameraModel(640, 480, K, lens, "plumb_bob", P=np.hstack([K, np.zeros((3, 1))]))
    rays = camera.rays()[100:400:50, 100:600:50].reshape(-1, 2)
    points = 2.5 * np.column_stack([rays, np.ones(len(rays))]).astype(np.float64)
    y, x = np.mgrid[100:400:50, 100:600:50].reshape(2, -1)
    assert np.abs(project(points, camera) - np.column_stack([x, y])).max() < 0.01


def test_the_motion_of_a_textured_wall_is_found_from_its_corners() -> None:
    rng = np.random.default_rng(5)
    texture = np.kron(rng.integers(0, 255, (60, 60)), np.ones((16, 16))).astype(np.uint8)
    camera = CameraModel.from_intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
    move = motion(0.05, 2.0)

    def look(to_first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image and depth of the wall z = 2 of the first frame."""
        rays = np.dstack([camera.rays(), np.ones((240, 320))]) @ to_first[:3, :3].T
        depth = (2.0 - to_first[2, 3]) / rays[..., 2]
        u, v = ((240 * (rays[..., k] * depth + to_first[k, 3])).astype(int) + 480 for k in (0, 1))
        return np.repeat(texture[v, u][..., None], 3, axis=2), depth.astype(np.float32)

    (before, _), (now, depth) = look(STILL), look(move)
    found = estimate_motion(before, now, depth, camera)
    assert found is not None
    turn = np.degrees(np.arccos((np.trace(found[:3, :3] @ move[:3, :3].T) - 1) / 2))
    assert turn < 0.1
    assert np.abs(found[:3, 3] - move[:3, 3]).max() < 0.01
    assert estimate_motion(GREY, GREY, np.ones((HEIGHT, WIDTH), np.float32), CAMERA) is None


def logs(value: float) -> np.ndarray:
    return np.full((6, 8), value, np.float32)


IMAGE = np.full((6, 8, 3), 90, np.uint8)


def test_the_shared_factor_answers_a_step_exponentially() -> None:
    smooth = shared_factor(0.5)
    answers = [smooth(logs(v), IMAGE)[0, 0] for v in (0.0, 0.1, 0.1, 0.1)]
    assert answers == pytest.approx([0.0, 0.05, 0.075, 0.0875], abs=1e-6)


def test_the_shared_factor_lets_a_change_of_scene_through_at_once() -> None:
    smooth = shared_factor(0.25)
    assert [smooth(logs(v), IMAGE)[0, 0] for v in (0.0, 0.5, 0.5)] == [0.0, 0.5, 0.5]
    # Half the image is not the median: an obstacle that covers less moves nothing.
    near = logs(0.5)
    near[:2] = -1.0
    assert (smooth(near, IMAGE) == near).all()


def published_depths(folder: Path, candidate: str) -> list[float]:
    """What is published of 2 m, 2.1 m (half a second later) and 2.1 m (a second later)."""
    finish = CANDIDATES[candidate]()
    depths = []
    for metres, stamp_ns in ((2.0, 0), (2.1, 500_000_000), (2.1, 1_500_000_000)):
        pipeline = constant_pipeline(folder, metres)
        (answer,) = pipeline.infer([pipeline.prepare(GREY, CAMERA)])
        depths.append(float(finish(pipeline, answer, stamp_ns)[5, 5]))
    return depths


@pytest.mark.parametrize(
    ("candidate", "second", "third"),
    [
        ("none", 2.1, 2.1),
        ("pixels 0.5", 2.0**0.5 * 2.1**0.5, 2.1),  # the node's filter has no past then
        ("pixels 0.25", 2.0**0.75 * 2.1**0.25, 2.1),
        ("factor 0.5", 2.0**0.5 * 2.1**0.5, 2.0**0.25 * 2.1**0.75),
        ("factor 0.5, pixels 0.5", 2.0**0.75 * 2.1**0.25, 2.0**0.25 * 2.1**0.75),
    ],
)
def test_candidates_of_pixels_are_the_nodes_own_filter(
    tmp_path: Path, candidate: str, second: float, third: float
) -> None:
    expected = [2.0, second, third]
    assert published_depths(tmp_path, candidate) == pytest.approx(expected, rel=1e-5)


def test_pixels_whose_image_changes_are_not_smoothed() -> None:
    smooth = where_nothing_moves(0.25, 0.1)
    smooth(logs(0.0), IMAGE)
    changed = IMAGE.copy()
    changed[:, :] = 120
    assert smooth(logs(0.08), changed)[0, 0] == pytest.approx(0.08)
    assert smooth(logs(0.0), changed)[0, 0] == pytest.approx(0.06)


def test_the_share_of_a_step_that_is_held_back_is_told() -> None:
    far, near = np.full((4, 4), 3.0, np.float32), np.full((4, 4), 1.0, np.float32)
    bare = [far] * APPEARS_AT + [near] * 2
    halfway = np.full((4, 4), np.sqrt(3.0), np.float32)
    late = [far] * APPEARS_AT + [halfway, near]
    runs = {"none": Run(), "late": Run()}
    add_step(runs, {"none": bare, "late": late})
    assert runs["none"].left == [0.0, 0.0]
    assert runs["late"].left == pytest.approx([0.5, 0.0], abs=1e-6)


def test_a_filter_that_is_two_frames_late_has_a_lag_of_two() -> None:
    wall = [np.full((4, 4), 5.0 * 0.9**k, np.float32) for k in range(10)]
    late = [wall[max(0, k - 2)] for k in range(10)]
    runs = {"none": Run(), "late": Run()}
    add_lag(runs, {"none": wall, "late": late}, wall)
    assert runs["none"].lag == 0.0
    assert runs["late"].lag == pytest.approx(2.0, abs=1e-4)
    # A camera that comes no nearer to anything has no lag to tell.
    standing = {"none": Run()}
    add_lag(standing, {"none": wall[:1] * 10}, wall[:1] * 10)
    assert standing["none"].lag is None
    # An exponential filter of weight w is (1 - w) / w frames behind.
    smooth = shared_factor(0.25)
    logs_of = [np.exp(smooth(np.log(depth), IMAGE)) for depth in wall * 1]
    steady = np.log(logs_of[-1] / wall[-1])[0, 0] / -np.log(0.9)
    assert steady == pytest.approx(3.0 * (1 - 0.75**9), abs=1e-3)


def test_a_rendered_turn_shows_no_flicker_of_the_truth_itself() -> None:
    before, now = list(rendered_moments("turn", 900_003, 2))
    common = common_points(before, now, step=4)
    assert len(common.pixels) > 1000
    seen = flicker(changes(before.truth, now.truth, common))
    assert seen is not None
    assert seen.total < 1e-3  # round bodies and edges are not linear in inverse depth
    turn = np.degrees(np.arccos((np.trace(now.to_previous[:3, :3]) - 1) / 2))
    assert turn == pytest.approx(4.0, abs=1e-3)  # 60 degrees a second at 15 Hz


def test_an_obstacle_appears_one_metre_before_the_camera() -> None:
    scene = sample_scenes([900_004], ["room"])
    camera = sample_cameras(scene, [900_004], 240, 320)
    before, after = (
        trace_faces(some, camera, 240, 320)[0] for some in (scene, with_obstacle(scene, camera))
    )
    fx, fy, cx, cy = camera.intrinsics[0].tolist()
    middle = round(cy), round(cx)
    assert before[middle] > 1.3
    assert 0.7 < after[middle] < 0.9  # its front: half a side to half a diagonal before its middle
    # As large as a box of 0.3 m at 1 m, seen from any side.
    seen = np.sum(after < before) / (fx * fy)
    assert 0.3**2 < seen < 2 * 0.3**2


def test_the_command_writes_its_numbers_into_a_page(tmp_path: Path) -> None:
    from training.__main__ import main

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- stability: as above -->\nstale\n<!-- end stability -->\nafter\n")
    arguments = ["--scenes", "1", "--kinds", "turn", "--frames", "3", "--filters", "pixels 0.5"]
    assert main(["stability", *arguments, "--docs", str(page), "--step", "4"]) == 0
    text = page.read_text()
    assert text.startswith("before\n<!-- stability: as above -->\nModel: ")
    assert text.endswith("<!-- end stability -->\nafter\n")
    assert "stale" not in text
    assert "| none |" in text
    assert "| pixels 0.5 |" in text
    assert "1 sequences, 2 pairs of frames, between two 4.00 deg and 0 mm" in text


def test_a_room_without_a_way_ahead_asks_for_another_seed() -> None:
    with pytest.raises(ParameterError, match=r"seed 900002 .* no free way ahead.*--first-seed"):
        next(rendered_moments("approach", 900_002, 12))
