"""The command estimate_depth: what it writes, with networks whose answers are known."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_models
from test_clouds import read_ply
from test_media import write, write_jpeg, write_video

from depth_estimation_ros.estimate_depth import outputs
from depth_estimation_ros.estimate_depth.command import main
from depth_estimation_ros.estimate_depth.png import to_units

HEIGHT, WIDTH = 48, 64


def steps(reds: tuple[int, ...] = (0, 64, 128, 255)) -> np.ndarray:
    """A picture of vertical stripes; `red_depth` tells 1 + 8 * red / 255 metres."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[..., 0] = np.repeat(reds, WIDTH // len(reds))
    picture[..., 1] = 77
    return picture


def depth_of(picture: np.ndarray) -> np.ndarray:
    return (1.0 + 8.0 * picture[..., 0].astype(np.float64) / 255.0).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    return tiny_models.red_depth(tmp_path / "red.onnx")


@pytest.fixture
def run(tmp_path, model, capsys):
    """`run(INPUT..., option...)` gives the exit status and what was said; files go to out."""

    def call(*arguments, out="out"):
        options = ["--model", model, "--threads", "1", "--out", tmp_path / out]
        code = main([str(argument) for argument in (*options, *arguments)])
        return code, " ".join(capsys.readouterr().out.split())

    return call


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def fake_camera(monkeypatch):
    """Number 0 is a camera that shows `steps` for ever."""
    real = cv2.VideoCapture

    class Endless:
        def __init__(self, source):
            assert source == 0

        def isOpened(self):
            return True

        def get(self, number):
            return 0.0

        def set(self, number, value):
            return True

        def read(self):
            return True, cv2.cvtColor(steps(), cv2.COLOR_RGB2BGR)

        def release(self):
            pass

    def open_video(source):
        return real(source) if isinstance(source, str) else Endless(source)

    monkeypatch.setattr(cv2, "VideoCapture", open_video)


def names(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def png_texts(path: Path) -> dict[str, str]:
    """The tEXt chunks of a PNG whose every checksum is right."""
    data, at, texts = path.read_bytes(), 8, {}
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + body),)
        if kind == b"tEXt":
            key, value = body.split(b"\x00")
            texts[key.decode()] = value.decode("latin-1")
        at += 12 + size
    return texts


def video_frames(path: Path) -> list[np.ndarray]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (frame := video.read())[0]:
        frames.append(cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB))
    return frames


# Pictures


def test_a_picture_becomes_colours_and_millimetres(run, out, tmp_path):
    picture = write(tmp_path / "kitchen.png", steps())
    code, text = run(picture, "--hfov", "70")
    assert code == 0, text
    assert names(out) == ["kitchen_depth_color.png", "kitchen_depth_mm.png", "summary.json"]
    pixels = cv2.imread(str(out / "kitchen_depth_mm.png"), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, np.rint(1000 * depth_of(steps()).astype(float)))
    assert "1 frame in" in text
    assert "note" not in text


