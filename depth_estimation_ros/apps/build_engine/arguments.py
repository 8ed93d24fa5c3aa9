"""The command line of build_engine."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from depth_estimation_ros.apps.arguments import CommandParser
from depth_estimation_ros.apps.build_engine.parity import LIMITS
from depth_estimation_ros.engines.factory import ENGINE_SUFFIXES
from depth_estimation_ros.engines.tensorrt.api import FLAVOURS
from depth_estimation_ros.engines.tensorrt.engine_file import PRECISIONS

EXAMPLES = """\
examples:
  build_engine --model compact
      into the cache, where the node finds it: float16, one image at the model's size
  build_engine --model nyu.onnx --precision int8 --calibration /bags/kitchen --out nyu.engine
      calibrated on the images of a recording; run it with the parameter model:=nyu.engine
  build_engine --model compact --batch 1 1 4 --size 192x256
      for `replay --batch 4`; also for one image at a time
  build_engine --model compact --compute-capability 8.6 12.0 --out laptop.engine
      with TensorRT-RTX, on a machine without a GPU, for RTX 30 and RTX 50
  build_engine --list
      what is in the cache, and whether it fits this machine

Each engine X.engine has a sidecar X.engine.json beside it, which names the model, TensorRT and GPU
that it is for; keep the two together. Engines without --out are kept in
~/.cache/depth_estimation_ros/engines ($DEPTH_ESTIMATION_ENGINE_CACHE and $XDG_CACHE_HOME change
that), or in the folder --engine-cache, which the node's parameter engine_cache has to name then.

exit status: 0 the engine was written; 1 an error, nothing was written; 130 interrupted.
"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line; ends the process for --help and for what cannot be."""
    limits = ", ".join(
        f"{name}: abs_rel {LIMITS[name].abs_rel:g}, delta1 {LIMITS[name].delta1:g}"
        for name in ("fp16", "int8")
    )
    parser = CommandParser(
        prog="build_engine",
        description="Builds a TensorRT engine from an ONNX file for the GPU of this machine, or, "
        "with TensorRT-RTX, for other GPUs. Takes seconds with TensorRT-RTX and minutes with "
        "TensorRT, once.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="MODEL", help="bundled model or ONNX file")
    what.add_argument(
        "--list", action="store_true", help="show what is in the cache, and build nothing"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp16",
        help="of the arithmetic; the image's normalisation and the network's head stay fp32 "
        "(default: fp16)",
    )
    parser.add_argument(
        "--out",
        type=_engine_file,
        metavar="X.engine",
        help="the file to write, replaced if it is there (default: a file in the cache)",
    )
    parser.add_argument(
        "--engine-cache",
        default="",
        metavar="FOLDER",
        help="the cache, for building and for --list (default: see below)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="images at once: one number, or smallest, best and largest (default: 1)",
    )
    parser.add_argument(
        "--size",
        type=_size,
        nargs="+",
        default=[],
        metavar="HxW",
        help="rows x columns of the network's input: one, or smallest, best and largest "
        "(default: the size on the model's card)",
    )
    parser.add_argument(
        "--calibration",
        metavar="FOLDER_OR_BAG",
        help="images of the robot's camera: int8 is calibrated on up to 100 of them, and fp16 "
        "and int8 are compared with fp32 on up to 20 others (needed for int8)",
    )
    parser.add_argument("--image-topic", default="", help="of that bag, if it has several")
    parser.add_argument(
        "--force",
        action="store_true",
        help=f"build even if the depth is farther from fp32 than allowed ({limits})",
    )
    parser.add_argument(
        "--compute-capability",
        type=_compute_capability,
        nargs="+",
        default=[],
        metavar="M.N",
        help="with TensorRT-RTX, build for these GPUs, 8.6 or 86 (default: the GPU of this "
        "machine)",
    )
    parser.add_argument("--device", type=int, default=0, help="index of the GPU (default: 0)")
    parser.add_argument(
        "--tensorrt",
        choices=FLAVOURS,
        help="which one to use where both are installed (default: tensorrt)",
    )
    parser.add_argument(
        "--workspace-mb",
        type=_positive,
        metavar="MIB",
        help="most GPU memory for one layer's workspace, MiB (default: all there is)",
    )
    return parser.parse_args(argv)


def _engine_file(text: str) -> Path:
    path = Path(text).expanduser()
    if path.suffix not in ENGINE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"'{text}' does not end in {' or '.join(ENGINE_SUFFIXES)}")
    return path


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not rows x columns, like 192x256")
    return int(match[1]), int(match[2])


def _compute_capability(text: str) -> str:
    match = re.fullmatch(r"(?:sm_?)?(\d+?)\.?(\d)", text.lower())
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a compute capability, like 8.6")
    return f"{match[1]}.{match[2]}"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)
