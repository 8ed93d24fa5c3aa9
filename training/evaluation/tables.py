"""An evaluation on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from training.evaluation.score import SetResult
from training.evaluation.words import TITLES, band_rows, main_rows, number, protocol

SHOWN_BY_DISTANCE = ("abs_rel", "rmse", "silog", "delta1", "delta2", "delta3")


def as_tables(result: SetResult, split: str) -> Iterator[Table]:
    """All metrics of a data set, and the most telling ones by distance."""
    table = Table(title=f"{protocol(result, split)}\nmean over frames", title_justify="left")
    table.add_column("predictor")
    table.add_column("aligned")
    for title in TITLES.values():
        table.add_column(title, justify="right")
    for place, row in enumerate(main_rows(result)):
        numbers = [number(row.metrics[name]) for name in TITLES]
        table.add_row(row.predictor, row.alignment, *numbers, end_section=place == 1)
    yield table

    table = Table(title=f"{result.dataset}: model by true distance", title_justify="left")
    for title in ("distance m", "aligned", "frames", "pixels"):
        table.add_column(title, justify="right" if title != "aligned" else "left")
    for name in SHOWN_BY_DISTANCE:
        table.add_column(TITLES[name], justify="right")
    for place, band in enumerate(band_rows(result), start=1):
        lead = (f"{band.near:g} - {band.far:g}", band.alignment, str(band.images))
        numbers = [number(band.metrics[name]) for name in SHOWN_BY_DISTANCE]
        share = f"{100 * band.share:.1f} %"
        table.add_row(*lead, share, *numbers, end_section=place == len(result.bands))
    yield table
