"""In which order the runner asks things of TensorRT and CUDA.

Without a GPU nothing runs here: `Recorder` stands where the GPU, the engine and its context would
stand, writes down what is asked, and computes nothing. What comes out of an engine is measured on
a GPU, by `make gpu-check`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from depth_estimation_ros.engines.tensorrt import execution
from depth_estimation_ros.engines.tensorrt.execution import Execution
from depth_estimation_ros.errors import EngineError

SMALLEST, LARGEST = (1, 48, 64, 3), (4, 48, 64, 3)
TRT = SimpleNamespace(TensorIOMode=SimpleNamespace(INPUT=1, OUTPUT=2))


class Recorder:
    """The GPU, the engine and the execution context in one, each call noted in `calls`."""

    stream = 7
    num_io_tensors = 2

    def __init__(self, output_type: str = "FLOAT", accepts_shape: bool = True) -> None:
        self.calls: list[str] = []
        self.types = {"image": "UINT8", "depth": output_type}
        self.accepts_shape = accepts_shape
        self.shape: tuple[int, ...] = ()
        self.pinned: list[int] = []

    # The GPU

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        yield

    def allocate_pinned(self, nbytes: int) -> np.ndarray:
        self.pinned.append(nbytes)
        return np.zeros(nbytes, np.uint8)

    def allocate(self, nbytes: int) -> int:
        return 4096 + nbytes

    def upload(self, address: int, source: np.ndarray) -> None:
        self.calls.append(f"upload {source.size}")

    def download(self, target: np.ndarray, address: int) -> None:
        self.calls.append(f"download {target.size}")

    def wait(self) -> None:
        self.calls.append("wait")

    # The engine

    def get_tensor_name(self, index: int) -> str:
        return ("image", "depth")[index]

    def get_tensor_mode(self, name: str) -> int:
        return 1 if name == "image" else 2

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self.types[name])

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [SMALLEST, SMALLEST, LARGEST]

    def create_execution_context(self) -> Recorder:
        return self

    # The context

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return self.accepts_shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape[:3]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.calls.append(f"address of {name}")
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.calls.append("enqueue")
        return stream == self.stream


class Graph:
    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def launch(self) -> None:
        self.calls.append("launch")

    def close(self) -> None:
        self.calls.append("drop")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()

    def capture(stream: int, work: Any) -> Graph:
        recorder.calls.append("capture")
        return Graph(recorder.calls)

    monkeypatch.setattr(execution, "capture", capture)
    return recorder


def opened(recorder: Recorder) -> Execution:
    runner = Execution(TRT, recorder, recorder, "a.engine", lambda: "out of luck")
    recorder.calls.clear()
    return runner


def batch(count: int = 1) -> np.ndarray:
    return np.zeros((count, 48, 64, 3), np.uint8)


def test_memory_is_allocated_once_for_the_largest_batch_and_two_results() -> None:
    recorder = Recorder()
    runner = Execution(TRT, recorder, recorder, "a.engine", str)
    assert recorder.pinned == [4 * 48 * 64 * 3, 4 * 48 * 64 * 4, 4 * 48 * 64 * 4]
    assert recorder.calls == ["address of image", "address of depth"]
    for count in (1, 4, 2):
        assert runner.run(batch(count)).shape == (count, 48, 64)
    assert len(recorder.pinned) == 3


def test_one_ordinary_run_then_the_graph_is_captured_once_and_launched(recorder: Recorder) -> None:
    runner = opened(recorder)
    copies = ["download 12288", "wait"]
    runner.run(batch())
    assert recorder.calls == ["upload 9216", "enqueue", *copies]
    assert runner.graph == ""
    recorder.calls.clear()
    runner.run(batch())
    runner.run(batch())
    assert recorder.calls == ["capture", *(["upload 9216", "launch", *copies] * 2)]
    assert runner.graph == "CUDA graph"


def test_another_shape_drops_the_graph_and_begins_with_an_ordinary_run(recorder: Recorder) -> None:
    runner = opened(recorder)
    runner.run(batch())
    runner.run(batch())
    recorder.calls.clear()
    runner.run(batch(2))
    assert recorder.calls == ["drop", "upload 18432", "enqueue", "download 24576", "wait"]
    runner.run(batch(2))
    assert recorder.calls[-4:] == ["upload 18432", "launch", "download 24576", "wait"]


@pytest.mark.parametrize(
    "error",
    [
        EngineError("CUDA graphs need cuda-bindings"),
        RuntimeError('Function "cuGraphInstantiate" not found'),  # of cuda-bindings, old driver
    ],
)
def test_without_graphs_every_run_is_an_ordinary_one_and_the_reason_is_kept(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    attempts = []

    def refuse(stream: int, work: Any) -> None:
        attempts.append(stream)
        raise error

    monkeypatch.setattr(execution, "capture", refuse)
    recorder = Recorder()
    runner = opened(recorder)
    for _ in range(4):
        runner.run(batch())
    assert recorder.calls.count("enqueue") == 4
    assert attempts == [7]
    assert runner.graph == f"no CUDA graph: {error}"


def test_kernels_are_saved_once_after_the_second_run_of_a_shape(recorder: Recorder) -> None:
    runner = opened(recorder)
    runner._kernels = SimpleNamespace(save=lambda: recorder.calls.append("save"))
    for count in (1, 1, 1, 2, 2, 2):
        runner.run(batch(count))
    assert [call for call in recorder.calls if call in ("wait", "save")] == [
        *("wait", "wait", "save", "wait"),
        *("wait", "wait", "save", "wait"),
    ]


def test_the_network_is_timed_alone_without_copies_and_waited_for_once(recorder: Recorder) -> None:
    runner = opened(recorder)
    runner.run(batch())
    recorder.calls.clear()
    assert runner.time_alone(3) > 0.0
    assert recorder.calls == ["wait", "enqueue", "enqueue", "enqueue", "wait"]


def test_results_take_turns_between_two_buffers(recorder: Recorder) -> None:
    runner = opened(recorder)
    first, second, third = (runner.run(batch()) for _ in range(3))
    assert not np.shares_memory(first, second)
    assert np.shares_memory(first, third)


def test_tensorrt_rtx_captures_its_graphs_itself() -> None:
    recorder = Recorder()
    config = SimpleNamespace(cuda_graph_strategy=None)
    rtx = SimpleNamespace(
        TensorIOMode=TRT.TensorIOMode,
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"),
    )
    recorder.create_runtime_config = lambda: config  # type: ignore[attr-defined]
    recorder.create_execution_context = lambda given: recorder  # type: ignore[method-assign]
    runner = Execution(rtx, recorder, recorder, "a.engine", str)  # type: ignore[arg-type]
    recorder.calls.clear()
    for _ in range(3):
        runner.run(batch())
    assert config.cuda_graph_strategy == "whole"
    assert recorder.calls.count("enqueue") == 3
    assert runner.graph == "CUDA graph by TensorRT-RTX"


@pytest.mark.parametrize("kept", [b"", b"compiled yesterday"])
def test_tensorrt_rtx_gets_its_kernels_back_and_keeps_them_before_the_context_goes(
    tmp_path: Path, kept: bytes
) -> None:
    """The order of calls and the file; what the kernels are only a GPU can tell."""
    path = tmp_path / "a.engine.kernels"
    if kept:
        path.write_bytes(hashlib.sha256(kept).digest() + kept)
    recorder = Recorder()
    calls = recorder.calls

    class Cache:
        def deserialize(self, blob: bytes) -> bool:
            calls.append(f"deserialize {blob!r}")
            return True

        def serialize(self) -> bytes:
            calls.append("serialize")
            return b"compiled today"

    class Config:
        cuda_graph_strategy = None

        def create_runtime_cache(self) -> Cache:
            return Cache()

        def set_runtime_cache(self, cache: Cache) -> bool:
            calls.append("set")
            return True

    def context(config: Config) -> Recorder:
        calls.append("context")
        return recorder

    rtx = SimpleNamespace(
        TensorIOMode=TRT.TensorIOMode,
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"),
    )
    recorder.create_runtime_config = Config  # type: ignore[attr-defined]
    recorder.create_execution_context = context  # type: ignore[assignment]
    runner = Execution(rtx, recorder, recorder, "a.engine", str, path)  # type: ignore[arg-type]
    given_back = [f"deserialize {kept!r}"] if kept else []
    assert calls[: 2 + len(given_back)] == [*given_back, "set", "context"]
    runner.close()
    runner.close()
    assert calls.count("serialize") == 1
    assert path.read_bytes()[32:] == b"compiled today"


def test_a_batch_larger_than_the_profile_is_refused_before_anything_is_copied(
    recorder: Recorder,
) -> None:
    runner = opened(recorder)
    with pytest.raises(EngineError, match=r"found \(5, 48, 64, 3\), expected \(1...4, 48, 64, 3\)"):
        runner.run(batch(5))
    assert recorder.calls == []


def test_a_step_that_tensorrt_refuses_is_named_with_what_it_logged() -> None:
    recorder = Recorder()
    runner = opened(recorder)
    recorder.accepts_shape = False
    with pytest.raises(EngineError) as caught:
        runner.run(batch())
    assert str(caught.value).startswith(
        "a.engine: TensorRT failed while setting the input shape (1, 48, 64, 3) (out of luck)"
    )


def test_an_engine_of_another_kind_is_refused() -> None:
    recorder = Recorder(output_type="HALF")
    with pytest.raises(EngineError, match=r"a\.engine: the engine is not of a depth network"):
        opened(recorder)