def test_every_file_says_its_unit(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    run(picture, "--hfov", "70", "--save", "depth16", "npz", "color", "side-by-side", "ply")
    assert names(out) == [
        "k_cloud_m.ply",
        "k_depth_color.png",
        "k_depth_m.npz",
        "k_depth_mm.png",
        "k_side_by_side.png",
        "summary.json",
    ]
    assert "millimetres; 0 is unknown" in png_texts(out / "k_depth_mm.png")["Description"]
    color = png_texts(out / "k_depth_color.png")
    assert "legend in metres" in color["Description"]
    assert color["Colours"] == "1 m to 9 m, spectral"
    assert "legend in metres" in png_texts(out / "k_side_by_side.png")["Description"]
    assert str(np.load(out / "k_depth_m.npz")["unit"]) == "metres"
    assert (
        "comment metres, camera optical frame: x right, y down, z forward"
        in (read_ply(out / "k_cloud_m.ply")[0])
    )
    told = summary(out)["units"]
    assert list(told) == ["depth16", "npz", "color", "side-by-side", "ply"]
    assert all("metres" in text for text in told.values())


def test_npz_has_metres_infinities_and_the_camera(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    run(picture, "--focal-px", "50", "--save", "npz", "--min-depth", "2", "--max-depth", "5.5")
    stored = np.load(out / "k_depth_m.npz")
    expected = depth_of(steps())
    expected[:, :16], expected[:, 48:] = -np.inf, np.inf
    assert stored["depth"].dtype == np.float32
    np.testing.assert_allclose(stored["depth"], expected, rtol=1e-6)
    np.testing.assert_allclose(stored["K"], [[50, 0, 31.5], [0, 50, 23.5], [0, 0, 1]])
    assert (float(stored["near_limit"]), float(stored["far_limit"])) == (2.0, 5.5)
    assert str(stored["source"]) == "focal length: --focal-px 50"


def test_png_has_other_units_and_says_what_did_not_fit(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    code, text = run(picture, "--hfov", "70", "--save", "depth16", "--png-scale", "10000")
    assert code == 0
    pixels = cv2.imread(str(out / "k_depth_10000_per_m.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels[0, ::16], [10000, 30078, 50157, 0])
    lost = HEIGHT * WIDTH // 4
    assert f"{lost} pixels do not fit into 16 bits at 10000 units per metre" in text
    assert summary(out)["inputs"][0]["depth16_lost_pixels"] == lost
    assert "1 / 10000 metres" in png_texts(out / "k_depth_10000_per_m.png")["Description"]


def test_16_bits_have_no_infinities_and_lose_only_what_is_finite():
    depth = np.array([[np.nan, np.inf, -np.inf, 65.535, 65.536, 0.0004, 1.2344]], np.float32)
    pixels, lost = to_units(depth, 1000.0)
    np.testing.assert_array_equal(pixels, [[0, 0, 0, 65535, 0, 0, 1234]])
    assert lost == 2


def test_a_picture_beside_its_depth(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    run(picture, "--hfov", "70", "--save", "side-by-side", "color", "--range", "1", "9")
    page = cv2.cvtColor(cv2.imread(str(out / "k_side_by_side.png")), cv2.COLOR_BGR2RGB)
    color = cv2.cvtColor(cv2.imread(str(out / "k_depth_color.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(page[:, :WIDTH], steps())
    np.testing.assert_array_equal(page[:, WIDTH:], color)
    assert page.shape[0] == HEIGHT
    assert summary(out)["colors"] == {"map": "spectral", "near_far_m": [1, 9], "from": "--range"}


def test_a_cloud_has_the_colours_and_the_shape_of_the_camera(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    run(picture, "--focal-px", "50", "--save", "ply", "--stride", "4")
    _, vertices = read_ply(out / "k_cloud_m.ply")
    assert len(vertices) == HEIGHT * WIDTH // 16
    u, v = 20, 4
    z = float(depth_of(steps())[v, u])
    x, y, z_read, red, green, blue = vertices[(v // 4) * (WIDTH // 4) + u // 4]
    np.testing.assert_allclose((x, y), ((u - 31.5) * z / 50, (v - 23.5) * z / 50), rtol=1e-5)
    assert z_read == pytest.approx(z)
    assert (red, green, blue) == (64, 77, 0)


def test_a_cloud_is_thinned_by_voxels(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    run(picture, "--focal-px", "50", "--save", "ply", "--voxel", "100")
    vertices = read_ply(out / "k_cloud_m.ply")[1]
    assert len(vertices) == 4  # one for each quadrant of x and y
    np.testing.assert_allclose(np.mean([v[2] for v in vertices]), depth_of(steps()).mean(), 1e-4)


# The camera


def test_an_unknown_lens_is_said_once_with_what_to_give(run, out, tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / name, steps())
    code, text = run(tmp_path / "a.png", tmp_path / "b.png")
    assert code == 0
    assert text.count("the focal length of the lens is not known") == 1
    assert "Give --hfov DEGREES, --focal-px PIXELS or --calibration YAML" in text
    assert [told["focal_length"] for told in summary(out)["inputs"]] == [
        ["unknown, 60 degrees of horizontal view assumed"]
    ] * 2
    assert len(summary(out)["notes"]) == 1


def test_a_picture_of_a_phone_knows_its_lens(run, out, tmp_path):
    card = tiny_models.tiny_card(canonical_focal_px=100.0)
    canonical = tiny_models.constant_depth(tmp_path / "canonical.onnx", 2.0, card)
    picture = write_jpeg(tmp_path / "k.jpg", steps(), focal_35mm=26)
    code, text = run(picture, "--save", "npz", "ply", "--model", canonical)
    assert code == 0, text
    assert "note" not in text
    stored = np.load(out / "k_depth_m.npz")
    focal = 26 * 80 / math.hypot(36, 24)  # 80 is the diagonal of 64 x 48
    assert stored["K"][0, 0] == pytest.approx(focal)
    np.testing.assert_allclose(stored["depth"], 2.0 * focal / 100.0, rtol=1e-5)
    assert summary(out)["inputs"][0]["focal_length"] == ["EXIF of the picture, 26 mm of 35 mm film"]
    run(picture, "--focal-px", "50", "--save", "npz", "--overwrite")  # the user knows better
    assert np.load(out / "k_depth_m.npz")["K"][0, 0] == 50.0


def test_a_cloud_without_a_lens_is_refused_before_anything_is_done(run, out, tmp_path):
    code, text = run(write(tmp_path / "k.png", steps()), "--save", "color", "ply")
    assert code == 1
    assert "--save ply: found no focal length" in text
    assert not out.exists()


def write_calibration(path: Path, width: int, height: int, focal: float) -> Path:
    k = f"[{focal}, 0, {(width - 1) / 2}, 0, {focal}, {(height - 1) / 2}, 0, 0, 1]"
    path.write_text(
        f"image_width: {width}\nimage_height: {height}\n"
        f"camera_matrix: {{rows: 3, cols: 3, data: {k}}}\n"
    )
    return path


@pytest.mark.parametrize(
    ("option", "value", "focal"),
    [
        ("--focal-px", "50", 50.0),
        ("--hfov", "65", 32 / math.tan(math.radians(32.5))),
        ("--calibration", "twice the size", 150.0),
    ],
)
def test_the_focal_length_scales_the_depth(run, out, tmp_path, option, value, focal):
    card = tiny_models.tiny_card(canonical_focal_px=100.0)
    canonical = tiny_models.constant_depth(tmp_path / "canonical.onnx", 2.0, card)
    picture = write(tmp_path / "k.png", steps())
    if option == "--calibration":
        value = write_calibration(tmp_path / "camera.yaml", 2 * WIDTH, 2 * HEIGHT, 300.0)
    code, text = run(picture, option, value, "--save", "npz", "--model", canonical)
    assert code == 0, text
    stored = np.load(out / "k_depth_m.npz")
    np.testing.assert_allclose(stored["depth"], 2.0 * focal / 100.0, rtol=1e-5)
    np.testing.assert_allclose(stored["K"][[0, 0], [0, 2]], [focal, 31.5], rtol=1e-6)


def test_a_calibration_of_a_picture_of_another_shape_is_refused(run, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    code, text = run(picture, "--calibration", write_calibration(tmp_path / "c.yaml", 64, 64, 50.0))
    assert code == 1
    assert "of another shape: found 64 x 48, expected 64 x 64" in text


# Several inputs


def test_inputs_of_the_same_name_do_not_overwrite_each_other(run, out, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "k.png", steps())
    code, _ = run(tmp_path / "a" / "k.png", tmp_path / "b" / "k.png", "--save", "depth16")
    assert code == 0
    assert names(out) == ["k_2_depth_mm.png", "k_depth_mm.png", "summary.json"]


def test_a_folder_keeps_its_names_and_pictures_of_one_name_their_endings(run, out, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("1.png", "1.bmp", "2.png"):
        write(folder / name, steps())
    code, _ = run(folder, "--save", "depth16")
    assert code == 0
    files = ["1.bmp_depth_mm.png", "1.png_depth_mm.png", "2_depth_mm.png", "summary.json"]
    assert names(out) == files
    run(folder, write(tmp_path / "k.png", steps()), "--save", "depth16", out="two")
    in_folder = [f"in/{name}" for name in files[:-1]]
    assert names(tmp_path / "two") == [*in_folder, "k_depth_mm.png", "summary.json"]


def test_colours_mean_the_same_in_all_pictures_of_a_run(run, out, tmp_path):
    near = write(tmp_path / "near.png", steps((0, 0)))
    far = write(tmp_path / "far.png", steps((128, 255)))
    run(near, far, "--hfov", "70")
    texts = [png_texts(out / f"{name}_depth_color.png")["Colours"] for name in ("near", "far")]
    assert texts == ["1 m to 9 m, spectral"] * 2


def test_what_cannot_be_read_is_counted_and_the_rest_is_done(run, out, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "1.png", steps())
    (folder / "2.png").write_bytes(b"broken")
    write(folder / "3.png", steps())
    (tmp_path / "also.png").write_bytes(b"broken")
    missing = tmp_path / "missing.png"
    code, text = run(tmp_path / "also.png", folder, missing, "--hfov", "70", "--save", "color")
    assert code == 2
    assert "3 could not be read" in text
    assert names(out) == ["in/1_depth_color.png", "in/3_depth_color.png", "summary.json"]
    told = summary(out)
    assert (told["complete"], told["frames"], told["unreadable"]) == (True, 2, 3)
    assert "also.png" in told["inputs"][0]["unreadable"][0]
    assert "2.png" in told["inputs"][1]["unreadable"][0]
    assert "nothing there" in told["left_out"][str(tmp_path / "missing.png")]


@pytest.mark.parametrize("name", ["missing.png", "broken.png", "clip.bag"])
def test_nothing_that_can_be_read_is_an_error_and_leaves_nothing(run, out, tmp_path, name):
    if name != "missing.png":
        (tmp_path / name).write_bytes(b"broken")
    code, text = run(tmp_path / name)
    assert code == 1
    assert name in text
    assert not out.exists() or names(out) == []


# Earlier files


def test_earlier_files_stay_unless_they_may_be_replaced(run, out, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    assert run(picture, "--save", "depth16")[0] == 0
    (out / "k_depth_mm.png").write_text("mine")
    (out / "summary.json").unlink()
    code, text = run(picture, "--save", "depth16")
    assert code == 1
    assert "k_depth_mm.png, from an earlier run, expected no file of that name" in text
    assert (out / "k_depth_mm.png").read_text() == "mine"
    assert run(picture, "--save", "depth16", "--overwrite")[0] == 0
    assert cv2.imread(str(out / "k_depth_mm.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_depth_beside_its_pictures_is_not_taken_for_pictures(run, tmp_path):
    (tmp_path / "rooms").mkdir()
    write(tmp_path / "rooms" / "a.png", steps())
    kinds = ["--save", "color", "side-by-side", "depth16", "--hfov", 70]
    assert run(tmp_path / "rooms", *kinds, out="rooms")[0] == 0
    before = sorted(path.name for path in (tmp_path / "rooms").iterdir())
    assert len(before) == 5
    code, said = run(tmp_path / "rooms", *kinds, "--overwrite", out="rooms")
    assert code == 0
    assert "3 depth maps were passed over" in said
    assert sorted(path.name for path in (tmp_path / "rooms").iterdir()) == before


def test_a_folder_that_cannot_be_written_to_is_an_error(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    code, text = run(write(tmp_path / "k.png", steps()))
    assert code == 1
    assert "error:" in text
    assert (tmp_path / "out").read_text() == "a file"


# Videos


def test_a_video_becomes_a_video_of_the_same_rate_and_length(run, out, tmp_path):
    clip = write_video(tmp_path / "clip.avi", 7, rate=12.5)
    code, text = run(clip, "--hfov", "70")
    assert code == 0, text
    assert names(out) == ["clip_side_by_side.mp4", "summary.json"]
    made = cv2.VideoCapture(str(out / "clip_side_by_side.mp4"))
    assert (made.get(cv2.CAP_PROP_FRAME_COUNT), made.get(cv2.CAP_PROP_FPS)) == (7, 12.5)
    frames = video_frames(out / "clip_side_by_side.mp4")
    source = video_frames(clip)
    for made_frame, source_frame in zip(frames, source, strict=True):
        difference = made_frame[8:-8, 8 : WIDTH - 8].astype(int) - source_frame[8:-8, 8:-8]
        assert np.abs(difference).mean() < 8  # two losses
    codec = summary(out)["inputs"][0]["video_codec"]
    assert codec in ("h264", "mpeg4")
    assert ("browsers do not" in text) == (codec == "mpeg4")


def test_frames_of_a_video_become_files_in_a_folder_of_its_name(run, out, tmp_path):
    clip = write_video(tmp_path / "clip.avi", 8)
    code, _ = run(clip, "--hfov", "70", "--save", "depth16", "--every", "3", "--frames", "2")
    assert code == 0
    assert names(out) == ["clip/000000_depth_mm.png", "clip/000003_depth_mm.png", "summary.json"]


def test_the_colours_of_a_video_do_not_move(run, out, tmp_path):
    # The picture gets farther with each frame; one range holds for all of them.
    clip = write_video(tmp_path / "clip.avi", 8)
    run(clip, "--hfov", "70", "--save", "color")
    texts = {png_texts(path)["Colours"] for path in (out / "clip").glob("*.png")}
    assert len(texts) == 1
    near, far = summary(out)["colors"]["near_far_m"]
    assert near == pytest.approx(1.0, rel=0.05)
    assert far == pytest.approx(1.0 + 8.0 * 140 / 255, rel=0.05)


def test_a_video_that_fails_halfway_leaves_what_it_has(run, out, tmp_path, monkeypatch):
    clip = write_video(tmp_path / "clip.avi", 8)
    original = outputs.encode_png
    written = []

    def disk_full(*arguments):
        written.append(1)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    monkeypatch.setattr(outputs, "encode_png", disk_full)
    code, text = run(clip, "--hfov", "70", "--save", "side-by-side", "depth16")
    assert code == 1
    assert "No space left on device" in text
    told = summary(out)
    assert (told["complete"], told["frames"]) == (False, 3)
    assert "No space left" in told["problem"]
    assert names(out) == sorted([*told["inputs"][0]["files"], "summary.json"])
    assert len(video_frames(out / "clip_side_by_side.mp4")) == 4


def test_a_camera_is_watched_for_so_many_frames(run, out, fake_camera):
    code, text = run("0", "--hfov", "70", "--frames", "5", "--save", "side-by-side", "depth16")
    assert code == 0, text
    told = summary(out)
    assert (told["frames"], told["inputs"][0]["kind"]) == (5, "camera")
    assert told["colors"]["from"] == "follows what is seen, within seconds"
    assert told["colors"]["near_far_m"] is None
    assert "camera_0_side_by_side.mp4" in names(out)
    assert [name for name in names(out) if name.endswith("mm.png")] == [
        f"camera_0/00000{i}_depth_mm.png" for i in range(5)
    ]


def test_an_interrupted_video_is_playable_and_says_so(model, tmp_path):
    slow = tiny_models.slow_depth(tmp_path / "slow.onnx", 20)
    clip = write_video(tmp_path / "clip.avi", 2000)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "depth_estimation_ros.estimate_depth", clip, "--out", out]
    command += ["--model", slow, "--range", "1", "9", "--threads", "1"]
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 30
    while not list(out.glob(".*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=30)[0]
    assert process.returncode == 130, text
    assert "interrupted" in text
    assert names(out) == ["clip_side_by_side.mp4", "summary.json"]
    told = summary(out)
    assert (told["complete"], told["interrupted"]) == (False, True)
    assert 0 < told["frames"] < 2000
    assert len(video_frames(out / "clip_side_by_side.mp4")) == told["frames"]


# Without ROS, and with the real network


def test_it_runs_without_ros_torch_and_rosbags(model, tmp_path):
    picture = write(tmp_path / "k.png", steps())
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'rosbags', 'torch', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from depth_estimation_ros.estimate_depth.command import main\n"
        f"sys.exit(main([{str(picture)!r}, '--out', {str(tmp_path / 'out')!r}, '--model', "
        f"{str(model)!r}, '--hfov', '70', '--save', 'npz', 'depth16', 'color', 'side-by-side', "
        "'ply']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(names(tmp_path / "out")) == 6


def test_the_bundled_network_sees_that_a_motorcycle_is_nearer_than_the_wall(
    shared_data, tmp_path, capsys
):
    folder = shared_data("middlebury_motorcycle")
    picture = folder / "motorcycle_left.png"
    arguments = [picture, "--out", tmp_path, "--focal-px", "994.978", "--save", "npz"]
    assert main([str(word) for word in arguments]) == 0
    depth = np.load(tmp_path / "motorcycle_left_depth_m.npz")["depth"]
    archive = np.load(folder / "motorcycle_disp.npz")
    disparity = archive[archive.files[0]]
    with np.errstate(divide="ignore"):
        truth = 994.978 * 0.193001 / (disparity + 31.086)
    known = np.isfinite(disparity) & (disparity > 0) & np.isfinite(depth)
    ratio = np.maximum(depth[known] / truth[known], truth[known] / depth[known])
    assert np.mean(ratio < 1.25) > 0.5
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--range", "3", "2"], "expected 0 < NEAR < FAR"),
        (["--hfov", "180"], "found 180, expected a number, 1 to 179"),
        (["--hfov", "70", "--focal-px", "500"], "not allowed with argument"),
        (["--every", "0"], "found 0, expected a whole number, 1 or more"),
        (["--save", "exr"], "invalid choice: 'exr'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(capsys, arguments, message):
    with pytest.raises(SystemExit, match=r"^1$"):
        main(["x.png", "--out", "o", *arguments])
    text = capsys.readouterr().err
    assert message in text
    assert "usage" not in text
    assert "estimate_depth --help shows all arguments" in text


def test_a_calibration_that_is_not_there_or_no_yaml_is_told_in_one_line(run, tmp_path):
    picture = write(tmp_path / "a.png", steps())
    code, text = run(picture, "--calibration", tmp_path / "none.yaml")
    assert code == 1
    assert "none.yaml: found No such file or directory, expected a YAML file" in text
    (tmp_path / "notes.yaml").write_text("# Notes\n\n- a\nb\n")
    code, text = run(picture, "--calibration", tmp_path / "notes.yaml")
    assert code == 1
    assert 'in "<unicode string>", line' in text
    assert len(text.strip().splitlines()) == 1


def test_an_output_that_is_a_file_is_told_with_the_next_step(run, tmp_path):
    picture = write(tmp_path / "a.png", steps())
    (tmp_path / "taken").write_text("mine")
    code, text = run(picture, "--hfov", "70", out="taken")
    assert code == 1
    assert "cannot be written" in text
    assert "give another --out" in text
    assert (tmp_path / "taken").read_text() == "mine"
