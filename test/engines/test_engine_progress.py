"""What a build says while it runs; the phases are those that TensorRT-RTX 1.7 really tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_cases import build
from tiny_models import red_depth

from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.tensorrt import builder
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.builder import BarProgress, BuildCancelled, LogProgress
from depth_estimation_ros.engines.tensorrt.make import ModelFile, read_model_file


class TestLog:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [100.0]
        monkeypatch.setattr(builder.time, "monotonic", lambda: now[0])
        return now

    def test_a_line_now_and_then(self, clock: list[float]) -> None:
        lines: list[str] = []
        log = LogProgress(lines.append, every=10.0)
        log.start("Building engine", None, 6)
        log.step("Building engine", 1)
        assert lines == []
        clock[0] += 10.0
        log.start("Timing tactics", "Building engine", 40)
        log.step("Timing tactics", 7)
        log.step("Timing tactics", 8)
        assert lines == ["building the engine for 10 s: Timing tactics 7/40"]
        clock[0] += 11.0
        log.finish("Timing tactics")
        log.step("Building engine", 2)
        assert lines[1:] == ["building the engine for 21 s: Building engine 2/6"]

    def test_a_phase_that_nobody_announced(self, clock: list[float]) -> None:
        lines: list[str] = []
        log = LogProgress(lines.append, every=0.0)
        log.step("Surprise", 3)
        log.finish("Surprise")
        assert lines == ["building the engine for 0 s: Surprise 3/3"]


def test_bars_are_nested_and_go_when_their_phase_ends() -> None:
    rich_progress = pytest.importorskip("rich.progress", reason="needs rich")
    bars = rich_progress.Progress(disable=True)
    shown = BarProgress(bars)
    shown.start("Building engine", None, 6)
    shown.start("Computing profile costs", "Building engine", 5)
    shown.start("Timing tactics", "Computing profile costs", 3)
    shown.step("Timing tactics", 2)
    described = [(task.description, task.completed, task.total) for task in bars.tasks]
    assert described == [
        ("Building engine", 0, 6),
        ("  Computing profile costs", 0, 5),
        ("    Timing tactics", 2, 3),
    ]
    shown.finish("Timing tactics")
    shown.finish("Computing profile costs")
    shown.finish("Building engine")  # the outermost stays, and is full now
    shown.finish("Building engine")
    shown.step("Timing tactics", 3)
    assert [(task.description, task.completed) for task in bars.tasks] == [("Building engine", 6)]


class TestBuild:
    """By TensorRT-RTX."""

    @pytest.fixture
    def compact(self) -> ModelFile:
        return read_model_file(resolve_model("compact"))

    @pytest.fixture
    def tiny(self, tmp_path: Path) -> Path:
        return red_depth(tmp_path / "tiny.onnx")

    def test_phases_come_and_go_in_their_order(self, rtx: TensorRT, compact: ModelFile) -> None:
        told: list[tuple[str, str]] = []

        class Told:
            def start(self, phase: str, parent: str | None, steps: int) -> None:
                assert steps > 0
                told.append(("start", phase))

            def step(self, phase: str, done: int) -> None:
                assert done > 0

            def finish(self, phase: str) -> None:
                told.append(("finish", phase))

        build(rtx, compact.path, compact.card.input, progress=Told())
        assert told[0][0] == "start"
        assert told[-1] == ("finish", told[0][1])
        assert len(told) % 2 == 0

    def test_a_display_that_fails_does_not_end_the_build(self, rtx: TensorRT, tiny: Path) -> None:
        class Broken:
            def start(self, phase: str, parent: str | None, steps: int) -> None:
                raise RuntimeError("no terminal")

            step = finish = start

        assert build(rtx, tiny, progress=Broken())

    def test_a_build_can_be_cancelled(self, rtx: TensorRT, compact: ModelFile) -> None:
        asked = iter([False] * 5)
        with pytest.raises(BuildCancelled, match=r"compact\.onnx: the build was cancelled"):
            build(rtx, compact.path, compact.card.input, cancelled=lambda: next(asked, True))
