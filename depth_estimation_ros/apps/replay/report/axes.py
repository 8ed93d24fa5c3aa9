"""Scales of the charts: from numbers to pixels, with round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined

WIDTH, LEFT, RIGHT = 480, 44, 468  # of a chart, and where its axis of time begins and ends


@dataclass(frozen=True)
class Axis:
    """A linear scale.

    Attributes:
        low, high: numbers at its ends; low < high.
        start, end: pixels there.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value, rounded to a tenth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """At most so many round numbers within the scale: multiples of 1, 2 or 5 times 10^n."""
        step = round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1 - 1e-9))


def x_axis(axis: Axis, top: float, bottom: float, unit: str, most: int = 6) -> Markup:
    """Grid lines with numbers below, and the unit after the last one."""
    ticks = axis.ticks(most)
    lines = [
        element("line", x1=axis(t), x2=axis(t), y1=top, y2=bottom, class_="grid") for t in ticks
    ]
    numbers = [
        element("text", f"{t:g}", x=axis(t), y=bottom + 17, text_anchor="middle") for t in ticks
    ]
    name = element("text", unit, x=axis.end, y=bottom + 34, text_anchor="end")
    return joined(*lines, *numbers, name)


def y_axis(axis: Axis, left: float, right: float, unit: str, most: int = 5) -> Markup:
    """Grid lines with numbers at the left, and the unit above the highest one."""
    ticks = axis.ticks(most)
    lines = [
        element("line", x1=left, x2=right, y1=axis(t), y2=axis(t), class_="grid") for t in ticks
    ]
    numbers = [
        element("text", f"{t:g}", x=left - 6, y=axis(t) + 4, text_anchor="end") for t in ticks
    ]
    name = element("text", unit, x=0, y=axis.end - 10)
    return joined(*lines, *numbers, name)


def chart(height: float, label: str, inside: Markup) -> Markup:
    """A drawing `WIDTH` wide with what it shows in words, for those who cannot see it."""
    return element("svg", inside, viewBox=f"0 0 {WIDTH} {height:g}", role="img", aria_label=label)
