"""One command of the package called by another."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType
from typing import Any


def call(command: ModuleType, words: Sequence[Any]) -> None:
    """Runs ``command``, a module with ``add_arguments`` and ``run``, as from its command line."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(word) for word in words]))
