"""What was lost, in words and tables: missing frames, damage, frames without depth."""

from __future__ import annotations

from depth_estimation_ros.apps.replay.report.camera_frames import Gap
from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined, table
from depth_estimation_ros.apps.replay.summary import ReplaySummary

LONGEST_GAPS = 5
SHOWN_BAD_FRAMES = 20


def gap_table(gaps: list[Gap], start_ns: int, period: float) -> Markup:
    """The longest gaps, and how much is missing in all; words where there are none."""
    lost = [gap for gap in gaps if gap.missing]
    pauses = len(gaps) - len(lost)
    words = (
        f"About {counted(sum(gap.missing for gap in lost), 'frame')} missing in "
        f"{counted(len(lost), 'gap')}: where the stamps are more than 1.5 times "
        f"{period / 1e6:.1f} ms apart."
        if lost
        else "No gaps: no two frames that were played are more than 1.5 median periods apart."
    )
    if pauses:
        words += f" Not counted: {counted(pauses, 'pause')} of more than a minute."
    if not lost:
        return element("p", words)
    longest = sorted(lost, key=lambda gap: gap.start_ns - gap.end_ns)[:LONGEST_GAPS]
    rows: list[list[object]] = [
        [
            f"{(gap.start_ns - start_ns) / 1e9:.2f}",
            f"{(gap.end_ns - gap.start_ns) / 1e6:.1f}",
            gap.missing,
        ]
        for gap in sorted(longest, key=lambda gap: gap.start_ns)
    ]
    heads = ["after second", "length, ms", "frames missing"]
    caption = "The longest gaps" if len(lost) > LONGEST_GAPS else "The gaps"
    return joined(element("p", words), table(caption, heads, rows, numbers_from=0, row_heads=False))


def losses(summary: ReplaySummary, start_ns: int) -> Markup:
    """Damage of the recording and bad frames; empty where there are none."""
    parts = []
    if summary.damage:
        rows: list[list[object]] = [
            [
                damage.get("where", ""),
                damage.get("what", ""),
                _count(damage.get("lost_messages")),
                _count(damage.get("lost_bytes")),
            ]
            for damage in summary.damage
        ]
        heads = ["where", "what", "messages lost", "bytes lost"]
        parts.append(table("Damage of the recording", heads, rows, numbers_from=2))
    if summary.bad_frames:
        shown = summary.bad_frames[:SHOWN_BAD_FRAMES]
        bad: list[list[object]] = [
            [frame.topic, f"{(frame.stamp_ns - start_ns) / 1e9:.3f}", frame.why] for frame in shown
        ]
        caption = f"Frames without depth: {len(shown)} of {summary.frames_bad}; the others are in "
        caption += "replay.json and frames.csv"
        if len(shown) == summary.frames_bad:
            caption = "Frames without depth"
        parts.append(table(caption, ["camera", "second", "why"], bad, numbers_from=3))
    if not parts:
        return Markup("")
    return joined(element("h2", "What was lost"), *parts)


def counted(number: int, thing: str) -> str:
    """1 frame, 2 frames."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _count(value: object) -> str:
    return "unknown" if value is None else str(value)
