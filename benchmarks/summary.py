"""Put the main numbers of docs/benchmarks into docs/speed.md, between two comments."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sections import stages
from tables import grid, number

BLOCK = re.compile(r"(<!-- speed: .*? -->\n).*?(\n<!-- end of speed -->)", re.DOTALL)
NEEDED = ("end_to_end", "startup", "stages", "engine", "processor", "cameras")


def fill(page: Path, folder: Path) -> None:
    """Replace what stands between the comments of ``page``.

    Raises:
        SystemExit: a section was not measured, or the page lacks the comments.
    """
    missing = [name for name in NEEDED if not (folder / f"{name}.json").exists()]
    if missing:
        raise SystemExit(f"{folder} lacks {', '.join(missing)}: run make bench first")
    measured = {name: json.loads((folder / f"{name}.json").read_text()) for name in NEEDED}
    text = page.read_text()
    if not BLOCK.search(text):
        raise SystemExit(f"{page} lacks the comments '<!-- speed: ... -->' and '<!-- end of ...'")
    page.write_text(BLOCK.sub(lambda found: found[1] + block(measured) + found[2], text))


def block(measured: dict[str, dict[str, Any]]) -> str:
    """The sentences and the table."""
    numbers = {name: content["numbers"] for name, content in measured.items()}
    machine = measured["end_to_end"]["machine"]
    rows = [
        (
            row["model"],
            row["outputs"],
            number(row["engine_p50"]),
            number(row["last_output"]["p50"] - row["engine_p50"]),
            number(row["last_output"]["p99"]),
            number(row["processor_ms_per_image"]),
        )
        for row in numbers["end_to_end"]["rows"]
        if row["size"] == [640, 480] and row["threads"] == 0 and row["listeners"] == 1
    ]
    heads = (
        "Network",
        "Outputs",
        "Network, median",
        "Everything else, median",
        "All, 99th percentile",
        "Processor time an image",
    )
    return (
        f"Raw images of 640x480 at {numbers['end_to_end']['rate_hz']:g} Hz between three processes "
        f"on {machine['cores']} cores of {machine['processor']}, Fast DDS with the profile above; "
        "milliseconds, from publishing the image to the last output received:\n"
        + grid(heads, rows)
        + "\n"
        + "\n".join(f"- {line}" for line in facts(numbers))
    )


def facts(numbers: dict[str, Any]) -> list[str]:
    """One sentence for each of the other aims."""
    starts = [
        f"{row['model']} {row['first_depth_ms']['p50'] / 1e3:.1f} s"
        for row in numbers["startup"]["rows"]
    ]
    ratios = [
        f"{taken / copied:.1f} at {size}"
        for size, rows in numbers["stages"]["sizes"].items()
        for taken, copied in [stages.sums(rows)]
    ]
    slower = [
        100 * (row["times"]["as the node runs it"]["p50"] / bare["p50"] - 1)
        for row in numbers["engine"]["rows"]
        for bare in [row["times"]["bare, same settings"]]
    ]
    node, *bare = (
        next(row for row in numbers["processor"]["rows"] if row["what"] == what)
        for what in ("the node, depth only", "bare, never spins", "bare, spins (the default)")
    )
    shares = {
        row["nodes"]: row
        for row in numbers["cameras"]["rows"]
        if row["cameras"] == numbers["cameras"]["rows"][-1]["cameras"]
    }
    several = max(shares)
    return [
        f"Start of the process to the first depth, median: {', '.join(starts)}.",
        "Resize, upsampling, messages and cloud take so many times a memcpy of the same bytes: "
        f"{', '.join(ratios)}.",
        "The network in the node against ONNX Runtime bare with the same settings: "
        f"{min(slower):+.1f} to {max(slower):+.1f} %.",
        f"{numbers['processor']['model']} at {numbers['processor']['rate_hz']:g} Hz takes "
        f"{number(node['processor_ms_per_image'])} ms of the processor an image in the node, "
        f"{number(bare[0]['processor_ms_per_image'])} in ONNX Runtime alone, and "
        f"{number(bare[1]['processor_ms_per_image'])} if that spins, as it does by default.",
        f"{several} cameras in one node: {number(shares[1]['pss_mb'])} MB and "
        f"{number(shares[1]['processor_ms_per_image'])} ms of the processor an image; in "
        f"{several} nodes: {number(shares[several]['pss_mb'])} MB and "
        f"{number(shares[several]['processor_ms_per_image'])} ms.",
    ]
