"""Work with a `Gpu` and a CUDA graph over a stub driver, once for each version of the sources.

Reads a list of (module, before, after) from standard input as JSON and prints a list of verdicts:
"" where nothing was wrong. Each version runs in a process of its own, forked after the imports.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import os
import sys
import threading

import numpy as np
from cuda.bindings import driver  # noqa: F401  # imported once, before the forks

import depth_estimation_ros.engines.tensorrt as room

SIZE = 4096


def work() -> None:
    """Copy to the GPU and back, by calls and by a graph, three times from opening to closing."""
    from depth_estimation_ros.engines.tensorrt.cuda import Gpu
    from depth_estimation_ros.engines.tensorrt.graph import capture

    lib = ctypes.CDLL("libcuda.so.1")
    lib.stub_wrong.restype = ctypes.c_char_p
    for value in (1, 2, 3):
        gpu = Gpu(0)
        source, target = gpu.allocate_pinned(SIZE), gpu.allocate_pinned(SIZE)
        address = gpu.allocate(SIZE)

        def copies(gpu=gpu, source=source, target=target, address=address) -> None:
            gpu.upload(address, source)
            gpu.download(target, address)

        with gpu.doing("copying"):
            assert lib.stub_depth() == 1, "not one context is current"
            source[:] = value
            copies()
            gpu.wait()
            assert (target == value).all(), "the copy did not arrive"
            graph = capture(gpu.stream, copies)
            source[:] = 10 * value
            assert (target == value).all(), "the capture ran"
            graph.launch()
            gpu.wait()
            assert (target == 10 * value).all(), "the graph did not run"
            graph.close()
        assert lib.stub_depth() == 0, "a context stays current"
        gpu.close()
        del copies, source, target, graph
        gc.collect()
        assert lib.stub_depth() == 0, "a context stays current after closing"
        assert lib.stub_left() == 0, f"{lib.stub_left()} things are not freed"
        assert not lib.stub_wrong(), lib.stub_wrong().decode()


def verdict(module: str, before: str, after: str) -> str:
    """Return what is wrong with the work by a changed source; empty if nothing."""
    name = f"{room.__name__}.{module}"
    spec = importlib.util.find_spec(name)
    with open(spec.origin) as file:
        source = file.read()
    if source.count(before) != 1:
        return f"{before!r} is {source.count(before)} times in {module}.py"
    changed = importlib.util.module_from_spec(spec)
    sys.modules[name] = changed
    exec(compile(source.replace(before, after), spec.origin, "exec"), changed.__dict__)
    try:
        work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def in_child(version: list[str]) -> str:
    """Run one version in a forked process; one that crashes is wrong, too."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, verdict(*version).encode() or b"\0")
        os._exit(0)
    os.close(writing)
    timer = threading.Timer(10, os.kill, (child, 9))
    timer.start()
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    timer.cancel()
    return said.decode().strip("\0") if said else "the process died"


if __name__ == "__main__":
    np.zeros(1)
    print(json.dumps([in_child(version) for version in json.load(sys.stdin)]))
