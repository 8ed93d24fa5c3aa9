"""Recordings (rosbag2, mcap) for demos, tests and measurements, with the true depth if known.

python -m training bag demo --out BAG
python -m training bag folder DIR --out BAG
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer

from depth_estimation_ros.bags import STORE, bag_writer
from depth_estimation_ros.errors import BagError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import ROSBAGS, camera_info
from training.scenes.paths import camera_path, record
from training.scenes.scenes import sample_scenes

IMAGE_TOPIC = "/camera/image"
COMPRESSED_TOPIC = "/camera/image/compressed"
CAMERA_INFO_TOPIC = "/camera/camera_info"
DEPTH_TOPIC = "/ground_truth/depth/compressed"
FRAME_ID = "camera_optical_frame"
INFINITE_MM = 65535
JPEG_QUALITY = 88

Transport = Literal["compressed", "rgb8", "bgr8"]
TRANSPORTS: tuple[Transport, ...] = ("compressed", "rgb8", "bgr8")


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment of a recording.

    Attributes:
        stamp_ns: nanoseconds since the epoch.
        image: (H, W, 3) uint8 RGB, or the bytes of a JPEG file, which are kept as they are.
        depth: (h, w) float32 metres along Z, NaN unknown, +inf for the sky; None if not known.
    """

    stamp_ns: int
    image: NDArray[np.uint8] | bytes
    depth: NDArray[np.float32] | None = None

    @property
    def rgb(self) -> NDArray[np.uint8]:
        if not isinstance(self.image, bytes):
            return self.image
        bgr = cv2.imdecode(np.frombuffer(self.image, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            raise BagError("An image of the sequence does not decode", fix="Replace the file.")
        return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)

    @property
    def jpeg(self) -> bytes:
        if isinstance(self.image, bytes):
            return self.image
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        return cv2.imencode(".jpg", self.image[..., ::-1], quality)[1].tobytes()


def depth_png(depth: NDArray[np.float32]) -> bytes:
    """16-bit PNG in millimetres: 0 = unknown or beyond 65.534 m, 65535 = +inf."""
    mm = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0) * 1000.0)
    mm[(mm < 0) | (mm >= INFINITE_MM)] = 0
    mm[np.isposinf(depth)] = INFINITE_MM
    options = [cv2.IMWRITE_PNG_COMPRESSION, 6]  # 9 saves 5 % more in ten times the time
    return cv2.imencode(".png", mm.astype(np.uint16), options)[1].tobytes()


