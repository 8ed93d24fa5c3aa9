"""Recordings (rosbag2, mcap) for demos, tests and measurements, with the true depth if known.

python -m training bag demo --out BAG
python -m training bag folder DIR --out BAG
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from training.bags.demo import demo_bag
from training.bags.recorded import folder_bag
from training.bags.writer import TRANSPORTS, Frame, write_bag

__all__ = ["Frame", "add_arguments", "demo_bag", "folder_bag", "run", "write_bag"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="bag", required=True)
    demo = kinds.add_parser("demo", help="a robot's drive through a synthetic room")
    demo.add_argument("--frames", type=int, default=40, help="number of frames (%(default)s)")
    demo.add_argument("--rate", type=float, default=8.0, help="frames a second (%(default)s)")
    folder = kinds.add_parser("folder", help="a recorded sequence, with its true stamps")
    folder.add_argument("folder", type=Path, help="holds rgb/, depth/, timestamps.txt, info.json")
    folder.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="compressed",
        help="JPEG as it is, or raw images of an encoding (%(default)s)",
    )
    for kind in (demo, folder):
        kind.add_argument("--out", type=Path, required=True, help="folder of the bag, to be made")


def run(args: argparse.Namespace) -> int:
    torch.set_num_threads(1)  # the tensors fit one core's cache: threads would wait for each other
    if args.bag == "demo":
        path = demo_bag(args.out, args.frames, args.rate)
    else:
        path = folder_bag(args.folder, args.out, args.transport)
    print(f"wrote {path}")
    return 0
