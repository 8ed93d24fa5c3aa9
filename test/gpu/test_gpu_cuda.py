"""Context, memory, stream, graphs and threads on a real GPU, without TensorRT."""

from __future__ import annotations

import threading

import pytest
from present import why_no_gpu

from depth_estimation_ros.engines.tensorrt.cuda import Gpu, import_driver
from depth_estimation_ros.engines.tensorrt.graph import capture
from depth_estimation_ros.errors import EngineError

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(why_no_gpu()), reason=f"needs a GPU: {why_no_gpu()}"),
]
MEGABYTE = 1_000_000


def there_and_back(gpu: Gpu, value: int) -> None:
    source, target = gpu.allocate_pinned(MEGABYTE), gpu.allocate_pinned(MEGABYTE)
    address = gpu.allocate(MEGABYTE)
    source[:], target[:] = value, 255 - value
    with gpu.doing("copying"):
        gpu.upload(address, source)
        gpu.download(target, address)
        gpu.wait()
    assert (target == value).all()


def free_memory() -> int:
    gpu = Gpu(0)
    with gpu.doing("asking"):
        free, _ = import_driver().mem_get_info()
    gpu.close()
    return free


def test_bytes_come_back_from_the_gpu() -> None:
    gpu = Gpu(0)
    there_and_back(gpu, 7)
    gpu.close()


def test_every_thread_may_have_a_gpu_of_its_own_one_after_the_other_and_at_once() -> None:
    failures: list[BaseException] = []

    def session(value: int) -> None:
        try:
            gpu = Gpu(0)
            there_and_back(gpu, value)
            gpu.close()
        except BaseException as error:
            failures.append(error)

    for threads in ([1], [2], [3, 4, 5]):
        started = [threading.Thread(target=session, args=(value,)) for value in threads]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
    assert failures == []


def test_closing_from_another_thread_is_refused_and_the_owner_goes_on() -> None:
    gpu = Gpu(0)
    refused: list[str] = []

    def close() -> None:
        try:
            gpu.close()
        except EngineError as error:
            refused.append(str(error))

    thread = threading.Thread(target=close, name="stranger")
    thread.start()
    thread.join()
    assert "called by thread 'stranger'" in refused[0]
    there_and_back(gpu, 9)
    gpu.close()


def test_a_captured_graph_does_its_work_each_time_it_is_launched() -> None:
    pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    gpu = Gpu(0)
    source, target = gpu.allocate_pinned(MEGABYTE), gpu.allocate_pinned(MEGABYTE)
    address = gpu.allocate(MEGABYTE)

    def work() -> None:
        gpu.upload(address, source)
        gpu.download(target, address)

    with gpu.doing("copying by a graph"):
        target[:] = 0
        graph = capture(gpu.stream, work)
        assert (target == 0).all()  # captured, not run
        for value in (1, 2, 3):
            source[:] = value
            graph.launch()
            gpu.wait()
            assert (target == value).all()
        graph.close()
    gpu.close()


def test_a_capture_that_fails_leaves_the_stream_usable() -> None:
    pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    gpu = Gpu(0)
    with gpu.doing("failing to capture"), pytest.raises(EngineError):
        capture(gpu.stream, gpu.wait)  # waiting is what a capture forbids
    there_and_back(gpu, 5)
    gpu.close()


def test_opening_and_closing_many_times_leaves_no_memory_behind() -> None:
    free = free_memory()
    for value in range(50):
        gpu = Gpu(0)
        there_and_back(gpu, value)
        gpu.close()
    assert free - free_memory() < 2 * MEGABYTE
