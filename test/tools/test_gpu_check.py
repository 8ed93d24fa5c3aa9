"""`make gpu-check` where there is no GPU: it says so and is not green."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvidia_driver import has_driver

GPU_CHECK = Path(__file__).resolve().parents[2] / "tools" / "gpu_check"


@pytest.fixture
def _gpu_check_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GPU_CHECK))


def test_without_a_gpu_it_names_what_did_not_run_and_why(tmp_path: Path) -> None:
    if has_driver():
        pytest.skip("NVIDIA's driver is here: run make gpu-check")
    command = [sys.executable, str(GPU_CHECK / "check.py"), "--out", str(tmp_path / "x.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 77, done.stderr
    kept = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line["part"] for line in kept[1:]] == [
        "compact as an engine in fp32",
        "compact as an engine in fp16",
        "compact as an engine in int8",
        "tests of memory, threads and graphs",
        "tests of engines",
        "tests of the node",
        "times of engines",
        "times of PyTorch",
        "times of torch.compile",
    ]
    for line in kept[1:]:
        assert line["verdict"].startswith("not run: ")
        assert f"{line['part']}: {line['verdict']}" in done.stdout
    assert "everything ran" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.usefixtures("_gpu_check_modules")
def test_when_the_minutes_are_over_the_rows_so_far_are_kept(tmp_path: Path) -> None:
    from parts import Outcome, _rows
    from rich.console import Console
    from rows import Row

    outcome = Outcome(tmp_path / "x.jsonl", Console(file=io.StringIO()), time.monotonic() + 60)

    def rows() -> Iterator[Row]:
        for batch in (1, 2, 4):
            if batch == 2:
                outcome.end = 0.0
            yield Row("compact", "480x640", "TensorRT", "fp16", batch, p50=2.0, p99=3.0)

    assert [row.batch for row in _rows("times", rows, outcome)] == [1, 2]
    kept = [json.loads(line) for line in outcome.file.read_text().splitlines()]
    assert [line.get("batch", line.get("verdict")) for line in kept] == [
        *(1, 2),
        "not run: no time left, see --minutes",
    ]


@pytest.mark.usefixtures("_gpu_check_modules")
def test_each_network_is_measured_at_the_nearest_size_that_it_takes() -> None:
    pytest.importorskip("torch")
    from random_networks import size_for

    assert size_for("enc_dec_irv2", 480, 640) == (480, 640)
    assert size_for("dinov2_dpt", 480, 640) == (476, 644)


@pytest.mark.usefixtures("_gpu_check_modules")
def test_the_table_tells_the_hosts_part_and_images_per_second() -> None:
    pytest.importorskip("rich")
    from rich.console import Console
    from rows import Row, table

    row = Row("compact", "480x640", "TensorRT", "fp16", 4, p50=2.0, p99=3.0, gpu=1.5)
    assert row.images_per_second == 2000.0
    console = Console(width=200, file=io.StringIO())
    console.print(table([row], "times"))
    (line,) = [line for line in console.file.getvalue().splitlines() if "compact" in line]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        *("compact", "480x640", "TensorRT", "fp16", "4"),
        *("2.00", "3.00", "1.50", "0.50", "2000"),
    ]


@pytest.mark.usefixtures("_gpu_check_modules")
def test_pytorchs_rows_are_measured_by_code_that_runs_on_a_processor_too() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("rich")
    from torch_rows import torch_rows

    rows = list(torch_rows("cpu", [1, 2], 2, (32, 64), compiled=False, names=["compact"]))
    assert [(row.precision, row.batch) for row in rows] == [
        ("fp32", 1),
        ("fp32", 2),
        ("fp16", 1),
        ("fp16", 2),
    ]
    assert all(row.size == "32x64" and 0.0 < row.p50 <= row.p99 for row in rows)


@pytest.mark.usefixtures("_gpu_check_modules")
def test_int8_engines_are_calibrated_on_rooms_of_the_demos_recording() -> None:
    pytest.importorskip("rosbags")
    import numpy as np
    from builds import calibration_images

    images = calibration_images()
    assert [image.shape for image in images] == 8 * [(480, 640, 3)]
    for first, second in itertools.combinations(images, 2):
        assert np.mean(first != second) > 0.5
    # Rooms are smooth, with few edges; noise is not.
    steps = np.abs(np.diff(np.stack(images).astype(np.int16), axis=2))
    assert np.median(steps) <= 3.0
    assert np.percentile(steps, 99) > 20.0
