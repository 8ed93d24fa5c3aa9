"""check-data tells numbers, warns of what looks wrong, and fails on what cannot be read."""

import json

import cv2
import numpy as np
import pytest
import yaml

from training.__main__ import main
from training.check_data.figure import draw_depth
from training.check_data.survey import choose_frames, find_issues, survey
from training.data.sample import Sample, SampleSet

CAMERA = (80.0, 80.0, 79.5, 59.5)
SIZE = (120, 160)


class Given(SampleSet):
    """Samples of the given depths, with images that differ unless told otherwise."""

    name = "given"

    def __init__(self, depths, camera=CAMERA, alike=False):
        self.depths, self.camera, self.alike = depths, camera, alike

    def __len__(self):
        return len(self.depths)

    def __getitem__(self, index):
        rgb = np.full((*self.depths[index].shape, 3), 7 if self.alike else index, np.uint8)
        return Sample(rgb, self.depths[index].astype(np.float32), self.camera)

    def frame_name(self, index):
        return f"frame{index}"


def room(count=8, low=1.0, high=4.0, seed=0):
    return list(np.random.default_rng(seed).uniform(low, high, (count, *SIZE)))


def warnings_of(samples):
    return find_issues(survey(samples, range(len(samples)), seed=0))


def test_a_good_set_gives_no_warning():
    assert warnings_of(Given(room())) == []
    assert warnings_of(Given(room(), camera=None)) == []


def test_the_numbers_of_a_frame():
    depth = np.tile([np.nan, np.inf, 2.0, 6.0], (10, 10))
    frame = survey(Given([depth]), [0], seed=0).frames[0]
    assert (frame.size, frame.valid, frame.beyond) == ((10, 40), 0.5, 0.25)
    assert sorted(set(frame.depths.tolist())) == [2.0, 6.0]
    # 40 pixels at fx = 80: 2 atan(20 / 80)
    assert frame.hfov_deg == pytest.approx(28.07, abs=0.01)


def test_percentiles_are_those_of_the_depths():
    found = survey(Given(room(4, 0.0, 100.0)), range(4), seed=0)
    assert found.percentiles([1, 50, 99]) == pytest.approx([1.0, 50.0, 99.0], abs=1.5)


def test_the_same_seed_chooses_the_same_frames():
    assert choose_frames(1000, 20, 3) == choose_frames(1000, 20, 3)
    assert choose_frames(1000, 20, 3) != choose_frames(1000, 20, 4)
    assert choose_frames(5, 20, 0) == choose_frames(5, None, 0) == [0, 1, 2, 3, 4]
    assert len(set(choose_frames(1000, 20, 3))) == 20


@pytest.mark.parametrize(
    ("depths", "warning"),
    [
        (
            [*room(7), np.full(SIZE, np.nan)],
            "1 of 8 frames have no valid depth at all, first frame7",
        ),
        ([*room(7), np.full(SIZE, 2.5)], "1 of 8 frames have one and the same depth everywhere"),
        ([d / 1000.0 for d in room()], "m: is the unit of the files right?"),
        ([d * 5.0 for d in room()], "m, is beyond the 10 m that are scored"),
        ([np.round(d * 25.5) / 25.5 for d in room()], "77 different depths, 0.0392 m apart: kept"),
        ([np.minimum(d, 3.0) for d in room()], "34% of the depths are exactly 3 m: clipped"),
    ],
)
def test_suspicious_depth_is_warned_of(depths, warning):
    found = warnings_of(Given(depths))
    assert len(found) == 1
    assert warning in found[0]


def test_suspicious_cameras_and_copies_are_warned_of():
    far_off = warnings_of(Given(room(), camera=(525.0, 525.0, 319.5, 239.5)))
    assert len(far_off) == 1
    assert "principal point (319.5, 239.5) is far from the middle of 160x120" in far_off[0]
    narrow = warnings_of(Given(room(), camera=(8000.0, 8000.0, 79.5, 59.5)))
    assert "160 px wide: a field of view of 1 deg" in narrow[0]
    assert warnings_of(Given(room(), alike=True)) == ["7 of 8 images are copies of another one"]


def test_sparse_depth_is_drawn_as_points_on_the_image():
    depth = np.full((60, 80), np.nan, np.float32)
    depth[20, 30], depth[20, 32] = 8.0, 2.0
    drawn = draw_depth(Sample(np.full((60, 80, 3), 100, np.uint8), depth, None), 1.0, 10.0)
    assert drawn[40, 40].tolist() == [55, 55, 55]  # the image, dimmed
    colors = {tuple(drawn[20, column].tolist()) for column in (29, 30)}
    assert len(colors) == 1
    assert (55, 55, 55) not in colors
    # Between the two the nearer wins, in its own colour.
    assert drawn[20, 31].tolist() == drawn[20, 33].tolist() != drawn[20, 29].tolist()


