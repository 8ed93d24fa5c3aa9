"""Create messages of rclpy, or of the rosbags library where there is no ROS.

Both libraries have classes with the same fields. They differ in how a header is made, in what an
array is, and in that those of rosbags have no defaults. `ROS` and `ROSBAGS` hide this.
"""

from __future__ import annotations

import importlib
import math
from array import array
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class MessageFactory(Protocol):
    """Creates the messages of one library by names such as ``sensor_msgs/msg/Image``."""

    @staticmethod
    def new(msgtype: str, /, **fields: Any) -> Any:
        """Create a message without large data; every field has to be given."""
        ...

    def header(self, like: Any) -> Any:
        """Return a std_msgs/Header with the stamp and frame_id of a header of either library."""
        ...

    def float64_array(self, values: ArrayLike) -> Any:
        """Return a float64[] of any length."""
        ...

    def with_data(self, msgtype: str, values: NDArray[Any], /, **fields: Any) -> Any:
        """Create a message whose uint8[] ``data`` are the bytes of the values in C order."""
        ...

    def with_buffer(
        self, msgtype: str, shape: tuple[int, ...], dtype: DTypeLike, /, **fields: Any
    ) -> tuple[Any, NDArray[Any]]:
        """Create a message with ``data`` of this shape, and return a view to fill it."""
        ...


class RosMessageFactory:
    """Messages of rclpy, as a node publishes them. Their ``data`` is an array.array."""

    @staticmethod
    def new(msgtype: str, /, **fields: Any) -> Any:
        return _ros_class(msgtype)(**fields)

    def header(self, like: Any) -> Any:
        if isinstance(like, _ros_class("std_msgs/msg/Header")):
            return like
        stamp, frame_id = like.stamp, like.frame_id
        time = self.new("builtin_interfaces/msg/Time", sec=int(stamp.sec), nanosec=stamp.nanosec)
        return self.new("std_msgs/msg/Header", stamp=time, frame_id=frame_id)

    def float64_array(self, values: ArrayLike) -> Any:
        return array("d", np.asarray(values, np.float64))

    def with_data(self, msgtype: str, values: NDArray[Any], /, **fields: Any) -> Any:
        message = self.new(msgtype, **fields)
        message.data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
        return message

    def with_buffer(
        self, msgtype: str, shape: tuple[int, ...], dtype: DTypeLike, /, **fields: Any
    ) -> tuple[Any, NDArray[Any]]:
        message = self.new(msgtype, **fields)
        # The message's own array("B") grows in place, because assigning to `data` (or passing it
        # to the constructor) copies it: 4 ms for a cloud of 5 MB with an array, 100 ms and more
        # with bytes or ndarray where rclpy checks each element.
        data = message.data
        data.append(0)
        data *= math.prod(shape) * np.dtype(dtype).itemsize
        return message, np.frombuffer(data, dtype).reshape(shape)


class ReusingMessageFactory(RosMessageFactory):
    """Messages of rclpy that reuse the ``data`` of the last one of the same type and size.

    For a thread that publishes each message before it creates the next: `publish` copies. Memory
    that exists already is not filled with zeros and causes no page faults.
    """

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def with_data(self, msgtype: str, values: NDArray[Any], /, **fields: Any) -> Any:
        message, buffer = self.with_buffer(msgtype, values.shape, values.dtype, **fields)
        np.copyto(buffer, values)
        return message

    def with_buffer(
        self, msgtype: str, shape: tuple[int, ...], dtype: DTypeLike, /, **fields: Any
    ) -> tuple[Any, NDArray[Any]]:
        last = self._last.get(msgtype)
        if last is None or len(last.data) != math.prod(shape) * np.dtype(dtype).itemsize:
            self._last[msgtype], buffer = super().with_buffer(msgtype, shape, dtype, **fields)
            return self._last[msgtype], buffer
        for name, value in fields.items():
            setattr(last, name, value)
        return last, np.frombuffer(last.data, dtype).reshape(shape)


class BagMessageFactory:
    """Messages of the rosbags library, as a bag holds them. Their ``data`` is an ndarray.

    ``with_data`` shares the memory of the values if they lie in C order.
    """

    @staticmethod
    def new(msgtype: str, /, **fields: Any) -> Any:
        from depth_estimation_ros.bags import STORE  # a robot does not need rosbags

        return STORE.types[msgtype](**fields)

    def header(self, like: Any) -> Any:
        stamp, frame_id = like.stamp, like.frame_id
        time = self.new("builtin_interfaces/msg/Time", sec=stamp.sec, nanosec=stamp.nanosec)
        return self.new("std_msgs/msg/Header", stamp=time, frame_id=frame_id)

    def float64_array(self, values: ArrayLike) -> Any:
        return np.asarray(values, np.float64)

    def with_data(self, msgtype: str, values: NDArray[Any], /, **fields: Any) -> Any:
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        return self.new(msgtype, data=data, **fields)

    def with_buffer(
        self, msgtype: str, shape: tuple[int, ...], dtype: DTypeLike, /, **fields: Any
    ) -> tuple[Any, NDArray[Any]]:
        buffer = np.zeros(shape, dtype)
        return self.with_data(msgtype, buffer, **fields), buffer


@lru_cache(maxsize=32)
def _ros_class(msgtype: str) -> Any:
    package, _, message = msgtype.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), message)


ROS = RosMessageFactory()
ROSBAGS = BagMessageFactory()
