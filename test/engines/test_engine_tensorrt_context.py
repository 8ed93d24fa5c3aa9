"""Opening and closing the GPU leaves nothing current in the thread.

The driver is a stub of a few C functions, and pycuda a fake over it, which pushes and releases a
primary context as pycuda 2026.1 does (src/cpp/cuda.hpp, context::detach). No GPU is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

LIBCUDA = """
static void *stack[64]; static int depth, references;
int cuCtxPushCurrent_v2(void *context) { stack[depth++] = context; return 0; }
int cuCtxPopCurrent_v2(void **context) {
  if (!depth) return 201;
  *context = stack[--depth];
  return 0;
}
int cuCtxGetCurrent(void **context) { *context = depth ? stack[depth - 1] : 0; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) {
  references++;
  *context = (void *)0xABC0;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) { references--; return 0; }
int stub_depth(void) { return depth; }
int stub_references(void) { return references; }
"""

PYCUDA = """
import ctypes
lib = ctypes.CDLL("libcuda.so.1")
class Error(Exception): pass
def init(): pass
def get_driver_version(): return 12060
class event_flags: BLOCKING_SYNC = 1
class Event:
    def __init__(self, flags): assert flags == event_flags.BLOCKING_SYNC
class Stream:
    handle = 7
    def __init__(self, flags): assert lib.stub_depth() == 1 and flags == 1
class Context:
    stack = []
    def push(self):
        Context.stack.append(self)
        lib.cuCtxPushCurrent_v2(ctypes.c_void_p(0xABC0))
    @staticmethod
    def pop():
        Context.stack.pop()
        lib.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    def detach(self):
        lib.cuCtxPushCurrent_v2(ctypes.c_void_p(0xABC0))
        lib.cuDevicePrimaryCtxRelease_v2(0)
class Device:
    def __init__(self, index): pass
    @staticmethod
    def count(): return 1
    def name(self): return "Orin"
    def compute_capability(self): return (8, 7)
    def retain_primary_context(self):
        lib.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), 0)
        return Context()
"""

CYCLES = """
import ctypes
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
lib = ctypes.CDLL("libcuda.so.1")
for _ in range(3):
    gpu = Gpu(0)
    with gpu.doing("working"):
        assert lib.stub_depth() == 1
    gpu.close()
print(lib.stub_depth(), lib.stub_references())
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_three_cycles_leave_no_context_current(tmp_path: Path) -> None:
    (tmp_path / "stub.c").write_text(LIBCUDA)
    library = tmp_path / "libcuda.so.1"
    command = ["cc", "-shared", "-fPIC", "-o", library, tmp_path / "stub.c"]
    subprocess.run(command, check=True)
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").touch()
    (tmp_path / "pycuda" / "driver.py").write_text(PYCUDA)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{REPOSITORY}",
        "LD_LIBRARY_PATH": str(tmp_path),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CYCLES], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "0 0", done.stderr