def write_bag(
    path: str | Path,
    frames: Iterable[Frame],
    camera: CameraModel,
    transport: Transport = "compressed",
) -> Path:
    """Write a recording of one camera; it appears under its name only when it is whole.

    Args:
        path: folder of the bag, which must not exist.
        camera: of the images, at their size.
        transport: "compressed" (JPEG), or raw images of encoding "rgb8" or "bgr8".

    Raises:
        BagError: the folder exists, there are no frames, or an image is not of the camera's size.
    """
    path = Path(path)
    if path.exists():
        raise BagError(f"{path} exists already", fix="Remove it or choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        part = Path(temporary) / path.name  # the same name, since it is in the metadata
        with bag_writer(part) as writer:
            count = _write_frames(writer, frames, camera, transport)
        if count == 0:
            raise BagError(f"No frames for {path}", fix="Check the folder of the sequence.")
        os.replace(part, path)
    return path


def _write_frames(
    writer: Writer, frames: Iterable[Frame], camera: CameraModel, transport: Transport
) -> int:
    image_topic = COMPRESSED_TOPIC if transport == "compressed" else IMAGE_TOPIC
    connections: dict[str, Connection] = {}

    def write(topic: str, stamp: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in connections:
            connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
        writer.write(connections[topic], stamp, STORE.serialize_cdr(message, kind))

    count = 0
    for count, frame in enumerate(frames, 1):
        header = _header(frame.stamp_ns)
        if frame.rgb.shape != (camera.height, camera.width, 3):
            raise BagError(
                f"Image {count} is not of its camera's size",
                found=frame.rgb.shape,
                expected=(camera.height, camera.width, 3),
            )
        write(CAMERA_INFO_TOPIC, frame.stamp_ns, _camera_info(header, camera))
        write(image_topic, frame.stamp_ns, _image(header, frame, transport))
        if frame.depth is not None:
            depth = _compressed(header, "16UC1; png compressed", depth_png(frame.depth))
            write(DEPTH_TOPIC, frame.stamp_ns, depth)
    return count


def _header(stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=FRAME_ID)


def _compressed(header: Any, kind: str, data: bytes) -> Any:
    return STORE.types["sensor_msgs/msg/CompressedImage"](
        header=header, format=kind, data=np.frombuffer(data, np.uint8)
    )


def _image(header: Any, frame: Frame, transport: Transport) -> Any:
    if transport == "compressed":
        return _compressed(header, "rgb8; jpeg compressed bgr8", frame.jpeg)
    pixels = frame.rgb if transport == "rgb8" else frame.rgb[..., ::-1]
    height, width, _ = pixels.shape
    return STORE.types["sensor_msgs/msg/Image"](
        header=header,
        height=height,
        width=width,
        encoding=transport,
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def _camera_info(header: Any, camera: CameraModel) -> Any:
    """With a lens model also where there is no distortion, as calibration tools write it."""
    if camera.D.size == 0:
        camera = replace(camera, D=np.zeros(5))
    if not camera.distortion_model:
        camera = replace(camera, distortion_model="plumb_bob")
    return camera_info(camera, header, ROSBAGS)


DEMO_SEED = 7_000_186
DEMO_SENSOR = 7_000_003
DEMO_START_NS = 1_700_000_000 * 10**9


def demo_bag(out: str | Path, frames: int = 40, rate_hz: float = 8.0) -> Path:
    """Return the bag of `make demo`: a robot drives through a room; 640x480, depth at 320x240.

    Its seeds are neither those of the training frames nor those of the validation frames.
    """
    width, height = 640, 480
    scene = sample_scenes([DEMO_SEED], ["room"])
    path = camera_path(
        scene,
        DEMO_SEED,
        frames,
        rate_hz,
        height=height,
        width=width,
        hfov_deg=70.0,
        camera_height=0.75,
    )
    fx, fy, cx, cy = path.intrinsics[0].tolist()
    camera = CameraModel.from_intrinsics(fx, fy, cx, cy, width, height)
    recording = record(scene, path, height, width, sensor_seed=DEMO_SENSOR, depth_divisor=2)
    stamps = (DEMO_START_NS + round(s * 1e9) for s in path.stamps.tolist())
    moments = zip(stamps, recording, strict=True)
    made = (Frame(stamp, rgb, depth) for stamp, (rgb, depth) in moments)
    return write_bag(out, track(made, "rendering", frames), camera)


def folder_bag(folder: str | Path, out: str | Path, transport: Transport = "compressed") -> Path:
    """Make a bag of a recorded sequence, with its true stamps: see `recorded_frames`.

    Raises:
        BagError: a file is missing, or the numbers of stamps and images differ.
    """
    camera, frames = recorded_frames(folder)
    return write_bag(out, frames, camera, transport)


def recorded_frames(folder: str | Path) -> tuple[CameraModel, Iterator[Frame]]:
    """Return the camera and the frames of a recorded sequence, with their true stamps.

    The folder holds rgb/*.jpg, depth/*.png of the same names (16-bit millimetres, 0 = unknown),
    timestamps.txt (seconds, a line a frame) and info.json with intrinsics_px {fx, fy, cx, cy} and,
    if the lens distorts, distortion_plumb_bob [k1, k2, p1, p2, k3].

    Raises:
        BagError: a file is missing, or the numbers of stamps and images differ.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "info.json").read_text())
        stamps = (folder / "timestamps.txt").read_text().split()
        k = about["intrinsics_px"]
    except (OSError, ValueError, KeyError) as error:
        raise BagError(
            f"{folder} is not a recorded sequence",
            found=repr(error),
            expected="info.json with intrinsics_px, timestamps.txt, rgb/ and depth/",
        ) from error
    images = sorted((folder / "rgb").glob("*.jpg"))
    if not images or len(images) != len(stamps):
        raise BagError(
            f"{folder} has not one stamp an image",
            found=f"{len(images)} images and {len(stamps)} stamps",
        )
    height, width = Frame(0, images[0].read_bytes()).rgb.shape[:2]
    camera = CameraModel.from_intrinsics(k["fx"], k["fy"], k["cx"], k["cy"], width, height)
    if "distortion_plumb_bob" in about:
        lens = np.asarray(about["distortion_plumb_bob"], np.float64)
        camera = CameraModel(width, height, camera.K, lens, "plumb_bob", P=camera.P)
    return camera, _recorded_frames(images, stamps)


def _recorded_frames(images: Sequence[Path], stamps: Sequence[str]) -> Iterator[Frame]:
    for path, stamp in zip(images, stamps, strict=True):
        seconds, _, fraction = stamp.partition(".")
        stamp_ns = int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)
        png = path.parent.parent / "depth" / f"{path.stem}.png"
        mm = cv2.imread(str(png), cv2.IMREAD_UNCHANGED) if png.exists() else None
        depth = None if mm is None else np.where(mm > 0, mm / 1000.0, np.nan).astype(np.float32)
        yield Frame(stamp_ns, path.read_bytes(), depth)


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
