"""What fewer bits cost: the depth of two engines on the same images, compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.apps.build_engine.calibration_images import network_batch
from depth_estimation_ros.engines import Engine
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.estimation import Rgb, to_metres
from depth_estimation_ros.estimation.metrics import depth_metrics

if TYPE_CHECKING:
    from rich.table import Table

# Depths below a millimetre are compared as a millimetre: ratios need something to divide by.
SMALLEST = 1e-3


@dataclass(frozen=True)
class Parity:
    """How far one engine's depth is from another's, which is taken for the truth.

    Attributes:
        images: how many were compared.
        abs_rel: mean over images of the mean of |depth - reference| / reference.
        delta1: mean over images of the share of pixels with a ratio below 1.25.
        max_rel: the largest |depth - reference| / reference of any pixel.
        unknown: share of pixels that are NaN though the reference has a depth there.
    """

    images: int
    abs_rel: float
    delta1: float
    max_rel: float
    unknown: float


@dataclass(frozen=True)
class Limit:
    """What a conversion may cost at most: see `Parity` for the terms."""

    abs_rel: float
    delta1: float


# Stated once, for every command that converts. fp32 is the same arithmetic in another order.
LIMITS: Mapping[str, Limit] = {
    "fp32": Limit(abs_rel=1e-4, delta1=0.9999),
    "fp16": Limit(abs_rel=0.02, delta1=0.999),
    "int8": Limit(abs_rel=0.10, delta1=0.99),
}


def compare(
    reference: Engine, candidate: Engine, images: Iterable[Rgb], *, copies: int = 1
) -> Parity:
    """Runs both on each image, at the size at which the pipeline would.

    Depth beyond the limits of the reference's card counts as at the limit, as in the pipeline.
    Processors and GPUs sum float16 in different ways, so numbers hold for the two engines at hand.

    Args:
        reference: its card also says how the images are prepared.
        candidate: of the same input and output.
        images: (H, W, 3) uint8 RGB, any sizes; read once.
        copies: the fewest images that the candidate takes at once; it gets the same so often.

    Raises:
        EngineError: one of them failed.
        ModelError: there was no image.
    """
    rows: list[dict[str, float]] = []
    largest = 0.0
    for rgb in images:
        batch = network_batch(rgb, reference.card.input)
        truth = _depth(reference.infer(batch)[0], reference.card)
        depth = _depth(candidate.infer(np.repeat(batch, copies, axis=0))[0], reference.card)
        rows.append(depth_metrics(depth, truth, min_depth=0.5 * SMALLEST, max_depth=np.inf))
        largest = max(largest, float(np.nanmax(np.abs(depth / truth - 1.0), initial=0.0)))
    if not rows:
        raise ModelError("no image to compare two engines on", fix="Give at least one")

    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    return Parity(len(rows), mean("abs_rel"), mean("delta1"), largest, 1.0 - mean("coverage"))


def check_parity(parity: Parity, precision: str, what: str, fix: str) -> None:
    """Raises ModelError with the numbers if ``parity`` is outside `LIMITS` for ``precision``.

    Args:
        parity: as measured.
        precision: fp32, fp16 or int8.
        what: the file or engine, for the message.
        fix: the next step, for the message.
    """
    limit = LIMITS[precision]
    # Written so that NaN fails.
    if parity.abs_rel <= limit.abs_rel and parity.delta1 >= limit.delta1 and not parity.unknown:
        return
    unknown = f", {100 * parity.unknown:.2g} % of pixels without depth" if parity.unknown else ""
    raise ModelError(
        f"{what}: {precision} is too far from float32",
        found=f"abs_rel {parity.abs_rel:.2g}, delta1 {parity.delta1:.4f}, "
        f"max_rel {parity.max_rel:.2g}{unknown} on {parity.images} images",
        expected=f"abs_rel at most {limit.abs_rel:g}, delta1 at least {limit.delta1:g}",
        fix=fix,
    )


def as_table(rows: Mapping[str, tuple[str, Parity]]) -> Table:
    """A table for a terminal: by name, the precision and what it cost, beside the limits.

    Needs the package `rich`.
    """
    from rich.table import Table

    table = Table(title="Depth against float32 (limit in brackets)")
    table.add_column("what", overflow="fold")
    for column in ("precision", "images", "abs_rel", "delta1", "max_rel"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, (precision, parity) in rows.items():
        limit = LIMITS[precision]
        table.add_row(
            name,
            precision,
            str(parity.images),
            f"{parity.abs_rel:.2g} ({limit.abs_rel:g})",
            f"{parity.delta1:.5f} ({limit.delta1:g})",
            f"{parity.max_rel:.2g}",
        )
    return table


def _depth(raw: npt.NDArray[np.float32], card: ModelCard) -> npt.NDArray[np.float32]:
    near = max(card.output.min_depth, SMALLEST)
    return np.clip(to_metres(raw, card.output, 1.0), near, card.output.max_depth)
