"""run_batch: several images in one run of the network, each with the depth that it has alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from estimator_cases import H, W, red, red_pipeline
from tiny_models import float_nchw, red_depth, tiny_card

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.geometry.camera_model import CameraModel

CAMERA = CameraModel.from_hfov(W, H, 60.0)
Images = list[tuple[np.ndarray, CameraModel | None]]


class TurnTaking:
    """The tiny red network with results in two buffers in turn, as an engine on a GPU has them.

    Attributes:
        shapes: of the batches that it was given.
        buffers: what it writes to.
    """

    def __init__(self, folder: Path, max_batch: int | None = None) -> None:
        self._engine = open_engine(red_depth(folder / "red.onnx"))
        self.card, self.description = self._engine.card, "red in turn"
        self.max_batch = max_batch
        self.shapes: list[tuple[int, ...]] = []
        self.buffers = [np.zeros(1 << 20, np.float32) for _ in range(2)]

    def infer(self, batch: np.ndarray) -> np.ndarray:
        depth = self._engine.infer(batch)
        result = self.buffers[len(self.shapes) % 2][: depth.size].reshape(depth.shape)
        self.shapes.append(batch.shape)
        result[...] = depth
        return result

    def close(self) -> None:
        self._engine.close()


def pictures(count: int, size: tuple[int, int] = (H, W)) -> Images:
    rng = np.random.default_rng(count)
    return [(red(rng.integers(0, 256, size)), CAMERA.scaled(*size[::-1])) for _ in range(count)]


def alone(pipeline: DepthEstimator, images: Images) -> list[np.ndarray]:
    return [pipeline.run(rgb, camera).depth for rgb, camera in images]


@pytest.mark.parametrize(
    ("max_batch", "runs"), [(None, [5]), (1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (9, [5])]
)
def test_an_engine_gets_as_many_at_once_as_it_takes(
    tmp_path: Path, max_batch: int | None, runs: list[int]
) -> None:
    engine = TurnTaking(tmp_path, max_batch)
    images = pictures(5)
    frames = DepthEstimator(engine).run_batch(images)
    assert [shape[0] for shape in engine.shapes] == runs
    for frame, expected in zip(frames, alone(red_pipeline(tmp_path), images), strict=True):
        np.testing.assert_allclose(frame.depth, expected, rtol=1e-6)


def test_sizes_of_the_network_are_not_mixed_and_the_order_is_kept(tmp_path: Path) -> None:
    engine = TurnTaking(tmp_path)
    wide, upright, twice = pictures(2), pictures(1, (W, H)), pictures(2, (2 * H, 2 * W))
    images = [wide[0], upright[0], twice[0], wide[1], twice[1]]
    frames = DepthEstimator(engine).run_batch(images)
    assert engine.shapes == [(4, 48, 64, 3), (1, 64, 48, 3)]
    for frame, (rgb, camera), expected in zip(
        frames, images, alone(red_pipeline(tmp_path), images), strict=True
    ):
        assert frame.depth.shape == rgb.shape[:2]
        assert frame.camera.fx == camera.fx
        np.testing.assert_allclose(frame.depth, expected, rtol=1e-6)


def test_each_image_has_the_scale_and_limits_of_its_own_camera(tmp_path: Path) -> None:
    card = tiny_card(canonical_focal_px=50.0)
    near_lens = CameraModel.from_intrinsics(100.0, 100.0, 63.5, 47.5, W, H)  # 50 px in the network
    far_lens = CameraModel.from_intrinsics(200.0, 200.0, 63.5, 47.5, W, H)
    image = red(np.zeros((H, W)))  # 1 in the network's own unit
    pipeline = red_pipeline(tmp_path, card)
    frames = pipeline.run_batch([(image, near_lens), (image, far_lens)])
    assert [frame.far for frame in frames] == [10.0, 20.0]
    for frame, metres in zip(frames, (1.0, 2.0), strict=True):
        np.testing.assert_allclose(frame.depth, metres, rtol=1e-6)

    pipeline.settings = EstimatorSettings(min_depth=15.0)
    with pytest.raises(ParameterError, match=r"found 15 m to 10 m"):
        pipeline.run_batch([(image, far_lens), (image, near_lens)])


@pytest.mark.parametrize("output_size", ["image", "network"])
@pytest.mark.parametrize("size", [(48, 64), (H, W)])
def test_results_stay_when_the_engine_writes_over_its_own(
    tmp_path: Path, size: tuple[int, int], output_size: str
) -> None:
    engine = TurnTaking(tmp_path, max_batch=1)
    pipeline = DepthEstimator(engine, EstimatorSettings(output_size=output_size))  # type: ignore
    images = pictures(4, size)
    frames = pipeline.run_batch(images)
    for frame in frames:
        assert not any(np.shares_memory(frame.depth, buffer) for buffer in engine.buffers)
    once_more = alone(pipeline, images)
    for frame, expected in zip(frames, once_more, strict=True):
        np.testing.assert_array_equal(frame.depth, expected)


def test_time_in_the_engine_is_shared_among_the_images(tmp_path: Path) -> None:
    frames = red_pipeline(tmp_path).run_batch(pictures(3))
    assert len({frame.engine_ms for frame in frames}) == 1
    assert frames[0].engine_ms > 0.0


def test_floats_in_another_layout_go_together_too(tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "other.onnx")
    (tmp_path / "other.card.yaml").write_text(
        "card_version: 1\nname: other\nlicence: MIT\n"
        "input: {height: 48, width: 64, color_order: rgb, dtype: float32, layout: NCHW,\n"
        "        mean: [0, 0, 0], std: [1, 1, 1]}\n"
        "output: {kind: metric_depth, unit: m, min_depth: 0.1, max_depth: 20.0}\n"
    )
    values = [(red(np.full((H, W), value)), None) for value in (51, 204)]
    low, high = DepthEstimator(open_engine(path)).run_batch(values)
    np.testing.assert_allclose(low.depth, 5.2, rtol=1e-6)
    np.testing.assert_allclose(high.depth, 5.8, rtol=1e-6)


def test_no_images_are_no_work(tmp_path: Path) -> None:
    assert red_pipeline(tmp_path).run_batch([]) == []
