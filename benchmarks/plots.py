"""Plots of the benchmarks: cost by pixels, subscribers and cameras; accuracy by time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from depth_estimation_ros.visualization.figures import FAINT, STYLE

Rows = list[dict[str, Any]]

LATENCY = "image to last output, ms"
PROCESSOR = "processor time an image, ms"
LABEL_DISTANCE = 4.5  # of an axis of 0 to 100
NETWORKS = {
    "dinov2_dpt": "DINOv2-S + DPT",
    "enc_dec_irv2": "Enc-Dec-IRv2",
    "compact": "compact",
    "nano": "nano",
}
DATA_SETS = {
    "val": "synthetic rooms",
    "realsense_desk": "desk",
    "realsense_room": "office",
    "tum_static": "hall",
    "seven_scenes_kitchen": "kitchen",
    "dfd_rooms": "rooms",
    "kitti_drive_0005": "road",
}


def plot_all(folder: Path) -> list[Path]:
    """Write the plots whose numbers are in the folder; return their paths."""
    made = []
    with matplotlib.rc_context(STYLE):
        if (live := read_numbers(folder, "end_to_end")) is not None:
            made.append(plot_pixels(live["rows"], folder / "scaling_pixels.png"))
            if rows := rows_by_subscribers(live["rows"]):
                made.append(plot_subscribers(rows, folder / "scaling_listeners.png"))
        if (cameras := read_numbers(folder, "cameras")) is not None:
            made.append(plot_cameras(cameras, folder / "scaling_cameras.png"))
        if (ladder := read_numbers(folder, "ladder")) is not None:
            made.append(plot_accuracy(ladder["rows"], folder / "accuracy_against_time.png"))
    return made


def read_numbers(folder: Path, section: str) -> dict[str, Any] | None:
    """Return what a section measured; None if it did not."""
    path = folder / f"{section}.json"
    return json.loads(path.read_text())["numbers"] if path.exists() else None


def plot_pixels(rows: Rows, path: Path) -> Path:
    """Plot the cost around the network by the size of the image."""
    rows = [row for row in rows if row["model"] == "costs nothing" and row["listeners"] == 1]
    outputs = dict.fromkeys(row["outputs"] for row in rows)
    figure, panels = new_figure("Without the network, by the size of the image")
    for panel, label, value in zip(panels, (LATENCY, PROCESSOR), (latency, processor), strict=True):
        for name in outputs:
            points = sorted((pixels(row), value(row)) for row in rows if row["outputs"] == name)
            panel.plot(*zip(*points, strict=True), marker="o", label=name)
        sizes = sorted({pixels(row): row["size"] for row in rows}.items())
        panel.set_xticks([place for place, _ in sizes], [f"{w}x{h}" for _, (w, h) in sizes])
        panel.set(title=label, ylim=(0, None), xlim=(0, None))
    panels[0].legend()
    return save(figure, path)


def rows_by_subscribers(rows: Rows) -> Rows:
    """Return the runs that differ only in their number of subscribers."""
    several = [row for row in rows if row["listeners"] > 1]
    same = ("model", "precision", "threads", "size", "outputs")
    found = [row for row in rows if several and all(row[k] == several[0][k] for k in same)]
    return sorted(found, key=lambda row: row["listeners"])


def plot_subscribers(rows: Rows, path: Path) -> Path:
    """Plot the cost around the network by the subscribers of each output."""
    figure, panels = new_figure("Without the network, 640x480, by subscribers of each output")
    labels = [f"{row['listeners']} subscriber{'s' * (row['listeners'] > 1)}" for row in rows]
    for panel, title, value in zip(panels, (LATENCY, PROCESSOR), (latency, processor), strict=True):
        plot_bars(panel, labels, [value(row) for row in rows], title)
    return save(figure, path)


def plot_cameras(numbers: dict[str, Any], path: Path) -> Path:
    """Plot latency and processor time by cameras and nodes."""
    title = f"{numbers['model']}, 640x480 at {numbers['rate_hz']:g} Hz a camera"
    figure, panels = new_figure(title)
    rows = sorted(numbers["rows"], key=lambda row: (row["cameras"], row["nodes"]))
    labels = [f"{count(row['cameras'], 'camera')},\n{count(row['nodes'], 'node')}" for row in rows]
    plot_bars(panels[0], labels, [row["whole_way"]["p50"] for row in rows], LATENCY)
    plot_bars(panels[1], labels, [processor(row) for row in rows], PROCESSOR)
    return save(figure, path)


def plot_accuracy(rows: Rows, path: Path) -> Path:
    """Plot accuracy against time: after equal training, and of the bundled networks."""
    figure, (equal, bundled) = new_figure("Accuracy against time of the network", height=4.6)
    trained = [row for row in rows if row["equal_budget"]]
    for marker, (alignment, label) in zip(
        "os", {"median": "scale aligned", "none": "in metres"}.items(), strict=True
    ):
        points = [
            (row["threads_2"]["p50"], 100 * row["equal_budget"][alignment]) for row in trained
        ]
        if points:
            (line,) = equal.plot(*zip(*points, strict=True), marker, label=label, markersize=8)
            constant = 100 * trained[0]["equal_budget"][f"constant, {alignment}"]
            equal.axhline(constant, color=line.get_color(), linestyle=":", linewidth=1.2)
            equal.text(34, constant - 4, "a constant", color=FAINT, size=10, ha="center")
    for i, row in enumerate(sorted(trained, key=lambda row: row["threads_2"]["p50"])):
        place = (row["threads_2"]["p50"], 100 * row["equal_budget"]["median"])
        above = 10 if i % 2 else 26
        equal.annotate(
            NETWORKS[row["network"]], place, (0, above), textcoords="offset points", ha="center"
        )
    equal.set_title("same short training for all,\nunseen synthetic scenes")
    equal.legend(loc="upper left")
    scored = sorted((row for row in rows if row["accuracy"]), key=lambda r: r["threads_2"]["p50"])
    ends: list[tuple[float, float, str]] = []
    for name, label in DATA_SETS.items():
        points = [
            (row["threads_2"]["p50"], 100 * scores["delta1"])
            for row in scored
            for scores in row["accuracy"]
            if scores["dataset"] == name
        ]
        if points:
            bundled.plot(*zip(*points, strict=True), marker="o")
            ends.append((points[-1][1], points[-1][0], label))
    height = -np.inf
    for y, x, label in sorted(ends):
        height = max(y, height + LABEL_DISTANCE)
        bundled.text(1.12 * x, height, label, size=10, va="center")
    for row in scored:
        place = (row["threads_2"]["p50"], 98)
        text = f"{row['network']} {row['precision']}"
        bundled.text(*place, text, rotation=90, ha="center", va="top", size=10, color=FAINT)
    bundled.set_title("bundled networks in metres,\nunseen data")
    for panel, low, high in ((equal, 2.3, 190), (bundled, 2.3, 26)):
        panel.set(xscale="log", xlim=(low, high), ylim=(0, 100), xlabel="ms an image (log)")
        panel.set_xticks([t for t in (3, 5, 10, 20, 50, 100) if t < high])
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
    equal.set_ylabel("pixels within 25 % of the true depth, %")
    return save(figure, path)


def plot_bars(panel: Any, labels: list[str], values: list[float], title: str) -> None:
    """Draw one bar a value, with its number."""
    bars = panel.bar(labels, values, width=0.6)
    panel.bar_label(bars, [f"{value:.3g}" for value in values], padding=2)
    panel.set_title(title)
    panel.set_ylim(0, 1.15 * max(values))
    panel.grid(visible=False, axis="x")


def new_figure(title: str, height: float = 3.6) -> tuple[Figure, Any]:
    """Return a figure of two panels, as wide as a page of the docs."""
    figure = Figure(figsize=(9.0, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=13)
    return figure, figure.subplots(1, 2)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; return its path."""
    figure.savefig(path)
    return path


def pixels(row: dict[str, Any]) -> float:
    """Return the megapixels of the image."""
    return float(np.prod(row["size"])) / 1e6


def latency(row: dict[str, Any]) -> float:
    """Return the median from publishing the image to the last output, milliseconds."""
    return float(row["last_output"]["p50"])


def processor(row: dict[str, Any]) -> float:
    """Return the processor time of the node, milliseconds an image."""
    return float(row["processor_ms_per_image"])


def count(number: int, thing: str) -> str:
    """Return 1 node, 2 nodes."""
    return f"{number} {thing}{'s' * (number > 1)}"
