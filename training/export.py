"""`python -m training export`: a checkpoint becomes one ONNX file that explains itself.

The graph takes camera bytes, ``image`` (N, H, W, 3) uint8 RGB, and gives ``depth`` (N, H, W)
float32 metres; normalisation is inside, and so is the model card. Before the file gets its name,
ONNX Runtime runs it against PyTorch on images of two sizes, and it is not written if they differ
by more than the limits in `depth_estimation_ros.apps.build_engine.parity`.

fp32 computes in float32 but stores its weights as float16, half the size; fp16 and int8 compute in
fewer bits. int8 needs --calibration, a folder with images that look like what the robot will see
and that are not those it is judged on. It is written for ONNX Runtime on a processor. A robot's own
TensorRT engine is made from the fp32 file, by build_engine, in int8 too.

example: python -m training export --checkpoint runs/nyu/checkpoints/final.ckpt --out nyu.onnx
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from rich.progress import track
from torch import nn

from depth_estimation_ros.apps.build_engine.calibration_images import (
    drawn_images,
    network_batch,
    read_images,
)
from depth_estimation_ros.apps.build_engine.parity import LIMITS, Parity, check_parity, compare
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.precision.half import to_half
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.errors import ModelError, ParameterError
from depth_estimation_ros.estimation import Rgb
from training.checkpoint import load_checkpoint
from training.networks import DepthNetwork
from training.onnx_graph import to_onnx
from training.torch_engine import TorchEngine, make_card

logger = logging.getLogger(__name__)


def compare_with_torch(
    network: DepthNetwork, card: ModelCard, path: Path, images: Sequence[Rgb]
) -> Parity:
    """Compare an ONNX file on ONNX Runtime with ``network`` on PyTorch, both on the CPU."""
    reference, candidate = TorchEngine(network, card, "cpu"), OnnxRuntimeEngine(path)
    try:
        shown = track(images, description="comparing with PyTorch", transient=True)
        return compare(reference, candidate, shown)
    finally:
        reference.close()
        candidate.close()


def report(parity: Parity, precision: str, path: Path, force: bool) -> None:
    """Log the numbers with their limits.

    Raises:
        ModelError: the numbers are outside the limits, unless ``force``; then it is a warning.
    """
    try:
        check_parity(
            parity, precision, str(path), "Nothing was written; --force writes it nevertheless"
        )
    except ModelError as error:
        if not force:
            raise
        logger.warning("%s", error)
    limit = LIMITS[precision]
    logger.info(
        "against PyTorch on %d images: abs_rel %.2g (limit %g), delta1 %.5f (limit %g), "
        "largest error %.2g",
        parity.images,
        parity.abs_rel,
        limit.abs_rel,
        parity.delta1,
        limit.delta1,
        parity.max_rel,
    )


CALIBRATION_IMAGES = 64
PARITY_IMAGES = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .ckpt written by train")
    parser.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    parser.add_argument(
        "--precision", choices=tuple(LIMITS), default="fp32", help="arithmetic (default: fp32)"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help=f"colour images: {CALIBRATION_IMAGES} to calibrate int8, {PARITY_IMAGES} others "
        "to compare with PyTorch on (default: drawn ones to compare on, and no int8)",
    )
    parser.add_argument(
        "--force", action="store_true", help="write the file even if it differs from PyTorch"
    )
    parser.add_argument("--name", help="the model's name on its card (default: the config's)")
    parser.add_argument("--model-version", default="1", help="the card's model_version")
    parser.add_argument("--licence", default="MIT", help="SPDX name for the weights")
    parser.add_argument(
        "--output-max-depth",
        type=float,
        default=80.0,
        help="metres in the canonical camera beyond which the output means 'out of range' "
        "(default: 80, or the network's own end if that is nearer)",
    )
    parser.add_argument(
        "--training-data", nargs="*", help="names for the card (default: the config's data sets)"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="*", default=[], help="files written by evaluate --json"
    )


def run(args: argparse.Namespace) -> int:
    """Write the file; return the exit code."""
    config, network = load_checkpoint(args.checkpoint)
    card = make_card(
        config,
        network,
        name=args.name,
        model_version=args.model_version,
        licence=args.licence,
        output_max_depth=args.output_max_depth,
        training_data=args.training_data,
        metrics=[entry for path in args.metrics for entry in _read_metrics(path)],
    )
    round_weights(network)
    images = None
    if args.calibration is not None:
        images = list(read_images(args.calibration, CALIBRATION_IMAGES + PARITY_IMAGES))
    export(network, card, args.out, args.precision, images, force=args.force)
    size = args.out.stat().st_size / 1e6
    logger.info(
        "wrote %s (%s, %.1f MB); next: python -m training evaluate --help",
        args.out,
        args.precision,
        size,
    )
    return 0


def round_weights(network: nn.Module) -> None:
    """Round, in place, the tensors that :func:`export` stores as float16, to float16 values.

    So the network in hand and the file say the same, and a comparison of the two is exact.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())


def export(
    network: DepthNetwork,
    card: ModelCard,
    path: Path,
    precision: str = "fp32",
    images: Sequence[Rgb] | None = None,
    *,
    force: bool = False,
) -> Parity:
    """Write ``network`` (on the CPU) as ONNX with ``card`` in its metadata, atomically.

    Any batch size, and any height and width that are multiples of ``card.input.multiple_of``.

    Args:
        network: compared with the file as it is; see :func:`round_weights`.
        card: of the network; the file's says fp16 or int8 in its version.
        path: of the file.
        precision: fp32, fp16 or int8.
        images: (H, W, 3) uint8 RGB; the last fifth of them is for the comparison with PyTorch,
            the others are for calibration. None: drawn ones, which int8 refuses.
        force: write the file even if its depth is too far from PyTorch's.

    Returns:
        How far the file is from PyTorch.

    Raises:
        ModelError: the graph is not valid ONNX, or too far from PyTorch; nothing is written then.
        ParameterError: no images for int8.
    """
    calibration, held_out = _share_out(images, precision, card)
    model = to_onnx(network, card)
    if precision == "fp16":
        model = to_half(model)
    elif precision == "int8":
        shown = track(calibration, description="calibrating int8", transient=True)
        batches = (network_batch(rgb, card.input, nominal=True) for rgb in shown)
        model = to_int8(model, batches, runtime="onnxruntime")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    try:
        onnx.save(model, partial)
        parity = compare_with_torch(network, card, partial, held_out)
        report(parity, precision, path, force)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return parity


def _share_out(
    images: Sequence[Rgb] | None, precision: str, card: ModelCard
) -> tuple[Sequence[Rgb], Sequence[Rgb]]:
    """Images for calibration, and others to compare with PyTorch on."""
    if images is None:
        if precision == "int8":
            raise ParameterError(
                "int8 is calibrated on images",
                found="none",
                expected="a folder of some that look like what the robot will see",
                fix="Give it with --calibration FOLDER",
            )
        return (), drawn_images(card.input)
    share = CALIBRATION_IMAGES / (CALIBRATION_IMAGES + PARITY_IMAGES)
    split = max(1, round(share * len(images)))
    return images[:split], images[split:] or images


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"--metrics {path} cannot be read ({error})",
            fix="Write it with: python -m training evaluate --json FILE.",
        ) from error
