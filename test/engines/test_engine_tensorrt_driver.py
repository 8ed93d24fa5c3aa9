"""The real cuda-bindings, and pycuda's calls, over a driver that checks what it is given.

helpers/cuda_stub.c is compiled as libcuda.so.1: it knows which contexts, streams, graphs and blocks
of memory exist, and copies only when somebody waits. pycuda is helpers/stub_pycuda, which has its
argument types. No GPU is needed, and nothing here says how one behaves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
REPOSITORY = HELPERS.parents[1]
PLAIN = ("cuda", "class Gpu:", "class Gpu:")
MUTATIONS = [
    ("cuda", "memcpy_htod_async(address, source,", "memcpy_htod_async(source, address,"),
    ("cuda", "htod_async(address, source, self._stream)", "htod_async(address, source)"),
    ("cuda", "memcpy_dtoh_async(target, address,", "memcpy_dtoh_async(address, target,"),
    ("cuda", "dtoh_async(target, address, self._stream)", "dtoh_async(target, address)"),
    ("cuda", "self._done.record(self._stream)", "self._done.record()"),
    ("cuda", "self._done.record(self._stream)", "pass"),
    ("cuda", "self._done.synchronize()", "pass"),
    ("cuda", "Stream(NON_BLOCKING)", "Stream()"),
    ("cuda", "Event(self._driver.event_flags.BLOCKING_SYNC)", "Event()"),
    ("cuda", "self._context.push()", "pass"),
    ("cuda", "self._driver.Context.pop()", "pass"),
    ("cuda", "context.detach()", "pass"),
    ("cuda", "            _pop_context()", "            pass"),
    ("cuda", "memory.free()", "pass"),
    ("cuda", "array.base.free()", "pass"),
    ("cuda", "self._stream = self._done = None", "pass"),
    ("graph", "cuStreamBeginCapture(handle, mode)", "cuStreamBeginCapture(mode, handle)"),
    ("graph", "MODE_THREAD_LOCAL", "MODE_GLOBAL"),
    ("graph", "driver.CUstream(stream)", "driver.CUstream(0)"),
    ("graph", "cuGraphInstantiate(graph, 0)", "cuGraphInstantiate(0, graph)"),
    (
        "graph",
        "cuGraphLaunch(self._executable, self._stream)",
        "cuGraphLaunch(self._executable, 0)",
    ),
    ("graph", "cuGraphExecDestroy(self._executable)", "cuGraphDestroy(self._executable)"),
    ("graph", "self._driver.cuGraphExecDestroy(self._executable)", "pass"),
    ("graph", "    finally:\n        driver.cuGraphDestroy(graph)", "    finally:\n        pass"),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What was wrong with the sources as they are, then with each mutation."""
    pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    command = ["cc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", HELPERS / "cuda_stub.c"]
    subprocess.run([*command, "-ldl"], check=True)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{HELPERS / 'stub_pycuda'}:{REPOSITORY}",
        "LD_LIBRARY_PATH": str(folder),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    done = subprocess.run(
        [sys.executable, HELPERS / "driver_scenario.py"],
        input=json.dumps([PLAIN, *MUTATIONS]),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_three_cycles_leave_nothing_current_and_nothing_allocated(verdicts: list[str]) -> None:
    assert verdicts[0] == ""


@pytest.mark.parametrize("index", range(len(MUTATIONS)))
def test_a_wrong_call_is_noticed(verdicts: list[str], index: int) -> None:
    said = verdicts[1 + index]
    assert said, MUTATIONS[index]
    assert " times in " not in said
