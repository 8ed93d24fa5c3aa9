"""Reads a page as a browser would, and refuses what a browser would have to guess."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"br", "img", "meta"}


class Element:
    """One element: its name, attributes, children, and the text directly in it."""

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.children: list[Element] = []
        self.pieces: list[str | Element] = []

    @property
    def text(self) -> str:
        """All text within."""
        return "".join(p if isinstance(p, str) else p.text for p in self.pieces)

    def all(self, name: str, class_: str = "") -> list[Element]:
        """The elements of a name, and of a class if one is given, in their order."""
        found = []
        for child in self.children:
            classes = child.attributes.get("class", "").split()
            if child.name == name and (not class_ or class_ in classes):
                found.append(child)
            found += child.all(name, class_)
        return found

    def numbers(self, *names: str) -> list[float]:
        """Attributes as numbers."""
        return [float(self.attributes[name]) for name in names]


class Page(HTMLParser):
    """A page of which every element is closed in its turn."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(self.source)
        self.close()
        assert self._open == [self.root], f"<{self._open[-1].name}> is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        self._open[-1].pieces.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:  # of an SVG, where any element may be empty
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self._open[-1].pieces.append(data)

    def table(self, caption: str) -> list[list[str]]:
        """The cells of the only table whose caption begins so, with its heads."""
        tables = [
            table
            for table in self.root.all("table")
            if table.all("caption")[0].text.startswith(caption)
        ]
        assert len(tables) == 1, [t.all("caption")[0].text for t in self.root.all("table")]
        return [
            [cell.text for cell in row.children if cell.name in ("td", "th")]
            for row in tables[0].all("tr")
        ]

    def headings(self) -> list[str]:
        """Of the sections."""
        return [heading.text for heading in self.root.all("h2")]

    def key_figures(self) -> dict[str, str]:
        """The numbers at the top, by their names."""
        pairs = zip(self.root.all("dt"), self.root.all("dd"), strict=True)
        return {name.text: number.text for name, number in pairs}
