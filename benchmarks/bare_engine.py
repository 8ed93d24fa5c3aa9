"""ONNX Runtime without the node, at a camera's rate, in a process of its own.

    python bare_engine.py NETWORK SETTINGS THREADS RATE_HZ IMAGES

Prints JSON: the milliseconds of each run, processor milliseconds an image, and memory in MB.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from processes import processor_seconds, pss_mb  # noqa: E402

from depth_estimation_ros.engines.model_card import METADATA_KEY, card_of_model  # noqa: E402
from depth_estimation_ros.estimation import network_size  # noqa: E402

WARM_UP = 10
SETTINGS = {
    "never spins": {"session.intra_op.allow_spinning": "0"},
    "spins within a run": {"session.force_spinning_stop": "1"},
    "spins (the default)": {},
    "never spins, no arena": {"session.intra_op.allow_spinning": "0"},
}


def open_session(path: Path, settings: str, threads: int) -> onnxruntime.InferenceSession:
    """A session with one of `SETTINGS`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = "no arena" not in settings
    for key, value in SETTINGS[settings].items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


def main() -> None:
    """Runs the network at the rate and prints what it took."""
    path, settings, threads, rate, images = sys.argv[1:]
    session = open_session(Path(path), settings, int(threads))
    metadata = session.get_modelmeta().custom_metadata_map
    spec = card_of_model(metadata.get(METADATA_KEY), Path(path)).input
    batch = np.full((1, *network_size(480, 640, spec), 3), 90, np.uint8)
    feed = {session.get_inputs()[0].name: batch}
    times, before, start = [], 0.0, time.perf_counter()
    for number in range(WARM_UP + int(images)):
        if number == WARM_UP:
            before = processor_seconds(os.getpid())
        began = time.perf_counter()
        session.run(None, feed)
        times.append(1e3 * (time.perf_counter() - began))
        time.sleep(max(0.0, start + (number + 1) / float(rate) - time.perf_counter()))
    taken = processor_seconds(os.getpid()) - before
    told = {
        "ms": times[WARM_UP:],
        "processor_ms_per_image": 1e3 * taken / int(images),
        "pss_mb": pss_mb(os.getpid()),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
