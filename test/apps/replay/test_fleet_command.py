"""The command line of replay with several recordings and workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from demo_recordings import standard_bag
from fleet_cases import messages
from tiny_models import red_depth, slow_depth

from depth_estimation_ros.apps.replay.command import main

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("command")


@pytest.fixture(scope="module")
def bags(room: Path) -> list[str]:
    return [str(standard_bag(room / name, 3)) for name in ("drive", "walk")]


@pytest.fixture(scope="module")
def model(room: Path) -> str:
    return str(red_depth(room / "red.onnx"))


def test_several_recordings_give_a_folder_of_results_and_a_table(bags, model, tmp_path, capsys):
    out = tmp_path / "out"
    code = main([*bags, "--output", str(out), "--model", model, "--workers", "2"])
    printed = capsys.readouterr().out
    assert code == 0
    assert {path.name for path in out.iterdir()} == {"drive", "walk", "fleet.json"}
    for name in ("drive", "walk"):
        assert f"{name:<11}" in printed
        assert {"replay.json", "frames.csv", "report.html", "metadata.yaml"} <= {
            path.name for path in (out / name).iterdir()
        }
    assert "2 recordings in" in printed
    assert "fleet.json" in printed
    assert "Traceback" not in printed


def test_the_exit_code_is_the_worst_and_the_table_says_why(bags, model, tmp_path, capsys):
    arguments = [bags[0], str(tmp_path / "gone.bag"), "--output", str(tmp_path / "out")]
    code = main([*arguments, "--model", model, "--no-report", "--quiet"])
    printed = capsys.readouterr().out
    assert code == 1
    assert "failed" in printed
    assert "gone.bag" in printed
    assert "--resume" in printed
    assert not (tmp_path / "out" / "drive" / "report.html").exists()


def test_one_recording_in_chunks_has_one_result(bags, model, tmp_path):
    one = ["--output", str(tmp_path / "out"), "--model", model, "--chunk", "0.15"]
    assert main([bags[0], *one]) == 0
    result = tmp_path / "out" / "drive"
    assert (result / "report.html").stat().st_size > 1000
    assert len(messages(result)) == 9  # depth, camera_info and points of 3 images


def test_results_that_are_there_are_not_touched(bags, model, tmp_path, capsys):
    arguments = [*bags, "--output", str(tmp_path / "out"), "--model", model, "--no-report"]
    assert main(arguments) == 0
    before = (tmp_path / "out" / "walk" / "replay.json").stat().st_mtime_ns
    assert main(arguments) == 1
    assert "--overwrite, or go on with --resume" in " ".join(capsys.readouterr().out.split())
    assert main([*arguments, "--resume"]) == 0
    assert "done before" in capsys.readouterr().out
    assert (tmp_path / "out" / "walk" / "replay.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("words", [["--workers", "two"], ["--chunk", "-1"], ["--retries", "x"]])
def test_numbers_that_cannot_be_are_refused(bags, words, capsys):
    with pytest.raises(SystemExit):
        main([*bags, "--output", "out", *words])
    assert "expected a" in capsys.readouterr().err


def test_help_says_what_a_cluster_needs(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("--workers N", "--ray ADDRESS", "machines share", "pip install ray"):
        assert words in text


def test_ctrl_c_stops_all_workers_in_order(room, tmp_path):
    model = str(slow_depth(room / "slow.onnx", 60))
    inputs = [str(standard_bag(room / f"long{i}", 45)) for i in range(2)]
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "depth_estimation_ros.apps.replay",
        *inputs,
        "--output",
        str(out),
    ]
    process = subprocess.Popen(
        [*command, "--model", model, "--workers", "2", "--outputs", "depth", "--threads", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # of which all get the signal, as in a terminal
    )
    try:
        deadline = time.monotonic() + 60
        told = [out / ".fleet" / Path(path).name / "progress.json" for path in inputs]
        while not all(path.exists() for path in told) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    written = json.loads((out / "fleet.json").read_text())
    for bag in written["bags"]:
        assert bag["exit_code"] == 130
        assert 0 < bag["frames_out"] < 45
        assert len(messages(Path(bag["output"]))) == bag["frames_out"]
