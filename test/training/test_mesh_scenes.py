"""Scenes of textured meshes: depth is exact, and a seed gives one frame."""

import json
import math

import numpy as np
import pytest

pytest.importorskip("embreex")

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.__main__ import main
from training.data.layouts import open_dataset
from training.scenes import write
from training.scenes.meshes import Assets, MeshScene, box, quad, render_meshes

GREY = np.full((8, 8, 3), 128, np.uint8)
SIZE = {"height": 48, "width": 64}


def test_depth_is_the_distance_along_the_optical_axis():
    scene = MeshScene(
        parts=[quad((-50, 6, -50), (100, 0, 0), (0, 0, 100), GREY, 1.0)],
        **{"low": (0, 0, 1.5), "high": (0, 0, 1.5), "yaws": (math.pi / 2,), "level": True},
    )
    scene.parts += box((0, 4.5, 0), (1, 1, 3), GREY, 1.0)
    rng = np.random.default_rng(3)
    rgb, depth, (fx, fy, cx, cy) = render_meshes(scene, rng, 48, 64, (60.0, 60.0))
    assert fx == fy == pytest.approx(32 / math.tan(math.radians(30)))
    assert (cx, cy) == (31.5, 23.5)
    assert depth[24, 32] == pytest.approx(4.0, abs=0.15)  # the camera pitches by a few degrees
    assert depth[24, 2] == pytest.approx(6.0, abs=0.2)
    assert rgb.shape == (3, 48, 64)
    assert 0.0 <= rgb.min() < rgb.max() <= 1.0


def test_a_folder_without_licences_is_no_assets(tmp_path):
    with pytest.raises(DatasetError, match=r"no LICENCES\.json"):
        Assets(tmp_path)


def test_kinds_of_mesh_scenes_need_assets(tmp_path):
    with pytest.raises(ParameterError, match="--kinds: found mesh_street"):
        write.write_folder(tmp_path, 1, 1, 48, 64, kinds=["mesh_street"], quiet=True)


@pytest.mark.parametrize("kind", ["mesh_room", "mesh_street"])
def test_frames_of_recorded_assets_are_a_data_set(shared_data, tmp_path, kind):
    assets = shared_data("assets")
    options = f"--count 2 --seed 7 --size 64x48 --workers 1 --hfov 70 --quiet --kinds {kind}"
    command = ["synthesize", "--out", str(tmp_path), "--assets", str(assets), *options.split()]
    assert main(command) == 0
    rgb, depth, camera = write.make_frame(
        8, **SIZE, kinds=[kind], hfov_deg=(70.0, 70.0), assets=assets
    )
    sample = open_dataset("folder", tmp_path)[1]
    assert np.abs(sample.rgb.astype(float) - rgb).mean() < 12
    np.testing.assert_allclose(sample.depth, depth, atol=0.0011)
    assert sample.intrinsics == pytest.approx(camera)
    median = np.median(depth[np.isfinite(depth)])
    low, high = (0.4, 8.0) if kind == "mesh_room" else (3.0, 60.0)
    assert low < median < high
    assert np.isposinf(depth).any() == (kind == "mesh_street")
    assert json.loads((tmp_path / "frames.json").read_text())["assets"] == "assets"
