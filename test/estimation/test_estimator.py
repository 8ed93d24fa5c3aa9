"""The mathematics of a frame: sizes, colours, metres, and the camera of it all."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from estimator_cases import H, W, constant_pipeline, depth_of, red, red_pipeline
from tiny_models import constant_depth, float_nchw, red_depth, tiny_card, with_size

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.estimation import (
    DepthEstimator,
    network_size,
    resize_image,
    to_input,
)
from depth_estimation_ros.geometry.camera_model import CameraModel

# --- sizes ---------------------------------------------------------------------------------------


def spec(height: int, width: int, multiple_of: int | None) -> InputSpec:
    return InputSpec(height, width, "rgb", "uint8", "NHWC", multiple_of)


@pytest.mark.parametrize("image", [(480, 640), (720, 1280), (10, 1000)])
def test_a_fixed_network_has_one_size(image: tuple[int, int]) -> None:
    assert network_size(*image, spec(240, 320, None)) == (240, 320)


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ((480, 640), (240, 320)),  # the nominal aspect: the nominal size
        ((240, 320), (240, 320)),
        ((60, 80), (240, 320)),  # a small image is enlarged
        ((640, 480), (320, 240)),  # upright
        ((720, 1280), (208, 368)),
        ((1080, 1920), (208, 368)),
        ((352, 1216), (144, 496)),  # KITTI
    ],
)
def test_a_free_network_keeps_the_aspect_and_the_area(
    image: tuple[int, int], size: tuple[int, int]
) -> None:
    assert network_size(*image, spec(240, 320, 16)) == size


@pytest.mark.parametrize("image", [(480, 640), (720, 1280), (376, 1241), (1216, 1936), (352, 1216)])
@pytest.mark.parametrize("step", [8, 14, 16, 32])
def test_free_sizes_are_multiples_near_the_nominal_area(image: tuple[int, int], step: int) -> None:
    nominal = spec(step * (240 // step), step * (320 // step), step)
    h, w = network_size(*image, nominal)
    assert h % step == 0
    assert w % step == 0
    assert 0.75 < h * w / (nominal.height * nominal.width) < 1.33
    assert abs(math.log(w / h / (image[1] / image[0]))) < 0.13


@pytest.mark.parametrize("image", [(1, 60_000), (60_000, 1), (1, 10_000_000), (2, 4096)])
def test_a_strip_does_not_make_the_network_thousands_of_times_larger(
    image: tuple[int, int],
) -> None:
    h, w = network_size(*image, spec(240, 320, 16))
    assert min(h, w) == 16
    assert h * w <= 4 * 240 * 320


def test_shrinking_averages_areas_and_growing_blends() -> None:
    checker = np.indices((8, 8)).sum(axis=0) % 2 * 200
    picture = np.repeat(checker[..., np.newaxis], 3, axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(resize_image(picture, 4, 4), 100)
    step = np.zeros((1, 2, 3), np.uint8)
    step[0, 1] = 100
    np.testing.assert_array_equal(resize_image(step, 1, 4)[0, :, 0], [0, 25, 75, 100])
    assert resize_image(picture, 8, 8) is picture


SHRUNK = [
    (480, 640, 192, 256),
    (720, 1280, 160, 288),
    (1080, 1920, 160, 288),
    (1081, 1920, 160, 288),
    (1082, 1920, 160, 288),
]


def waves(sizes: tuple[int, int, int, int], shortest: float, longest: float) -> np.ndarray:
    """Gray noise of an image, of waves so many pixels of the shrunk one long."""
    frequency = np.maximum(
        np.abs(np.fft.fftfreq(sizes[0]))[:, np.newaxis] * sizes[0] / sizes[2],
        np.abs(np.fft.fftfreq(sizes[1])) * sizes[1] / sizes[3],
    )
    spectrum = np.fft.fft2(np.random.default_rng(0).normal(0, 1, sizes[:2]))
    spectrum[(frequency < 1 / longest) | (frequency > 1 / shortest)] = 0
    noise = np.fft.ifft2(spectrum).real
    return np.clip(np.rint(128 + 40 * noise / noise.std()), 0, 255).astype(np.uint8)


def shrunk(gray: np.ndarray, sizes: tuple[int, int, int, int]) -> float:
    """How much of the contrast is left."""
    small = resize_image(np.dstack([gray] * 3), *sizes[2:])
    return float(small.std() / gray.std())


@pytest.mark.parametrize("sizes", SHRUNK)
def test_shrinking_takes_away_what_would_alias(sizes: tuple[int, int, int, int]) -> None:
    """Waves shorter than two pixels; sampling four neighbours leaves 55 to 65 % of them."""
    fine = waves(sizes, 0.01, 2.0)
    assert shrunk(fine, sizes) < (0.30 if sizes[0] == 480 else 0.15)
    sampled = cv2.resize(fine, sizes[:1:-1], interpolation=cv2.INTER_LINEAR)
    assert sampled.std() / fine.std() > 0.5


@pytest.mark.parametrize("sizes", SHRUNK)
def test_shrinking_keeps_what_the_result_can_show(sizes: tuple[int, int, int, int]) -> None:
    """Waves of four pixels and more; averaging areas at once keeps 91 % of the shorter."""
    assert shrunk(waves(sizes, 4.0, 8.0), sizes) > 0.9
    assert shrunk(waves(sizes, 8.0, 100.0), sizes) > 0.97


@pytest.mark.parametrize("sizes", [*SHRUNK, (2160, 3840, 160, 288)])
def test_shrinking_in_halves_moves_nothing_and_keeps_the_brightness(
    sizes: tuple[int, int, int, int],
) -> None:
    height, width = sizes[:2]
    spots = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    soft = cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC)
    at_once = cv2.resize(soft, sizes[:1:-1], interpolation=cv2.INTER_AREA)
    difference = resize_image(soft, *sizes[2:]).astype(int) - at_once
    assert np.abs(difference).max() <= 2
    # OpenCV rounds the mean of four up where it lies between: an eighth of a level each time.
    assert abs(difference.mean()) < 0.4


def test_shrinking_in_halves_takes_every_pixel_into_account() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[::4, ::4] = 160
    np.testing.assert_array_equal(resize_image(picture, 8, 8), 10)


# --- the network's input -------------------------------------------------------------------------


def test_bytes_in_rgb_go_in_as_they_are() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    batch = to_input(picture, spec(16, 24, 8))
    assert batch.dtype == np.uint8
    np.testing.assert_array_equal(batch, picture[np.newaxis])


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_floats_are_normalised_in_the_cards_order(order: str, layout: str) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    card = InputSpec(16, 24, order, "float32", layout, None, mean, std)  # type: ignore[arg-type]
    batch = to_input(picture, card)
    ordered = picture if order == "rgb" else picture[..., ::-1]
    expected = (ordered / 255.0 - np.array(mean)) / np.array(std)
    if layout == "NCHW":
        expected = expected.transpose(2, 0, 1)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    np.testing.assert_allclose(batch[0], expected, atol=2e-6)


def test_a_network_of_another_house_gives_metres(tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "other.onnx", channel=2)
    (tmp_path / "other.card.yaml").write_text(
        "card_version: 1\nname: other\nlicence: MIT\n"
        "input: {height: 48, width: 64, color_order: bgr, dtype: float32, layout: NCHW,\n"
        "        mean: [0.1, 0.2, 0.5], std: [1.0, 1.0, 0.25]}\n"
        "output: {kind: metric_depth, unit: m, min_depth: 0.1, max_depth: 20.0}\n"
    )
    frame = DepthEstimator(open_engine(path)).run(red(np.full((H, W), 204)), None)
    # The third BGR channel is red: 5 + (0.8 - 0.5) / 0.25.
    np.testing.assert_allclose(frame.depth, 6.2, rtol=1e-6)


# --- depth ---------------------------------------------------------------------------------------


def test_depth_has_the_images_size_and_every_pixel_its_place(tmp_path: Path) -> None:
    values = np.zeros((H, W), np.uint8)
    values[: H // 2, : W // 2] = 200
    frame = red_pipeline(tmp_path).run(red(values), None)
    assert (frame.depth.shape, frame.depth.dtype) == ((H, W), np.float32)
    assert frame.depth[5, 5] == pytest.approx(depth_of(200))
    assert frame.depth[5, W - 5] == frame.depth[H - 5, 5] == pytest.approx(1.0)
    assert frame.engine_ms > 0.0


def test_a_ramp_stays_a_ramp_through_both_resizes(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(W, dtype=np.uint8), (H, W))
    depth = red_pipeline(tmp_path).run(red(ramp), None).depth
    inner = slice(2, -2)  # bilinear resizing holds the border; bytes round by half a level
    expected = depth_of(1.0) + 8.0 / 255.0 * (np.arange(W) - 1.0)
    np.testing.assert_allclose(depth[H // 2, inner], expected[inner], atol=0.51 * 8 / 255)


def test_depth_at_the_networks_own_size(tmp_path: Path) -> None:
    camera = CameraModel.from_hfov(W, H, 60.0)
    pipeline = red_pipeline(tmp_path, output_size="network")
    frame = pipeline.run(red(np.full((H, W), 100)), camera)
    assert frame.depth.shape == (48, 64)
    assert frame.camera is not None
    assert (frame.camera.width, frame.camera.height) == (64, 48)
    assert frame.camera.fx == pytest.approx(camera.fx / 2)
    assert frame.camera.cx == pytest.approx((64 - 1) / 2)


def test_the_camera_of_an_image_sized_depth_is_the_images(tmp_path: Path) -> None:
    camera = CameraModel.from_intrinsics(100.0, 110.0, 60.0, 50.0, W, H)
    frame = red_pipeline(tmp_path).run(red(np.zeros((H, W))), camera)
    assert frame.camera is not None
    np.testing.assert_allclose(frame.camera.K, camera.K)


@pytest.mark.parametrize("output_size", ["image", "network"])
def test_the_size_of_the_depth_is_known_before_the_network_runs(
    tmp_path: Path, output_size: str
) -> None:
    pipeline = red_pipeline(tmp_path, output_size=output_size)
    for size in ((H, W), (97, 131), (300, 100)):
        assert pipeline.output_size(*size) == pipeline.run(red(np.zeros(size)), None).depth.shape


@pytest.mark.parametrize("camera", [None, CameraModel(W, H, np.zeros((3, 3)))])
def test_without_calibration_there_is_depth_but_no_camera(
    tmp_path: Path, camera: CameraModel | None
) -> None:
    frame = red_pipeline(tmp_path).run(red(np.full((H, W), 100)), camera)
    np.testing.assert_allclose(frame.depth, depth_of(100), rtol=1e-6)
    assert frame.camera is None


@pytest.mark.parametrize("size", [(97, 131), (48, 64), (20, 30), (300, 100)])
def test_any_image_size(tmp_path: Path, size: tuple[int, int]) -> None:
    frame = red_pipeline(tmp_path).run(red(np.full(size, 51)), None)
    assert frame.depth.shape == size
    np.testing.assert_allclose(frame.depth, depth_of(51), rtol=1e-6)


def test_the_image_is_not_changed(tmp_path: Path) -> None:
    picture = red(np.full((48, 64), 51))  # the network's size: no copy on the way
    before = picture.copy()
    red_pipeline(tmp_path).run(picture, None)
    np.testing.assert_array_equal(picture, before)


def test_the_depth_of_one_frame_is_not_changed_by_the_next(tmp_path: Path) -> None:
    pipeline = red_pipeline(tmp_path, output_size="network")
    first = pipeline.run(red(np.zeros((H, W))), None).depth
    pipeline.run(red(np.full((H, W), 200)), None)
    np.testing.assert_allclose(first, 1.0)


def test_inverse_depth_becomes_metres_and_zero_is_infinitely_far(tmp_path: Path) -> None:
    card = tiny_card(kind="inverse_depth", unit="1/m", max_depth=100.0)
    for output, metres in ((0.5, 2.0), (0.0, math.inf), (-1.0, math.inf), (20.0, -math.inf)):
        depth = constant_pipeline(tmp_path, output, card).run(red(np.zeros((H, W))), None).depth
        np.testing.assert_allclose(depth, metres)


@pytest.mark.parametrize(("kind", "unit"), [("relative_depth", ""), ("inverse_depth", "")])
def test_a_network_without_metric_scale_is_refused(tmp_path: Path, kind: str, unit: str) -> None:
    engine = open_engine(constant_depth(tmp_path / "a.onnx", card=tiny_card(kind=kind, unit=unit)))
    with pytest.raises(ModelError, match=f"model 'tiny' is not metric.* found output.kind {kind}"):
        DepthEstimator(engine)


# --- canonical focal length ----------------------------------------------------------------------


def test_depth_grows_with_the_focal_length(tmp_path: Path) -> None:
    # The network sees 64 columns of 128, so fx = 150 is 75 pixels there; 75 / 50 * 2 m = 3 m.
    card = tiny_card(canonical_focal_px=50.0)
    camera = CameraModel.from_intrinsics(150.0, 150.0, 63.5, 47.5, W, H)
    frame = constant_pipeline(tmp_path, 2.0, card).run(red(np.zeros((H, W))), camera)
    np.testing.assert_allclose(frame.depth, 3.0, rtol=1e-6)


def test_stretched_images_are_scaled_by_the_mean_factor(tmp_path: Path) -> None:
    # 128x72 goes in as 64x48: fx is 75 pixels there and fy 100; sqrt(75 * 100) / 50 * 2 m.
    card = tiny_card(canonical_focal_px=50.0, multiple_of=None)
    camera = CameraModel.from_intrinsics(150.0, 150.0, 63.5, 35.5, 128, 72)
    frame = constant_pipeline(tmp_path, 2.0, card).run(red(np.zeros((72, 128))), camera)
    np.testing.assert_allclose(frame.depth, 2.0 * np.sqrt(75.0 * 100.0) / 50.0, rtol=1e-6)


def test_inverse_depth_scales_in_metres_not_in_inverse_metres(tmp_path: Path) -> None:
    card = tiny_card(kind="inverse_depth", unit="1/m", canonical_focal_px=50.0)
    camera = CameraModel.from_intrinsics(150.0, 150.0, 63.5, 47.5, W, H)
    frame = constant_pipeline(tmp_path, 0.5, card).run(red(np.zeros((H, W))), camera)
    np.testing.assert_allclose(frame.depth, 3.0, rtol=1e-6)


def test_an_uncalibrated_camera_has_the_assumed_field_of_view(tmp_path: Path) -> None:
    pipeline = constant_pipeline(
        tmp_path, 2.0, tiny_card(canonical_focal_px=32.0), assumed_hfov_deg=90.0
    )
    for camera in (None, CameraModel(W, H, np.zeros((3, 3)))):
        # 90 degrees: fx is half the width, 32 pixels of the network's 64.
        depth = pipeline.run(red(np.zeros((H, W))), camera).depth
        np.testing.assert_allclose(depth, 2.0, rtol=1e-6)


@pytest.mark.parametrize("kind", ["metric_depth", "inverse_depth"])
def test_a_scale_correction_multiplies_depth_and_the_models_limits(
    tmp_path: Path, kind: str
) -> None:
    unit, answer = ("m", 2.0) if kind == "metric_depth" else ("1/m", 0.5)
    card = tiny_card(kind=kind, unit=unit, max_depth=3.0)
    for factor, depth in ((1.0, 2.0), (0.25, 0.5), (10.0, 20.0)):
        pipeline = constant_pipeline(tmp_path, answer, card, scale_correction=factor)
        frame = pipeline.run(red(np.zeros((H, W))), None)
        np.testing.assert_allclose(frame.depth, depth, rtol=1e-6)
        assert frame.far == pytest.approx(3.0 * factor)


# --- life ----------------------------------------------------------------------------------------


def test_warm_up_runs_the_network_at_its_nominal_size(tmp_path: Path) -> None:
    engine = open_engine(red_depth(tmp_path / "red.onnx", with_size(tiny_card(), 48, 64, None)))
    shapes = []
    infer = engine.infer
    engine.infer = lambda batch: (shapes.append(batch.shape), infer(batch))[1]  # type: ignore
    DepthEstimator(engine).warm_up()
    assert set(shapes) == {(1, 48, 64, 3)}


def test_resizing_follows_pixel_centres(tmp_path: Path) -> None:
    # A bright spot must stay where it is, or clouds shift against the image.
    values = cv2.GaussianBlur(
        np.where(np.indices((H, W))[1] == 40, 255.0, 0.0).astype(np.float32), (0, 0), 6
    )
    values = (values / values.max() * 250).astype(np.uint8)
    depth = red_pipeline(tmp_path).run(red(values), None).depth[H // 2] - 1.0
    centre = (depth * np.arange(W)).sum() / depth.sum()
    assert centre == pytest.approx(40.0, abs=0.1)


def test_a_network_with_another_size_built_in_is_refused() -> None:
    class Square:
        card = tiny_card()

        def infer(self, batch: np.ndarray) -> np.ndarray:
            return np.ones((len(batch), 48, 48), np.float32)

    with pytest.raises(ModelError, match="found 48x48 for an input of 64x48"):
        DepthEstimator(Square()).warm_up()  # type: ignore[arg-type]
