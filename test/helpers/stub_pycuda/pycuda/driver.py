"""pycuda.driver, as far as the package uses it, over cuda_stub.c; argument types as in 2026.1."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_size_t, c_uint, c_void_p
from typing import Any

import numpy as np

lib = ctypes.CDLL("libcuda.so.1")


class Error(Exception):
    """What pycuda raises for a status that is not 0."""


def _call(name: str, *arguments: Any) -> None:
    if (status := getattr(lib, name)(*arguments)) != 0:
        raise Error(f"{name} failed: status {status}")


def _handle(stream: Stream | None) -> c_void_p:
    if stream is not None and not isinstance(stream, Stream):
        raise TypeError("stream")
    return c_void_p(stream.handle if stream else 0)


def init(flags: int = 0) -> None:
    _call("cuInit", c_uint(flags))


def get_driver_version() -> int:
    return 12060


class event_flags:
    DEFAULT = 0
    BLOCKING_SYNC = 1


class Stream:
    def __init__(self, flags: int = 0) -> None:
        self._at = c_void_p()
        _call("cuStreamCreate", byref(self._at), c_uint(flags))

    @property
    def handle(self) -> int:
        return self._at.value or 0

    def __del__(self) -> None:
        if self._at:
            lib.cuStreamDestroy_v2(self._at)


class Event:
    def __init__(self, flags: int = 0) -> None:
        self._at = c_void_p()
        _call("cuEventCreate", byref(self._at), c_uint(flags))

    def record(self, stream: Stream | None = None) -> None:
        _call("cuEventRecord", self._at, _handle(stream))

    def synchronize(self) -> None:
        _call("cuEventSynchronize", self._at)

    def __del__(self) -> None:
        if self._at:
            lib.cuEventDestroy_v2(self._at)


class Context:
    """`detach` of a primary context pushes it, releases it, and leaves it pushed."""

    def push(self) -> None:
        _call("cuCtxPushCurrent_v2", c_void_p(0xABC0))

    @staticmethod
    def pop() -> None:
        _call("cuCtxPopCurrent_v2", byref(c_void_p()))

    def detach(self) -> None:
        _call("cuCtxPushCurrent_v2", c_void_p(0xABC0))
        _call("cuDevicePrimaryCtxRelease_v2", 0)


class Device:
    def __init__(self, index: int) -> None:
        self._index = index

    @staticmethod
    def count() -> int:
        return 1

    def name(self) -> str:
        return "Orin"

    def compute_capability(self) -> tuple[int, int]:
        return 8, 7

    def retain_primary_context(self) -> Context:
        _call("cuDevicePrimaryCtxRetain", byref(c_void_p()), self._index)
        return Context()


class DeviceAllocation:
    def __init__(self, at: int) -> None:
        self._at = at

    def __int__(self) -> int:
        return self._at

    def free(self) -> None:
        _call("cuMemFree_v2", c_void_p(self._at))


class PagelockedHostAllocation:
    def __init__(self, at: int, shape: int, dtype: np.dtype[Any]) -> None:
        self._at = at
        self.__array_interface__ = {
            "data": (at, False),
            "shape": (shape,),
            "typestr": dtype.str,
            "version": 3,
        }

    def free(self) -> None:
        _call("cuMemFreeHost", c_void_p(self._at))


def pagelocked_empty(shape: int, dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
    at = c_void_p()
    nbytes = shape * np.dtype(dtype).itemsize
    _call("cuMemHostAlloc", byref(at), c_size_t(nbytes), c_uint(mem_flags))
    return np.asarray(PagelockedHostAllocation(at.value or 0, shape, np.dtype(dtype)))


def mem_alloc(nbytes: int) -> DeviceAllocation:
    at = c_void_p()
    _call("cuMemAlloc_v2", byref(at), c_size_t(nbytes))
    return DeviceAllocation(at.value or 0)


def _address(value: Any) -> c_void_p:
    if not isinstance(value, (int, DeviceAllocation)):
        raise TypeError("an address on the GPU")
    return c_void_p(int(value))


def _buffer(value: Any) -> tuple[c_void_p, c_size_t]:
    if not isinstance(value, np.ndarray):
        raise TypeError("a buffer")
    return c_void_p(value.ctypes.data), c_size_t(value.nbytes)


def memcpy_htod_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    at, nbytes = _buffer(src)
    _call("cuMemcpyHtoDAsync_v2", _address(dest), at, nbytes, _handle(stream))


def memcpy_dtoh_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    at, nbytes = _buffer(dest)
    _call("cuMemcpyDtoHAsync_v2", at, _address(src), nbytes, _handle(stream))