def write_folder(path, count=3, seed=0):
    path.mkdir(parents=True)
    for i, depth in enumerate(room(count, seed=seed)):
        image = np.random.default_rng(seed * 100 + i).integers(0, 255, (*SIZE, 3), np.uint8)
        cv2.imwrite(str(path / f"{i:05d}.jpg"), image)
        cv2.imwrite(str(path / f"{i:05d}.png"), (depth * 1000).astype(np.uint16))
    camera = dict(zip(("fx", "fy", "cx", "cy"), CAMERA, strict=True))
    (path / "info.json").write_text(json.dumps({"intrinsics_px": camera}))


@pytest.fixture
def config(tmp_path, request):
    """`config(training, validation)` writes a configuration of these folders."""

    def write(training, validation):
        values = yaml.safe_load(
            (request.config.rootpath / "config/training/compact.yaml").read_text()
        )
        values["data"]["training"] = training
        values["data"]["validation"] = validation
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(values))
        return ["check-data", "--config", str(file), "--data", str(tmp_path)]

    return write


def test_a_configuration_is_told_and_drawn(tmp_path, config, capsys):
    write_folder(tmp_path / "a")
    write_folder(tmp_path / "b", seed=1)
    write_folder(tmp_path / "c", seed=2)
    command = config([{"path": "a", "weight": 3}, {"path": "b", "weight": 1}], [{"path": "c"}])
    assert main([*command, "--out", str(tmp_path / "out/check.png")]) == 0
    output = capsys.readouterr().out
    line = next(line for line in output.splitlines() if "│ a " in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:6] == ["training", "a", "folder", "75%", "3 of 3", "160x120"]
    assert cells[6:] == ["100.0%", "1.03", "2.5", "3.97", "90 deg"]
    assert "warning" not in output
    image = cv2.imread(str(tmp_path / "out/check.png"))
    assert image.shape[1] > 1500
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["check.png"]


def test_every_set_that_cannot_be_opened_is_named_and_the_others_are_told(tmp_path, config, capsys):
    write_folder(tmp_path / "a")
    sets = [{"path": "gone"}, {"path": "a"}], [{"path": "lost"}]
    assert main([*config(*sets), "--out", str(tmp_path / "check.png")]) == 1
    output = capsys.readouterr().out
    assert "error gone (folder): no data folder" in output
    assert "error lost (folder): no data folder" in output
    assert "3 of 3" in output
    assert (tmp_path / "check.png").exists()


def test_a_frame_that_cannot_be_read_fails_the_check(tmp_path, capsys):
    write_folder(tmp_path / "a")
    (tmp_path / "a/00001.png").write_bytes(b"no image")
    assert main(["check-data", "--layout", "folder", "--path", str(tmp_path / "a")]) == 1
    output = capsys.readouterr().out
    assert "2 of 3 (1 unreadable)" in output
    assert "error a (folder), frame 00001: " in output


def test_validation_on_training_frames_is_warned_of(tmp_path, config, capsys):
    write_folder(tmp_path / "a")
    write_folder(tmp_path / "copy")  # the same images at another path
    write_folder(tmp_path / "other", seed=1)
    sets = [{"path": name} for name in ("a", "copy", "other")]
    assert main(config([{"path": "a"}], sets)) == 0
    output = capsys.readouterr().out
    assert "validation a and training a share 3 of 3 frames" in output
    assert "validation copy and training a share 3 images" in output
    assert "validation other" not in output


def test_wrong_options_are_told_in_words(tmp_path, config, capsys):
    write_folder(tmp_path / "a")
    lone = ["check-data", "--layout", "folder"]
    for command, message in (
        (lone, "--layout needs --path"),
        ([*lone, "--path", str(tmp_path / "a"), "--frames", "0"], "--frames: found 0"),
        ([*lone, "--path", str(tmp_path / "a"), "--out", "check"], "a name that ends with .png"),
        ([*config([{"path": "a"}], [{"path": "b"}]), "--path", "a"], "--config goes with --data"),
    ):
        assert main(command) == 1
        assert message in capsys.readouterr().err


def test_recorded_kitti_is_told_without_a_warning(shared_data, tmp_path, capsys):
    place = ["--layout", "kitti_raw", "--path", str(shared_data("kitti_raw_tiny"))]
    out = ["--option", "cameras=[2]", "--out", str(tmp_path / "kitti.png")]
    assert main(["check-data", *place, *out]) == 0
    output = capsys.readouterr().out
    assert "warning" not in output
    line = next(line for line in output.splitlines() if "kitti_raw_tiny" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[2:7] == ["kitti_raw cameras=[2]", "", "7 of 7", "1242x375", "4.1%"]
    assert cells[10] == "81 deg"
