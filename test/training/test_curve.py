"""The image of a run's curve."""

import cv2
import numpy as np
import pytest

from training.__main__ import main
from training.curve import read_rows, series, smooth


@pytest.fixture
def resumed_run(tmp_path):
    for version, rows in (
        (2, "step,train/loss,val/abs_rel,val/delta1\n0,4.0,,\n1,2.0,,\n1,,0.5,0.4\n2,9.0,,\n"),
        (10, "step,train/loss,val/abs_rel,val/delta1\n2,1.0,,\n2,,0.3,0.6\n"),
    ):
        folder = tmp_path / "curve" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(rows)
    return tmp_path


def test_a_resumed_run_is_one_curve_without_the_steps_that_were_done_again(resumed_run):
    steps, values = series(read_rows(resumed_run), "train/loss")
    assert (steps.tolist(), values.tolist()) == ([0, 1, 2], [4.0, 2.0, 1.0])


def test_smoothing_is_a_running_mean():
    np.testing.assert_allclose(smooth(np.array([4.0, 2.0, 0.0, 1.0]), window=2), [4, 3, 1, 0.5])


def test_it_draws_a_image(resumed_run):
    out = resumed_run / "docs" / "curve.png"
    assert main(["curve", "--run", str(resumed_run), "--out", str(out)]) == 0
    assert cv2.imread(str(out)).std() > 5.0


def test_a_folder_without_a_curve_is_an_error(tmp_path, capsys):
    assert main(["curve", "--run", str(tmp_path), "--out", str(tmp_path / "c.png")]) == 1
    assert "holds no curve" in capsys.readouterr().err
