"""What is scored, how it is averaged, and what is said of it."""

import math

import numpy as np
import pytest
from evaluation_cases import (
    ListedSamples,
    RedEngine,
    plain_metrics,
    random_sample,
    red_pipeline,
    red_sample,
    unreadable,
)

from depth_estimation_ros.errors import DatasetError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.metrics import mean_metrics
from training.evaluation import evaluate_set
from training.evaluation.alignment import Alignment
from training.evaluation.score import camera_of, predict
from training.evaluation.statistics import DepthMedian, RunningMean, band_edges
from training.evaluation.tables import as_csv, intervals_in_words, main_rows

FLAT = np.full((24, 40), 2.0)


def test_cap_and_crop_are_the_data_sets_own_unless_given() -> None:
    samples = ListedSamples([random_sample(0)], cap_m=7.0, crop="garg")
    own = evaluate_set(red_pipeline(), samples)
    assert (own.cap_m, own.crop) == (7.0, "garg")
    given = evaluate_set(red_pipeline(), samples, cap=4.0, crop="none")
    assert (given.cap_m, given.crop) == (4.0, "none")
    assert given.rows["unaligned"]["valid_pixels"] != own.rows["unaligned"]["valid_pixels"]


def test_the_constants_know_the_median_of_the_set_and_of_each_frame() -> None:
    near, far = red_sample(FLAT, FLAT), red_sample(FLAT, 4.0 * FLAT)
    result = evaluate_set(red_pipeline(), ListedSamples([near, near, far]))
    assert result.rows["constant_median"]["abs_rel"] == 0.0
    # One depth for all: 2 m, which is 6 m too near for the third frame.
    assert result.rows["constant"]["abs_rel"] == pytest.approx(0.25, abs=1e-4)
    assert result.rows["constant"]["rmse"] == pytest.approx(2.0, abs=1e-3)
    assert result.rows["unaligned"]["abs_rel"] == pytest.approx(0.25)
    assert result.rows["median"]["abs_rel"] == pytest.approx(0.0, abs=1e-7)


def test_a_frame_that_cannot_be_read_is_named_and_the_rest_is_scored() -> None:
    frames = [red_sample(FLAT, FLAT), unreadable("b.png"), OSError("disk"), red_sample(FLAT, FLAT)]
    result = evaluate_set(red_pipeline(), ListedSamples(frames))
    assert [frame.name for frame in result.frames] == ["frame 0", "frame 3"]
    assert [name for name, _ in result.unreadable] == ["frame 1", "frame 2"]
    assert "b.png" in result.unreadable[0][1]
    assert result.rows["unaligned"]["delta1"] == 1.0


def test_a_set_without_one_readable_frame_is_an_error_with_the_first_reason() -> None:
    with pytest.raises(DatasetError, match=r"none of 2 frames can be read.*a\.png"):
        evaluate_set(red_pipeline(), ListedSamples([unreadable("a.png"), unreadable("b.png")]))
    with pytest.raises(DatasetError, match="no frames to score"):
        evaluate_set(red_pipeline(), ListedSamples([]))


def test_a_frame_without_truth_is_counted_and_moves_no_mean() -> None:
    empty = red_sample(FLAT, np.full(FLAT.shape, np.nan))
    result = evaluate_set(red_pipeline(), ListedSamples([empty, red_sample(2 * FLAT, FLAT)]))
    assert (len(result.frames), result.without_truth) == (2, 1)
    assert math.isnan(result.frames[0].unaligned["rmse"])
    assert result.rows["unaligned"]["rmse"] == pytest.approx(2.0)
    assert result.rows["constant"]["rmse"] == pytest.approx(0.0, abs=1e-3)


def test_a_camera_that_is_not_known_for_every_frame_counts_as_assumed() -> None:
    known, unknown = red_sample(FLAT, FLAT), red_sample(FLAT, FLAT, camera=None)
    assert evaluate_set(red_pipeline(), ListedSamples([known])).camera == "known"
    assert evaluate_set(red_pipeline(), ListedSamples([known, unknown])).camera == "60 deg"


