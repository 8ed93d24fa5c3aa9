"""OpenVINO as an engine: depth of ONNX Runtime, batches, shapes, what it says when it fails."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_models import constant_depth, red_depth

from depth_estimation_ros.engines import (
    Cancellable,
    Engine,
    EngineOptions,
    open_engine,
)
from depth_estimation_ros.errors import EngineError

openvino = pytest.importorskip("openvino", reason="needs OpenVINO")
VERSION = openvino.__version__.split("-")[0]


def open_exact(path: str | Path) -> Engine:
    return open_engine(path, EngineOptions(backend="openvino", precision="fp32"))


def picture_of_a_slope(height: int, width: int) -> np.ndarray:
    """A batch of one: something with edges, steady from run to run."""
    rows, columns = np.indices((height, width))
    channels = rows + columns, 2 * columns, 90 * ((rows // 24 + columns // 32) % 2)
    return np.stack(channels, axis=-1)[np.newaxis].astype(np.uint8)


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["compact", "nano"])
@pytest.mark.parametrize("shape", [(192, 256), (160, 288)])
def test_depth_is_that_of_onnx_runtime(name: str, shape: tuple[int, int]) -> None:
    batch = picture_of_a_slope(*shape)
    expected = open_engine(name, EngineOptions("onnxruntime", precision="fp32")).infer(batch)
    np.testing.assert_allclose(open_exact(name).infer(batch), expected, rtol=1e-4)


def test_sixteen_bits_cost_a_percent_where_the_processor_has_them() -> None:
    engine = open_engine("compact", EngineOptions("openvino", precision="fp16"))
    if engine.description.endswith("f32)"):
        pytest.skip("this processor has no bfloat16 or float16")
    assert engine.description.endswith(("(CPU, bf16)", "(CPU, f16)"))
    batch = picture_of_a_slope(192, 256)
    expected = open_exact("compact").infer(batch)
    difference = np.abs(engine.infer(batch) / expected - 1.0)
    assert 0.0 < difference.mean() < 0.02
    assert difference.max() < 0.2


def test_the_description_says_in_what_it_computes(tmp_path: Path) -> None:
    engine = open_exact(constant_depth(tmp_path / "a.onnx"))
    assert engine.description == f"tiny 1 on OpenVINO {VERSION} (CPU, f32)"


# --- endings -------------------------------------------------------------------------------------


def test_a_run_that_is_broken_off_ends_early_and_later_ones_do_not_begin() -> None:
    engine = open_engine("compact", EngineOptions("openvino", precision="fp16", threads=1))
    assert isinstance(engine, Cancellable)
    batch = np.repeat(picture_of_a_slope(192, 256), 64, axis=0)

    def work() -> float:
        """Seconds of the processor: what it took does not depend on what else runs here."""
        before = time.process_time()
        if broken_off:
            with pytest.raises(EngineError, match="it was broken off"):
                engine.infer(batch)
        else:
            engine.infer(batch)
        return time.process_time() - before

    broken_off = False
    work()  # makes the graph
    whole = work()
    broken_off = True
    timer = threading.Timer(whole / 10, engine.break_off)
    timer.start()
    assert work() < 0.7 * whole
    timer.join()
    assert work() < 0.1 * whole


def test_a_file_that_is_replaced_changes_nothing_of_what_is_open(tmp_path: Path) -> None:
    path = red_depth(tmp_path / "red.onnx")
    engine = open_exact(path)
    constant_depth(path, 7.0)
    for size in ((48, 64), (16, 24), (8, 8), (8, 16), (16, 8), (24, 24)):
        depth = engine.infer(np.full((1, *size, 3), 255, np.uint8))
        np.testing.assert_allclose(depth, np.full((1, *size), 9.0), rtol=1e-6)


def test_without_openvino_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = constant_depth(tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="Run: pip install openvino"):
        open_exact(path)
