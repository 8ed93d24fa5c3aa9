"""Names and parameters of pycuda 2026.1 and cuda-bindings 13.5, as far as this package uses them.

Read off the real modules: pycuda built from its sdist against CUDA 13 (src/wrapper/
wrap_cudadrv.cpp says the same), cuda-bindings from its wheel. Neither imports on a machine without
NVIDIA's driver, so the code is held against these tables.
"""

from __future__ import annotations

PYCUDA_DRIVER = {
    "init",
    "Error",
    "Device",
    "Context",
    "Stream",
    "pagelocked_empty",
    "mem_alloc",
    "memcpy_htod_async",
    "memcpy_dtoh_async",
    "mem_get_info",
    "Event",
    "event_flags",
    "get_driver_version",
}
PYCUDA_MEMBERS = {
    "Device": {"count", "name", "compute_capability", "retain_primary_context", "total_memory"},
    "Context": {"push", "pop", "detach", "synchronize", "get_current", "handle"},
    "Event": {"record", "synchronize", "query", "time_since", "time_till", "ipc_handle"},
    "event_flags": {"DEFAULT", "BLOCKING_SYNC", "DISABLE_TIMING", "INTERPROCESS"},
    "Stream": {"handle", "is_done", "synchronize", "wait_for_event"},
    "DeviceAllocation": {"free", "as_buffer"},
    "PagelockedHostAllocation": {"free", "get_device_pointer", "get_flags"},
}
CUDA_BINDINGS_DRIVER = {
    "CUstream",
    "CUstreamCaptureMode",
    "cuStreamBeginCapture",
    "cuStreamEndCapture",
    "cuGraphInstantiate",
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuGraphDestroy",
}
