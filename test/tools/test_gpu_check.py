"""`make gpu-check` where there is no GPU: it says so and is not green."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from nvidia_driver import has_driver

GPU_CHECK = Path(__file__).resolve().parents[2] / "tools" / "gpu_check"


@pytest.fixture
def _gpu_check_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GPU_CHECK))


def test_without_a_gpu_it_names_what_did_not_run_and_why() -> None:
    if has_driver():
        pytest.skip("NVIDIA's driver is here: run make gpu-check")
    pytest.importorskip("rich")
    command = [sys.executable, str(GPU_CHECK / "check.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 77, done.stderr
    for part in (
        "tests of memory, threads and graphs",
        "tests of engines",
        "times of engines",
        "times of PyTorch",
        "times of torch.compile",
    ):
        assert f"not run: {part}: " in done.stdout
    assert "everything ran" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.usefixtures("_gpu_check_modules")
def test_each_network_is_measured_at_the_nearest_size_that_it_takes() -> None:
    pytest.importorskip("torch")
    from random_networks import size_for

    assert size_for("enc_dec_irv2", 480, 640) == (480, 640)
    assert size_for("dinov2_dpt", 480, 640) == (476, 644)


@pytest.mark.usefixtures("_gpu_check_modules")
def test_the_table_tells_the_hosts_part_and_pictures_per_second() -> None:
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
