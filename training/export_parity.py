"""Whether an exported file says the same as the network that it was made from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rich.progress import track

from depth_estimation_ros.apps.build_engine.parity import LIMITS, Parity, check_parity, compare
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.estimation import Rgb
from training.networks import DepthNetwork
from training.torch_engine import TorchEngine

logger = logging.getLogger(__name__)


def compare_with_torch(
    network: DepthNetwork, card: ModelCard, path: Path, pictures: Sequence[Rgb]
) -> Parity:
    """The depth of an ONNX file on ONNX Runtime against that of ``network`` on PyTorch (CPU)."""
    reference, candidate = TorchEngine(network, card, "cpu"), OnnxRuntimeEngine(path)
    try:
        shown = track(pictures, description="comparing with PyTorch", transient=True)
        return compare(reference, candidate, shown)
    finally:
        reference.close()
        candidate.close()


def report(parity: Parity, precision: str, path: Path, force: bool) -> None:
    """Logs the numbers beside their limits.

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
        "against PyTorch on %d pictures: abs_rel %.2g (limit %g), delta1 %.5f (limit %g), "
        "largest error %.2g",
        parity.pictures,
        parity.abs_rel,
        limit.abs_rel,
        parity.delta1,
        limit.delta1,
        parity.max_rel,
    )
