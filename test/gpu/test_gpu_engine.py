"""A TensorRT engine on a real GPU: right, steady, and gone when closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
from builds import build
from present import why_no_tensorrt
from test_gpu_cuda import MEGABYTE, free_memory

from depth_estimation_ros.engines import Engine, EngineOptions, open_engine, resolve_model
from depth_estimation_ros.errors import EngineError
from depth_estimation_ros.node.diagnostics.statistics import rss_mb
from depth_estimation_ros.node.worker import Worker

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(why_no_tensorrt()), reason=f"needs TensorRT: {why_no_tensorrt()}"),
]
FRAMES = 10_000


@pytest.fixture(scope="session")
def red_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """output = 1 + 8 * red / 255 for batches of 1 to 4 of 48x64."""
    folder = tmp_path_factory.mktemp("red")
    return build(tiny_models.red_depth(folder / "red.onnx"), "fp32", (1, 1, 4), (48, 64), folder)


@pytest.fixture(scope="session", params=["fp32", "fp16"])
def compact_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("compact")
    model = resolve_model("compact")
    return request.param, build(model, request.param, (1, 1, 1), (192, 256), folder)


@contextmanager
def opened(path: Path) -> Iterator[Engine]:
    engine = open_engine(path)
    try:
        yield engine
    finally:
        engine.close()


def test_depth_follows_the_red_channel_whatever_the_batch(red_engine: Path) -> None:
    random = np.random.default_rng(1)
    with opened(red_engine) as engine:
        assert engine.max_batch == 4
        for count in (1, 4, 2, 2, 2, 1, 1, 1):
            batch = random.integers(0, 256, (count, 48, 64, 3), np.uint8)
            depth = engine.infer(batch)
            assert (depth.shape, depth.dtype) == ((count, 48, 64), np.float32)
            np.testing.assert_allclose(depth, 1.0 + 8.0 * batch[..., 0] / 255.0, rtol=1e-5)
        with pytest.raises(EngineError, match=r"expected \(1\.\.\.4, 48, 64, 3\)"):
            engine.infer(np.zeros((5, 48, 64, 3), np.uint8))


def test_a_result_lives_until_the_call_after_the_next(red_engine: Path) -> None:
    with opened(red_engine) as engine:
        first = engine.infer(np.full((1, 48, 64, 3), 0, np.uint8))
        engine.infer(np.full((1, 48, 64, 3), 255, np.uint8))
        np.testing.assert_allclose(first, 1.0)
        engine.infer(np.full((1, 48, 64, 3), 51, np.uint8))
        np.testing.assert_allclose(first, 2.6, rtol=1e-5)


def test_the_third_run_of_a_shape_goes_through_a_cuda_graph(red_engine: Path) -> None:
    pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    with opened(red_engine) as engine:
        for _ in range(3):
            engine.infer(np.zeros((1, 48, 64, 3), np.uint8))
        if "by TensorRT-RTX" in engine.description:
            pytest.skip("TensorRT-RTX makes its own CUDA graphs, and does not tell when")
        assert "CUDA graph" in engine.description
        assert "no CUDA graph" not in engine.description


def test_the_bundled_model_says_the_same_as_on_onnx_runtime(
    compact_engine: tuple[str, Path],
) -> None:
    precision, path = compact_engine
    reference = open_engine("compact", EngineOptions("onnxruntime", providers=_CPU))
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    images = [np.random.default_rng(n).integers(0, 256, (192, 256, 3), np.uint8) for n in (1, 2)]
    images.append(np.broadcast_to(ramp[None, :, None], (192, 256, 3)).copy())
    with opened(path) as engine:
        for picture in images:
            expected = reference.infer(picture[None])[0]
            depth = engine.infer(picture[None])[0]
            error = np.abs(depth - expected) / expected
            assert np.mean(error) < {"fp32": 1e-3, "fp16": 1e-2}[precision]


def test_ten_thousand_frames_leave_no_memory_behind(compact_engine: tuple[str, Path]) -> None:
    batch = np.random.default_rng(3).integers(0, 256, (1, 192, 256, 3), np.uint8)
    with opened(compact_engine[1]) as engine:
        expected = engine.infer(batch).copy()
        for _ in range(500):
            engine.infer(batch)
        free, resident = free_memory(), rss_mb()
        for _ in range(FRAMES):
            depth = engine.infer(batch)
        np.testing.assert_allclose(depth, expected, rtol=1e-3)
        assert free - free_memory() < 2 * MEGABYTE
        assert rss_mb() - resident < 8.0


def test_opening_and_closing_in_threads_one_after_the_other_leaves_no_memory_behind(
    red_engine: Path,
) -> None:
    def session() -> None:
        with opened(red_engine) as engine:
            for _ in range(3):
                engine.infer(np.zeros((1, 48, 64, 3), np.uint8))

    def in_a_thread() -> None:
        thread = threading.Thread(target=session)
        thread.start()
        thread.join()

    in_a_thread()  # what CUDA loads once for the process
    free = free_memory()
    for _ in range(20):
        in_a_thread()
    assert free - free_memory() < 8 * MEGABYTE


def test_a_worker_owns_the_engine_and_nobody_else_may_use_it(red_engine: Path) -> None:
    engines: list[Engine] = []
    results: list[float] = []

    @contextmanager
    def processors() -> Iterator[dict[str, Any]]:
        with opened(red_engine) as engine:

            def process(image: Any) -> None:
                results.append(float(engine.infer(image.batch)[0, 0, 0]))

            engines.append(engine)
            yield {"": SimpleNamespace(process=process)}

    failures: list[Exception] = []
    worker = Worker(processors, failures.append)
    worker.start()
    for use in (
        lambda: engines[0].infer(np.zeros((1, 48, 64, 3), np.uint8)),
        engines[0].close,
    ):
        with pytest.raises(EngineError, match="the thread that opened it, 'depth_worker'"):
            use()
    batch: Any = np.full((1, 48, 64, 3), 255, np.uint8)
    worker.submit(SimpleNamespace(batch=batch, camera=""))
    while not results:
        worker.drain()
    worker.stop()
    assert failures == []
    assert results == [pytest.approx(9.0, rel=1e-5)]
    with pytest.raises(EngineError, match="the engine is closed"):
        engines[0].infer(np.zeros((1, 48, 64, 3), np.uint8))


_CPU = ("CPUExecutionProvider",)
