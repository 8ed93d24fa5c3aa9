"""What the command lines share: limits of numbers, and what runs the network."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn

from depth_estimation_ros.engines import EngineOptions
from depth_estimation_ros.engines.factory import AUTO, BACKENDS, PRECISIONS
from depth_estimation_ros.estimation.temporal_filter import MAX_WEIGHT


class CommandParser(argparse.ArgumentParser):
    """Explains a wrong command line in two lines and ends with 1: 2 is for results."""

    def error(self, message: str) -> NoReturn:
        """End the process; the usage, a screenful, would hide the message."""
        self.exit(1, f"error: {message}\n{self.prog} --help shows all arguments and examples\n")


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what runs the network, under the names of the node's parameters."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--model",
        default="compact",
        help="bundled model (compact, nano, compact_open), ONNX file or TensorRT engine "
        "(default: compact)",
    )
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="auto takes TensorRT where it has an engine of this model, else ONNX Runtime; "
        "openvino is the fastest on some processors (default: auto)",
    )
    group.add_argument(
        "--device", type=number(int, 0, 63), default=0, help="index of the GPU (default: 0)"
    )
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of the network's arithmetic; auto takes the fastest that costs at most 0.01 of "
        "delta1 (default: auto)",
    )
    group.add_argument(
        "--build-engine",
        action="store_true",
        help="build a TensorRT engine if none fits; takes minutes, once",
    )
    group.add_argument(
        "--engine-cache",
        default="",
        metavar="DIR",
        help="folder of TensorRT engines (default: $DEPTH_ESTIMATION_ENGINE_CACHE, else "
        "~/.cache/depth_estimation_ros/engines)",
    )
    group.add_argument(
        "--onnxruntime-providers",
        "--providers",
        dest="providers",
        nargs="+",
        default=list(AUTO),
        metavar="NAME",
        help="such as CUDAExecutionProvider, best first (default: auto, CUDA where it starts)",
    )
    group.add_argument(
        "--inference-threads",
        "--threads",
        dest="threads",
        type=number(int, 0, 256),
        default=0,
        metavar="N",
        help="of the network on the processor (default: 0, one per core)",
    )


def add_depth_arguments(group: argparse._ArgumentGroup, more_on_the_past: str = "") -> None:
    """Add what is done to the depth, under the names of the node's parameters.

    Args:
        group: to add to.
        more_on_the_past: to the help of --temporal-filter.
    """
    for name, what, sign in (("min", "nearer", "-"), ("max", "farther", "+")):
        group.add_argument(
            f"--{name}-depth",
            type=number(float, 0),
            default=0.0,
            metavar="M",
            help=f"metres; what is {what} becomes {sign}inf (default: 0, the model's own limit)",
        )
    group.add_argument(
        "--edge-filter",
        type=number(float, 0, 10),
        default=0.0,
        metavar="RATIO",
        help="relative jump of depth above which a pixel is unknown; 0.07 removes the points that "
        "hang between an object and what is behind it (default: 0, off)",
    )
    group.add_argument(
        "--temporal-filter",
        type=number(float, 0, MAX_WEIGHT),
        default=0.0,
        metavar="WEIGHT",
        help="of the images before in each pixel's depth, where they are of one camera: less "
        f"flicker; 0.5 is a good start{more_on_the_past} (default: 0, off)",
    )
    group.add_argument(
        "--scale-correction",
        type=number(float, 0.01, 100),
        default=1.0,
        metavar="FACTOR",
        help="on all depth: a distance that was measured, divided by the depth shown for it "
        "(default: 1)",
    )


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """Return what `add_engine_arguments` read."""
    return EngineOptions(**option_fields(EngineOptions, arguments))


def option_fields(options: type, arguments: object) -> dict[str, Any]:
    """Arguments, or other options, with the name of a field of these options; lists as tuples."""
    return {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in fields(options)
        if (value := getattr(arguments, field.name, None)) is not None
    }


def number(kind: type[float], low: float, high: float = math.inf) -> Callable[[str], float]:
    """For argparse: a finite number of this kind from low to high, both included."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            what = "a whole number" if kind is int else "a number"
            limits = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"found {text}, expected {what}, {limits}")
        return value

    return read
