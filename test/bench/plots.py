"""How cost grows with pixels, cameras and listeners: a plot each, of the JSON files in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Series = dict[str, list[tuple[float, float]]]


def plot_all(folder: Path) -> list[Path]:
    """Writes those plots whose numbers are there; returns their paths."""
    made = []
    if (live := numbers_of(folder, "end_to_end")) is not None:
        made.append(pixels(live, folder / "scaling_pixels.png"))
        if listeners_of(live):
            made.append(listeners(live, folder / "scaling_listeners.png"))
    if (several := numbers_of(folder, "cameras")) is not None:
        made.append(cameras(several, folder / "scaling_cameras.png"))
    return made


def numbers_of(folder: Path, section: str) -> dict[str, Any] | None:
    """What a section measured, if it was."""
    path = folder / f"{section}.json"
    return json.loads(path.read_text())["numbers"] if path.exists() else None


def pixels(numbers: dict[str, Any], path: Path) -> Path:
    """The way without the network, by the size of the image."""
    times: Series = {}
    processor: Series = {}
    for row in numbers["rows"]:
        if row["model"] != "costs nothing" or row["listeners"] != 1:
            continue
        megapixels = row["size"][0] * row["size"][1] / 1e6
        times.setdefault(row["outputs"], []).append((megapixels, row["last_output"]["p50"]))
        processor.setdefault(row["outputs"], []).append((megapixels, row["processor_ms_per_image"]))
    title = "A network that costs nothing, by the size of the image"
    return draw(path, title, "megapixels of the image", times, processor)


def listeners_of(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that differ in their listeners alone."""
    most = [row for row in numbers["rows"] if row["listeners"] > 1]
    if not most:
        return []
    alike = ("model", "precision", "threads", "size", "outputs")
    return [row for row in numbers["rows"] if all(row[key] == most[0][key] for key in alike)]


def listeners(numbers: dict[str, Any], path: Path) -> Path:
    """The way without the network, by the number of those who listen."""
    rows = sorted(listeners_of(numbers), key=lambda row: row["listeners"])
    label = rows[0]["outputs"]
    times = {label: [(row["listeners"], row["last_output"]["p50"]) for row in rows]}
    processor = {label: [(row["listeners"], row["processor_ms_per_image"]) for row in rows]}
    title = "A network that costs nothing, 640x480, by listeners of each output"
    return draw(path, title, "listeners", times, processor)


def cameras(numbers: dict[str, Any], path: Path) -> Path:
    """The way and the processor, by the number of cameras."""
    times: Series = {}
    processor: Series = {}
    for row in numbers["rows"]:
        label = "in one node" if row["nodes"] == 1 else "in as many nodes"
        times.setdefault(label, []).append((row["cameras"], row["whole_way"]["p50"]))
        processor.setdefault(label, []).append((row["cameras"], row["processor_ms_per_image"]))
    title = f"{numbers['model']}, 640x480 at {numbers['rate_hz']:g} Hz each, by cameras"
    return draw(path, title, "cameras", times, processor)


def draw(path: Path, title: str, x: str, times: Series, processor: Series) -> Path:
    """Two panels: the whole way, and what the node's process takes."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, series, y in (
        (panels[0], times, "whole way to the last output, ms (median)"),
        (panels[1], processor, "processor time of the node, ms an image"),
    ):
        for label, points in series.items():
            panel.plot(*zip(*sorted(points), strict=True), marker="o", label=label)
        panel.set(xlabel=x, ylabel=y, ylim=(0, None))
        panel.grid(alpha=0.3)
        panel.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