# By distance


def test_bands_end_at_the_cap() -> None:
    assert band_edges(10.0) == [0.0, 1.0, 2.0, 4.0, 7.0, 10.0]
    assert band_edges(5.0) == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert band_edges(80.0) == [0.0, 10.0, 20.0, 40.0, 80.0]
    assert band_edges(50.0) == [0.0, 10.0, 20.0, 40.0, 50.0]
    assert band_edges(10.0, [3.0, 6.0, 12.0]) == [0.0, 3.0, 6.0, 10.0]
    with pytest.raises(ParameterError, match="rising"):
        band_edges(10.0, [6.0, 3.0])


def test_each_band_is_scored_as_if_its_pixels_were_all_there_are() -> None:
    """But the scale is aligned over the whole image."""
    samples = [random_sample(seed) for seed in range(2)]
    result = evaluate_set(red_pipeline(), ListedSamples(samples))
    assert [(band.near, band.far) for band in result.bands] == [
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, 4.0),
        (4.0, 7.0),
        (7.0, 10.0),
    ]
    for band in result.bands:
        for aligned, found in ((False, band.unaligned), (True, band.median)):
            images = []
            for sample in samples:
                predicted = sample.rgb[..., 0] * 0.1
                truth = sample.depth.astype(np.float64)
                if aligned:
                    scored = (truth > 1e-3) & (truth < 10.0)
                    predicted = predicted * (
                        np.median(truth[scored]) / np.median(predicted[scored])
                    )
                inside = (truth >= band.near) & (truth < band.far)
                kept = np.where(inside, truth, np.nan)
                images.append(plain_metrics(predicted, kept, max_depth=10.0))
            for name in ("abs_rel", "rmse", "silog", "delta1"):
                mean = (images[0][name] + images[1][name]) / 2
                assert found[name] == pytest.approx(mean, abs=1e-5)


def test_the_bands_hold_every_scored_pixel_once() -> None:
    result = evaluate_set(red_pipeline(), ListedSamples([random_sample(1)]), distances=[2.5, 3.5])
    pixels = [band.unaligned["valid_pixels"] for band in result.bands]
    assert len(pixels) == 3
    assert sum(pixels) == result.rows["unaligned"]["valid_pixels"]


def test_an_image_counts_only_in_bands_that_it_has() -> None:
    near, far = red_sample(FLAT / 4, FLAT / 4), red_sample(4 * FLAT, 4 * FLAT)
    bands = evaluate_set(red_pipeline(), ListedSamples([near, far, far])).bands
    assert [band.images for band in bands] == [1, 0, 0, 0, 2]
    assert math.isnan(bands[1].unaligned["abs_rel"])


# Averaging with the mirrored image


def test_the_camera_is_mirrored_with_the_image() -> None:
    sample = red_sample(FLAT, FLAT)  # 40 pixels wide, cx 20
    camera = camera_of(sample, mirror=True)
    assert camera is not None
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50.0, 50.0, 19.0, 12.0)
    assert camera_of(red_sample(FLAT, FLAT, camera=None), mirror=True) is None


