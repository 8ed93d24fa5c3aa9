"""The bench keeps what it measures with the command and the machine, and makes tables of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

BENCH = Path(__file__).resolve().parents[2] / "benchmarks" / "bench.py"
FROM_IMAGE_TO_CLOUD = ("resize", "upsample, limits", "depth message", "cloud and its message")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCH), *arguments], capture_output=True, text=True, env=os.environ
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    done = bench("--quick", "--only", "stages", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_command_and_machine_come_first(folder: Path) -> None:
    content = json.loads((folder / "stages.json").read_text())
    assert list(content)[:4] == ["command", "date", "quick", "machine"]
    assert content["command"].startswith("make bench ARGS=")
    assert "--only stages" in content["command"]
    assert content["quick"] is True
    assert content["machine"]["cores"] == os.cpu_count()
    assert content["machine"]["processor"]


def test_steps_bound_by_memory_stand_beside_a_copy_of_as_many_bytes(folder: Path) -> None:
    rows = json.loads((folder / "stages.json").read_text())["numbers"]["sizes"]["640x480"]
    counted = {row["step"]: row for row in rows if row["counts"]}
    assert tuple(counted) == FROM_IMAGE_TO_CLOUD
    pixels = 640 * 480
    assert counted["depth message"]["bytes"] == 2 * 4 * pixels
    assert counted["cloud and its message"]["bytes"] == (4 + 8 + 3 + 16) * pixels
    for row in counted.values():
        assert row["memcpy_p50"] > 0
        assert 0 < row["p50"] <= row["p99"]
        assert row["processor_least"] > row["memcpy_processor_least"] > 0


def test_the_kept_tables_are_those_of_the_kept_files(tmp_path: Path) -> None:
    kept = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"
    for path in kept.glob("*.json"):
        shutil.copy(path, tmp_path)
    done = bench("--render", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "README.md").read_text() == (kept / "README.md").read_text()


def test_tables_are_made_of_the_files_alone(folder: Path) -> None:
    made = (folder / "README.md").read_text()
    (folder / "README.md").unlink()
    assert bench("--render", str(folder)).returncode == 0
    assert (folder / "README.md").read_text() == made
    assert "| sum of * (aim 2.5x) |" in made
    assert "### Processor time of the steps that count, 640x480" in made


def test_an_unknown_section_is_refused() -> None:
    done = bench("--only", "no_such_section")
    assert done.returncode == 2
    assert "end_to_end" in done.stderr


def test_summary_refuses_sections_not_measured(folder: Path) -> None:
    from summary import fill

    with pytest.raises(SystemExit, match="lacks end_to_end, startup"):
        fill(folder / "speed.md", folder)
