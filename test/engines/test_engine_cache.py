"""Engines kept between starts: where, found by what, built once, and what cannot be kept."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from engine_cases import HERE, PLAN, SIDECAR, WANTED, written

from depth_estimation_ros.engines.tensorrt import cache, engine_file
from depth_estimation_ros.engines.tensorrt.cache import (
    building,
    cache_directory,
    cached_path,
    find_engine,
    find_or_build,
    not_there,
    timing_cache_path,
)
from depth_estimation_ros.engines.tensorrt.engine_file import sidecar_path
from depth_estimation_ros.engines.tensorrt.profile import Profile
from depth_estimation_ros.errors import EngineError

TEST = Path(__file__).resolve().parents[1]
SMALLER = dataclasses.replace(
    WANTED, profile=Profile((1, 48, 64, 3), (1, 48, 64, 3), (1, 48, 64, 3))
)


def never(path: Path) -> None:
    raise AssertionError("built all the same")


class TestDirectory:
    @pytest.fixture(autouse=True)
    def _home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/robot")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv(cache.DIRECTORY_VARIABLE, raising=False)

    def test_the_parameter_comes_first_then_the_variable_then_xdg_then_home(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert cache_directory() == Path("/home/robot/.cache/depth_estimation_ros/engines")
        monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
        assert cache_directory("") == Path("/var/cache/depth_estimation_ros/engines")
        monkeypatch.setenv(cache.DIRECTORY_VARIABLE, "~/engines")
        assert cache_directory() == Path("/home/robot/engines")
        assert cache_directory("/opt/engines") == Path("/opt/engines")

    def test_a_relative_xdg_directory_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "cache")
        assert cache_directory() == Path("/home/robot/.cache/depth_estimation_ros/engines")

    def test_without_a_home_it_has_to_be_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def homeless(cls: type[Path]) -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", classmethod(homeless))
        with pytest.raises(EngineError, match="DEPTH_ESTIMATION_ENGINE_CACHE"):
            cache_directory()


class TestPlace:
    @pytest.mark.parametrize(
        "wanted",
        [
            dataclasses.replace(WANTED, onnx_sha256="b" * 64),
            dataclasses.replace(WANTED, precision="fp32"),
            dataclasses.replace(WANTED, card=dataclasses.replace(WANTED.card, licence="GPL")),
            SMALLER,
        ],
    )
    def test_everything_that_is_wanted_is_in_it(self, wanted: cache.Wanted) -> None:
        assert cached_path(Path(), wanted, HERE) != cached_path(Path(), WANTED, HERE)

    @pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(HERE)])
    def test_everything_of_the_machine_is_in_it(self, field: str) -> None:
        there = dataclasses.replace(HERE, **{field: "other"})
        assert cached_path(Path(), WANTED, there) != cached_path(Path(), WANTED, HERE)

    def test_the_name_of_the_model_is_not(self) -> None:
        named = dataclasses.replace(WANTED, model="tiny")
        assert cached_path(Path("x"), named, HERE) == cached_path(Path("x"), WANTED, HERE)

    def test_measurements_of_layers_are_kept_by_gpu_and_version(self) -> None:
        path = timing_cache_path(Path("x"), HERE)
        assert path == Path("x/timing-tensorrt-10.3.0-Orin-nvgpu-8.7.cache")


class TestFind:
    def test_nothing_in_a_cache_that_is_not_there(self, tmp_path: Path) -> None:
        assert find_engine(tmp_path / "none", WANTED, HERE) is None

    def test_what_fits_is_found_whatever_its_key(self, tmp_path: Path) -> None:
        path = written(tmp_path / f"{'a' * 12}-fp16-built-ahead.engine")
        assert find_engine(tmp_path, WANTED, HERE) == (path, PLAN, SIDECAR)

    def test_an_engine_for_more_shapes_will_do(self, tmp_path: Path) -> None:
        written(cached_path(tmp_path, WANTED, HERE))
        assert find_engine(tmp_path, SMALLER, HERE) is not None

    def test_what_does_not_fit_is_not(self, tmp_path: Path) -> None:
        written(cached_path(tmp_path, WANTED, HERE))
        assert find_engine(tmp_path, dataclasses.replace(WANTED, precision="fp32"), HERE) is None
        there = dataclasses.replace(HERE, compute_capability="8.6")
        assert find_engine(tmp_path, WANTED, there) is None

    def test_the_newest_of_several(self, tmp_path: Path) -> None:
        for age in (3, 1, 2):
            path = written(tmp_path / f"{'a' * 12}-fp16-{age}.engine")
            os.utime(path, (1000 - age, 1000 - age))
        found = find_engine(tmp_path, WANTED, HERE)
        assert found is not None
        assert found.path.name.endswith("-1.engine")

    @pytest.mark.parametrize("damage", ["plan", "sidecar", "no sidecar", "folder"])
    def test_damage_is_passed_over_and_logged(
        self, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = written(cached_path(tmp_path, WANTED, HERE))
        if damage == "plan":
            path.write_bytes(PLAN[:-2])
        elif damage == "sidecar":
            sidecar_path(path).write_text("{")
        elif damage == "no sidecar":
            sidecar_path(path).unlink()
        else:
            path.unlink()
            path.mkdir()
        with caplog.at_level(logging.WARNING):
            assert find_engine(tmp_path, WANTED, HERE) is None
        assert path.name in caplog.text
        assert find_or_build(tmp_path / "new", WANTED, HERE, written).plan == PLAN


class TestNotThere:
    def test_the_error_says_what_to_run(self, tmp_path: Path) -> None:
        said = str(not_there(tmp_path, WANTED, HERE))
        assert re.match(r"no fp16 engine of .*tiny\.onnx.*build_engine --mo", said)

    def test_and_where_the_engine_has_to_go(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        option = f"--engine-cache {tmp_path} (or set the parameter 'build_engine')"
        assert str(not_there(tmp_path, WANTED, HERE)).endswith(option)
        monkeypatch.setenv(cache.DIRECTORY_VARIABLE, str(tmp_path))
        assert "--engine-cache" not in str(not_there(tmp_path, WANTED, HERE))

    def test_int8_is_not_built_by_the_node(self, tmp_path: Path) -> None:
        wanted = dataclasses.replace(WANTED, precision="int8")
        assert "'build_engine'" not in str(not_there(tmp_path, wanted, HERE))

    def test_and_what_is_there_instead(self, tmp_path: Path) -> None:
        written(cached_path(tmp_path, WANTED, HERE))
        updated = dataclasses.replace(HERE, tensorrt_version="10.16.1.11")
        said = str(not_there(tmp_path, WANTED, updated))
        assert "but it is for TensorRT 10.3.0, and here is 10." in said


class TestBuild:
    def test_it_is_built_once(self, tmp_path: Path) -> None:
        built = []

        def build(path: Path) -> None:
            built.append(written(path))

        first = find_or_build(tmp_path, WANTED, HERE, build)
        assert find_or_build(tmp_path, WANTED, HERE, build) == first == (*built, PLAN, SIDECAR)

    def test_a_failed_build_leaves_no_engine_and_no_lock(self, tmp_path: Path) -> None:
        def fail(path: Path) -> None:
            raise EngineError("no")

        with pytest.raises(EngineError, match="no"):
            find_or_build(tmp_path, WANTED, HERE, fail)
        assert find_or_build(tmp_path, WANTED, HERE, written).sidecar == SIDECAR

    def test_a_directory_that_cannot_be_made_is_known_before_building(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(EngineError, match=r"cannot be written.*DEPTH_ESTIMATION_ENGINE_CACHE"):
            find_or_build(tmp_path / "file" / "cache", WANTED, HERE, never)

    def test_a_full_disk_is_known_before_building(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(engine_file.os, "fsync", full)
        with pytest.raises(EngineError, match="No space left on device"):
            find_or_build(tmp_path, WANTED, HERE, never)

    def test_a_disk_that_is_full_after_the_build_keeps_the_engine_of_before(
        self, full_disk: Path
    ) -> None:
        path = written(full_disk / "x.engine")
        plan = bytes(1 << 20)
        larger = dataclasses.replace(
            SIDECAR, plan_sha256=engine_file.plan_sha256(plan), plan_bytes=len(plan)
        )
        with pytest.raises(EngineError, match=r"x.engine of 1 MB cannot be written \(No space"):
            written(path, larger, plan)
        assert engine_file.load_engine_file(path) == (PLAN, SIDECAR)
        names = {file.name for file in full_disk.iterdir()}
        assert names == {"filled", "x.engine", sidecar_path(path).name}


OTHER_PROCESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, {test!r})
from engine_cases import HERE, WANTED, written
from depth_estimation_ros.engines.tensorrt.cache import find_or_build

def build(path):
    print("building", flush=True)
    sys.stdin.readline()
    written(path)
    with Path({log!r}).open("a") as log:
        log.write("built\\n")

find_or_build(Path({cache!r}), WANTED, HERE, build)
"""