class LeftIsNear(RedEngine):
    """1 m in the left half of whatever it sees, 3 m in the right half."""

    def infer(self, batch: np.ndarray) -> np.ndarray:
        depth = np.full(batch.shape[:3], 3.0, np.float32)
        depth[..., : depth.shape[2] // 2] = 1.0
        return depth


def test_flip_takes_the_mean_of_both_ways() -> None:
    depth = predict(DepthEstimator(LeftIsNear()), red_sample(FLAT, FLAT), flip=True).depth
    assert depth == pytest.approx(2.0)
    once = predict(DepthEstimator(LeftIsNear()), red_sample(FLAT, FLAT)).depth
    assert (once[0, 0], once[0, -1]) == (1.0, 3.0)


def test_flip_changes_nothing_for_a_network_that_treats_both_sides_alike() -> None:
    sample = random_sample(2)
    pipeline = red_pipeline(max_depth=12.0)  # some of it is beyond range
    plain, flipped = predict(pipeline, sample), predict(pipeline, sample, flip=True)
    np.testing.assert_allclose(flipped.depth, plain.depth, rtol=1e-6)
    assert np.isinf(plain.depth).any()
    result = evaluate_set(pipeline, ListedSamples([sample]), flip=True)
    assert result.flip
    expected = evaluate_set(pipeline, ListedSamples([sample])).rows["unaligned"]
    assert result.rows["unaligned"] == pytest.approx(expected, abs=1e-6)


def test_beyond_range_on_one_side_counts_as_the_limit_in_the_mean() -> None:
    class HalfSees(RedEngine):
        def infer(self, batch: np.ndarray) -> np.ndarray:
            self.runs += 1
            return np.full(batch.shape[:3], 30.0 if self.runs == 1 else 10.0, np.float32)

    depth = predict(DepthEstimator(HalfSees()), red_sample(FLAT, FLAT), flip=True).depth
    assert depth == pytest.approx(20.0)


# Means and medians that do not grow


def test_a_running_mean_equals_the_mean_of_all() -> None:
    images = [
        evaluate_set(red_pipeline(), ListedSamples([random_sample(seed)])).frames[0].unaligned
        for seed in range(3)
    ]
    images.append(plain_metrics(FLAT, np.full(FLAT.shape, np.nan), max_depth=10.0))
    means = RunningMean()
    for image in images:
        means.add(image)
    assert means.result() == pytest.approx(mean_metrics(images), rel=1e-12)
    assert means.images == 3


def test_the_median_of_many_depths_is_right_to_a_ten_thousandth() -> None:
    rng = np.random.default_rng(5)
    parts = [np.exp(rng.normal(1.0, 1.0, 1001)).clip(0.01, 79.0) for _ in range(5)]
    median = DepthMedian(1e-3, 80.0)
    for part in parts:
        median.add(part)
    assert median.result() == pytest.approx(np.median(np.concatenate(parts)), rel=1e-4)
    assert math.isnan(DepthMedian(1e-3, 80.0).result())


def test_the_recorded_room_scores_as_the_model_card_says(shared_data) -> None:
    from depth_estimation_ros.engines import EngineOptions, open_engine
    from training.data.folder import RgbdFolder

    folder = RgbdFolder(shared_data("rgbd/val/tum_static"))
    engine = open_engine("compact_open", EngineOptions(precision="fp32"))
    result = evaluate_set(DepthEstimator(engine), folder)
    assert result.rows["unaligned"]["delta1"] == pytest.approx(0.195, abs=0.001)
    assert result.rows["median"]["delta1"] == pytest.approx(0.761, abs=0.001)
    assert result.rows["constant"]["abs_rel"] == pytest.approx(0.676, abs=0.001)
    assert result.camera == "known"


@pytest.mark.parametrize("align", ["points:8", "scan"])
def test_an_anchor_takes_the_scale_from_a_few_pixels(align: str) -> None:
    samples = ListedSamples([red_sample(FLAT, 3.0 * FLAT), red_sample(FLAT, FLAT)])
    result = evaluate_set(red_pipeline(), samples, align=Alignment(align))
    assert result.rows["unaligned"]["abs_rel"] == pytest.approx(1 / 3, abs=1e-3)
    assert result.rows["anchored"]["abs_rel"] == pytest.approx(0.0, abs=1e-3)
    (row,) = [row for row in main_rows(result) if row.alignment == align]
    assert row.predictor == "model"
    assert f"0.000 {align}" in intervals_in_words(result)
    assert as_csv([(result, "all")]).count(align) == 2


def test_an_anchor_that_says_nothing_changes_nothing() -> None:
    samples = ListedSamples([red_sample(FLAT, 3.0 * FLAT)])
    result = evaluate_set(red_pipeline(), samples, align=Alignment("height:1.5"))
    assert result.rows["anchored"] == result.rows["unaligned"]  # a wall, no floor


@pytest.mark.parametrize("name", ["", "points", "points:x", "height:", "laser"])
def test_an_unknown_alignment_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="--align"):
        Alignment(name)
