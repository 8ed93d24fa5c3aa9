"""Numbers in a page of documentation, replaced by the command that measures them."""

from __future__ import annotations

import re
from pathlib import Path

from depth_estimation_ros.errors import ParameterError
from training.evaluation.files import write_file


def replace_block(page: Path, name: str, content: str) -> None:
    """Puts `content` between the lines ``<!-- NAME ... -->`` and ``<!-- end NAME -->`` of a page.

    Raises:
        ParameterError: the page is missing, or has not exactly one such block.
    """
    if not page.is_file():
        raise ParameterError(f"no page {page}", fix="Give a page that exists, or --report")
    begin, end = rf"<!-- {re.escape(name)}\b[^\n]*-->\n", rf"<!-- end {re.escape(name)} -->"
    block = re.compile(rf"({begin})(.*?)({end})", re.DOTALL)
    text = page.read_text(encoding="utf-8")
    found = len(block.findall(text))
    if found != 1:
        raise ParameterError(
            f"{page}: the block that these numbers go into",
            found=f"{found} of them",
            expected=f"one, from <!-- {name} --> to <!-- end {name} -->",
        )
    body = content.strip("\n")
    write_file(page, block.sub(lambda match: f"{match[1]}{body}\n{match[3]}", text))
