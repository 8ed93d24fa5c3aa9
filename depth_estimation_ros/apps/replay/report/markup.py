"""HTML and SVG as text: everything that is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

_VOID = {"br", "circle", "col", "img", "line", "meta", "path", "polyline", "rect", "stop"}


class Markup(str):
    """Text that is markup and goes onto the page as it is."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element.

    Args:
        name: of the element.
        children: `Markup` stays as it is; None is nothing; anything else is escaped text.
        attributes: by name, `_` for `-` and a last `_` dropped (class_); None leaves one out.
    """
    opening = name
    for key, value in attributes.items():
        if value is not None:
            opening += f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
    inside = joined(*children)
    if name in _VOID and not inside:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{inside}</{name}>")


def joined(*parts: object) -> Markup:
    """Parts one after the other, escaped where they are not markup."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else html.escape(str(part), quote=False)
            for part in parts
            if part is not None
        )
    )


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    numbers_from: int = 1,
    row_heads: bool = True,
) -> Markup:
    """A table with a caption; wide ones scroll sideways by themselves.

    Args:
        caption: what it shows.
        heads: of the columns; empty for none.
        rows: of cells.
        numbers_from: columns from this one on are numbers, set to the right.
        row_heads: the first cell of a row is its head.
    """

    def style(column: int) -> str | None:
        return "number" if column >= numbers_from else None

    head = None
    if heads:
        cells = [element("th", h, scope="col", class_=style(i)) for i, h in enumerate(heads)]
        head = element("thead", element("tr", *cells))
    body = [
        element(
            "tr",
            *[
                element("th", cell, scope="row")
                if i == 0 and row_heads
                else element("td", cell, class_=style(i))
                for i, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    whole = element("table", element("caption", caption), head, element("tbody", *body))
    return element("div", whole, class_="scroll", tabindex="0", role="group", aria_label=caption)
