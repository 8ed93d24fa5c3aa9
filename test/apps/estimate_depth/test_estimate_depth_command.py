"""The command as it is started: without ROS, with the bundled network, with wrong arguments."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from estimate_depth_cases import names, steps
from media_files import write

from depth_estimation_ros.apps.estimate_depth.command import main


def test_it_runs_without_ros_torch_and_rosbags(model, tmp_path):
    image = write(tmp_path / "k.png", steps())
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'rosbags', 'torch', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from depth_estimation_ros.apps.estimate_depth.command import main\n"
        f"sys.exit(main([{str(image)!r}, '--out', {str(tmp_path / 'out')!r}, '--model', "
        f"{str(model)!r}, '--hfov', '70', '--save', 'npz', 'depth16', 'color', 'side-by-side', "
        "'ply']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(names(tmp_path / "out")) == 6


def test_the_bundled_network_on_a_photograph(shared_data, tmp_path, capsys):
    folder = shared_data("middlebury_motorcycle")
    image = folder / "motorcycle_left.png"
    arguments = [image, "--out", tmp_path, "--focal-px", "994.978", "--save", "npz"]
    assert main([str(word) for word in arguments]) == 0
    depth = np.load(tmp_path / "motorcycle_left_depth_m.npz")["depth"]
    archive = np.load(folder / "motorcycle_disp.npz")
    disparity = archive[archive.files[0]]
    with np.errstate(divide="ignore"):
        truth = 994.978 * 0.193001 / (disparity + 31.086)
    known = np.isfinite(disparity) & (disparity > 0) & np.isfinite(depth)
    scale = np.median(truth[known]) / np.median(depth[known])
    assert 0.5 < scale < 2.0
    found = scale * depth[known]
    assert np.mean(np.maximum(found / truth[known], truth[known] / found) < 1.25) > 0.5
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
def test_impossible_arguments_are_refused(capsys, arguments, message):
    with pytest.raises(SystemExit, match=r"^1$"):
        main(["x.png", "--out", "o", *arguments])
    text = capsys.readouterr().err
    assert message in text
    assert "usage" not in text
    assert "estimate_depth --help shows all arguments" in text