class TestTwoProcesses:
    @pytest.fixture
    def other(self, tmp_path: Path) -> subprocess.Popen[str]:
        """Another process that builds the same engine, and goes on when it gets a line."""
        code = OTHER_PROCESS.format(
            test=str(TEST / "helpers"), log=str(tmp_path / "log"), cache=str(tmp_path / "cache")
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], text=True, cwd=TEST.parent, **pipes
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "building\n"
        yield child
        child.kill()
        child.communicate()

    def test_the_second_waits_and_takes_what_the_first_built(
        self, tmp_path: Path, other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "_POLL_S", 0.01)
        said: list[str] = []

        def let_the_other_finish(words: str) -> None:
            said.append(words)
            assert other.stdin is not None
            threading.Timer(0.05, lambda: (other.stdin.write("\n"), other.stdin.flush())).start()

        found = find_or_build(tmp_path / "cache", WANTED, HERE, never, say=let_the_other_finish)
        assert found.plan == PLAN
        assert len(said) == 1
        assert "another process is building" in said[0]
        assert other.wait(10) == 0
        assert (tmp_path / "log").read_text() == "built\n"

    def test_one_that_dies_holds_nobody_up(
        self, tmp_path: Path, other: subprocess.Popen[str]
    ) -> None:
        other.kill()
        other.wait()
        assert find_or_build(tmp_path / "cache", WANTED, HERE, written).plan == PLAN

    def test_waiting_can_be_cancelled(self, tmp_path: Path, other: subprocess.Popen[str]) -> None:
        path = cached_path(tmp_path / "cache", WANTED, HERE)
        with pytest.raises(EngineError, match="cancelled"), building(path, cancelled=lambda: True):
            pass
