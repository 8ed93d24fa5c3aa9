"""How cost grows with pixels, cameras and listeners, and what accuracy costs: a plot each, of the
JSON files in a folder.
"""

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
    if (rungs := numbers_of(folder, "ladder")) is not None:
        made.append(ladder(rungs, folder / "accuracy_against_time.png"))
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


def ladder(numbers: dict[str, Any], path: Path) -> Path:
    """Accuracy against time: of all networks after the same training, and of the bundled ones."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 5), layout="constrained", sharey=True)
    equal_budget([row for row in numbers["rows"] if row["equal_budget"]], panels[0])
    bundled([row for row in numbers["rows"] if row["accuracy"]], panels[1])
    for panel in panels:
        panel.set(
            xscale="log",
            xlabel="ms a picture near 320x240, ONNX Runtime, 2 threads (median, log)",
            ylim=(0, 100),
        )
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("pixels within 25 % of true depth, %")
    figure.suptitle("Accuracy against time")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def equal_budget(rows: list[dict[str, Any]], panel: Any) -> None:
    """A point a network, and what a constant would score."""
    labels = {"none": "not aligned", "median": "scale aligned by the median"}
    for color, (alignment, label) in zip(("C0", "C1"), labels.items(), strict=True):
        points = [(row["threads_2"]["p50"], 100 * row["equal_budget"][alignment]) for row in rows]
        if points:
            panel.plot(*zip(*points, strict=True), "o", color=color, label=label)
            constant = 100 * rows[0]["equal_budget"][f"constant, {alignment}"]
            panel.axhline(constant, color=color, linestyle=":", label="a constant, " + label)
    for row in rows:
        name_line(row["threads_2"]["p50"], row["network"], panel)
    if rows:
        panel.legend(fontsize=8, loc="center", bbox_to_anchor=(0.5, 0.68))
    panel.set_title(
        "the same scenes and steps for all, from random weights; scored at 96x128", fontsize=10
    )


def bundled(rows: list[dict[str, Any]], panel: Any) -> None:
    """A line a data set, scale not aligned."""
    lines: Series = {}
    for row in rows:
        ms = row["threads_2"]["p50"]
        name_line(ms, f"{row['network']} {row['precision']}", panel)
        for scores in row["accuracy"]:
            lines.setdefault(scores["dataset"], []).append((ms, 100 * scores["delta1"]))
    for label, points in lines.items():
        panel.plot(*zip(*sorted(points), strict=True), marker="o", label=label.replace("_", " "))
    if lines:
        panel.legend(
            title="data set, not aligned", fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0)
        )
    panel.set_title(
        "the bundled models on data that they have not seen; scored at 192x256", fontsize=10
    )


def name_line(ms: float, name: str, panel: Any) -> None:
    """A line at the time of a network, with its name."""
    panel.axvline(ms, color="0.85", zorder=0)
    panel.annotate(
        name,
        (ms, 0.99),
        (-3, 0),
        ("data", "axes fraction"),
        "offset points",
        rotation=90,
        ha="right",
        va="top",
        fontsize=7,
    )


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
