"""The models that come with the package: files, cards, and that they have learned."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_estimation_ros.engines import bundled_models, open_engine, resolve_model
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.metrics import constant_median, depth_metrics, mean_metrics
from depth_estimation_ros.geometry.camera_model import CameraModel

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


SIZES = {  # at most, bytes
    "compact": 12_000_000,
    "compact_int8": 6_000_000,
    "compact_open": 12_000_000,
    "nano": 3_000_000,
    "nano_int8": 1_500_000,
}


SHARE_OF_A_FLAT_ROOMS_ERROR = {"compact": 0.65, "compact_open": 0.65, "nano": 0.8}  # in int8, too


@pytest.fixture(scope="module", params=SIZES)
def pipeline(request):
    engine = open_engine(request.param)
    yield DepthEstimator(engine)
    engine.close()


@pytest.mark.parametrize("name", SIZES)
def test_the_file_is_small_enough_to_come_along(name):
    assert resolve_model(name).stat().st_size <= SIZES[name]


@pytest.mark.parametrize("name", SIZES)
def test_the_model_card_is_of_this_file(name):
    sha256 = hashlib.sha256(resolve_model(name).read_bytes()).hexdigest()
    assert sha256 in (ROOT / "MODEL_CARD.md").read_text()


def test_there_are_no_others():
    assert bundled_models() == sorted({name.removesuffix("_int8") for name in SIZES})


def test_the_card_says_what_the_weights_are(pipeline):
    card = pipeline.engine.card
    assert card.name in SIZES
    assert (card.licence, card.encoder) == ("MIT", "efficientnet_lite0")
    assert (card.output.kind, card.output.unit) == ("metric_depth", "m")
    assert (card.output.min_depth, card.output.max_depth) == (0.1, 80.0)
    assert card.canonical_focal_px == 220.0
    # Nothing whose terms forbid bundling.
    assert not {"seven_scenes_kitchen", "dfd_rooms"} & set(" ".join(card.training_data).split())
    for entry in card.metrics:
        assert {"dataset", "frames", "crop", "cap_m", "alignment", "abs_rel"} <= set(entry)


@pytest.mark.parametrize(
    ("image", "network"),
    [((480, 640), (192, 256)), ((720, 1280), (160, 288)), ((1080, 1920), (160, 288))],
)
def test_depth_has_the_size_of_the_image_whatever_its_aspect(pipeline, image, network):
    rgb = np.random.default_rng(0).integers(0, 256, (*image, 3), np.uint8)
    camera = CameraModel.from_hfov(image[1], image[0], 70.0)
    assert pipeline.run(rgb, camera).depth.shape == image
    batch = np.zeros((1, *network, 3), np.uint8)
    assert pipeline.engine.infer(batch).shape == (1, *network)


def test_the_same_picture_through_twice_the_focal_length_is_twice_as_far(pipeline):
    rgb = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    near, far = (
        pipeline.run(rgb, CameraModel.from_intrinsics(f, f, 127.5, 95.5, 256, 192)).depth
        for f in (110.0, 220.0)
    )
    np.testing.assert_allclose(far, 2.0 * near, rtol=1e-5)


@pytest.mark.parametrize("folder", ["val/tum_static", "train/seven_scenes_kitchen"])
def test_rooms_it_has_never_seen_have_less_of_an_error_than_a_flat_one(pipeline, folder):
    path = SHARED / "rgbd" / folder
    if not path.is_dir():
        pytest.skip(f"needs the RGB-D frames of {folder}")
    model, flat = [], []
    for picture in sorted(path.glob("*.jpg"))[::5]:
        rgb = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
        raw = cv2.imread(str(picture.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        truth = np.where(raw > 0, raw / 1000.0, np.nan).astype(np.float32)
        depth = pipeline.run(rgb, None).depth
        model.append(depth_metrics(depth, truth, max_depth=10.0, align="median"))
        flat.append(depth_metrics(constant_median(truth, max_depth=10.0), truth, max_depth=10.0))
    share = SHARE_OF_A_FLAT_ROOMS_ERROR[pipeline.engine.card.name]
    assert mean_metrics(model)["silog"] < share * mean_metrics(flat)["silog"]


def test_the_model_card_quotes_the_numbers_inside_the_file(pipeline):
    text = (ROOT / "MODEL_CARD.md").read_text()
    for entry in pipeline.engine.card.metrics:
        if entry["predictor"] == "model":
            assert f"{entry['abs_rel']:.3f}" in text, json.dumps(entry)
            assert f"{entry['delta1']:.3f}" in text, json.dumps(entry)
