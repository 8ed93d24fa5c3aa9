"""The file of compiled kernels beside an engine: read, refused, written.

`Config` and `Cache` stand where TensorRT-RTX's objects would: those come from an engine on a GPU.
Nothing here says whether TensorRT-RTX makes use of the file.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from depth_estimation_ros.engines.tensorrt import engine_file
from depth_estimation_ros.engines.tensorrt.execution import RuntimeCache, runtime_cache_path

OLD, NEW = b"kernels of yesterday" * 50, b"kernels of today" * 80


class Cache:
    def __init__(self, accepts: bool) -> None:
        self.accepts = accepts
        self.contents = b""
        self.given: list[bytes] = []

    def deserialize(self, blob: bytes) -> bool:
        self.given.append(blob)
        if self.accepts:
            self.contents = blob
        return self.accepts

    def serialize(self) -> memoryview:
        return memoryview(self.contents)


class Config:
    def __init__(self, accepts: bool = True, has_cache: bool = True) -> None:
        self.cache = Cache(accepts)
        self.has_cache = has_cache

    def create_runtime_cache(self) -> Cache | None:
        return self.cache if self.has_cache else None

    def set_runtime_cache(self, cache: Cache) -> bool:
        return cache is self.cache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return runtime_cache_path(tmp_path / "compact.engine")


def kept(path: Path, blob: bytes = OLD) -> None:
    path.write_bytes(hashlib.sha256(blob).digest() + blob)


def test_the_file_lies_beside_the_engine_and_is_no_engine(path: Path) -> None:
    assert path.name == "compact.engine.kernels"
    kept(path)
    assert list(path.parent.glob("*.engine")) == []


def test_what_was_written_is_given_back_at_the_next_start(path: Path) -> None:
    first = Config()
    cache = RuntimeCache(first, path)
    assert first.cache.given == []  # there was no file
    first.cache.contents = NEW
    cache.save()
    second = Config()
    RuntimeCache(second, path)
    assert second.cache.given == [NEW]
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


def test_without_new_kernels_nothing_is_written(path: Path) -> None:
    RuntimeCache(Config(), path).save()
    assert not path.exists()
    kept(path)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    RuntimeCache(Config(), path).save()
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


@pytest.mark.parametrize(
    "contents",
    [b"", b"short", hashlib.sha256(OLD).digest() + OLD[:-1], b"x" * 32 + OLD],
    ids=["empty", "short", "cut off", "changed"],
)
def test_a_damaged_file_is_ignored_with_a_line_in_the_log_and_then_replaced(
    path: Path, contents: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(contents)
    config = Config()
    with caplog.at_level(logging.INFO):
        cache = RuntimeCache(config, path)
    assert config.cache.given == []
    assert caplog.messages == [f"{path} is damaged: compiling kernels again"]
    config.cache.contents = NEW
    cache.save()
    assert path.read_bytes()[32:] == NEW


def test_a_file_that_tensorrt_rtx_refuses_is_told_and_replaced(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept(path)
    config = Config(accepts=False)
    with caplog.at_level(logging.INFO):
        cache = RuntimeCache(config, path)
    assert caplog.messages == [
        f"{path} is of another GPU, driver or release: compiling kernels again"
    ]
    config.cache.contents = OLD  # the same bytes again: still new to this release
    path.unlink()
    cache.save()
    assert path.read_bytes()[32:] == OLD


def test_a_file_that_cannot_be_read_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir()
    with caplog.at_level(logging.INFO):
        RuntimeCache(Config(), path)
    assert "cannot be read (" in caplog.messages[0]


def test_a_full_disk_leaves_the_old_file_and_a_line_in_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    kept(path)
    config = Config()
    cache = RuntimeCache(config, path)
    config.cache.contents = NEW
    monkeypatch.setattr(engine_file.os, "fsync", full)
    cache.save()
    assert "the next start compiles kernels again" in caplog.messages[0]
    assert "No space left on device" in caplog.messages[0]
    assert path.read_bytes()[32:] == OLD
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_release_without_such_a_cache_runs_all_the_same(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    RuntimeCache(Config(has_cache=False), path).save()
    assert caplog.messages == ["TensorRT-RTX makes no runtime cache: each start compiles kernels"]
    assert not path.exists()
