"""The folder of a run: checkpoints, curves, and what would be needed to run it once more.

``config.yaml`` is the configuration with all its defaults, ``starts.json`` records each start of
the run: when, by which command, from which step, with which versions, on what.
"""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from depth_estimation_ros.errors import ParameterError
from training.config import TrainingConfig, load_config, to_mapping

CONFIG, STARTS = "config.yaml", "starts.json"
LAST, BEST, FINAL = (Path("checkpoints") / f"{name}.ckpt" for name in ("last", "best", "final"))
PACKAGES = ("torch", "lightning", "timm", "numpy", "opencv-python-headless")
logger = logging.getLogger(__name__)


def find_checkpoint(out: Path, resume: bool) -> Path | None:
    """Return the checkpoint to go on from; None for a new run.

    Raises:
        ParameterError: ``out`` holds a run, and ``resume`` is not set.
    """
    held = [
        name for name in ("checkpoints", "curve", "tensorboard", CONFIG) if (out / name).exists()
    ]
    if held and not resume:
        raise ParameterError(
            f"--out {out} already holds a run",
            found=", ".join(held),
            expected="a new folder",
            fix="Add --resume to go on with it, or choose another --out.",
        )
    if out.exists() and not out.is_dir():
        raise ParameterError(f"--out {out}", found="a file", expected="a folder")
    return out / LAST if (out / LAST).is_file() else None


def record_start(out: Path, config: TrainingConfig, **about: Any) -> None:
    """Write ``config.yaml``, adds to ``starts.json``, says what changed since the last start."""
    out.mkdir(parents=True, exist_ok=True)
    file, starts = out / CONFIG, out / STARTS
    if file.is_file():
        for change in _differences(to_mapping(load_config(file)), to_mapping(config)):
            logger.warning("changed since this run began: %s", change)
    text = yaml.safe_dump(to_mapping(config), sort_keys=False)
    _write(file, f"# The configuration of this run with all defaults.\n{text}")
    before = json.loads(starts.read_text()) if starts.is_file() else []
    start = {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.orig_argv,
        "git_commit": _git_commit(),
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **dict(_versions())},
        **about,
    }
    _write(starts, json.dumps([*before, start], indent=1) + "\n")


def _differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
    elif old != new:
        yield f"{where}: {old} -> {new}"


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:  # OpenCV, for one, has several names
            continue


def _git_commit() -> str | None:
    """Return the commit, with "+ changes" where files differ from it; None without git."""
    where = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(where), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit} + changes" if changed else commit


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name}")
    partial.write_text(text)
    partial.replace(file)
