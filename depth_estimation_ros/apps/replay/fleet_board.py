"""What the workers of a fleet and its command tell each other: small files in a folder of theirs.

Files, so that one way serves processes of this machine and tasks on a cluster, outlives any of
them, and needs nothing but the folder that the outputs go to anyway.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from depth_estimation_ros.errors import BagError
from depth_estimation_ros.utils.files import atomic_write

STOP = "stop"
RUN = "run"
PROGRESS = "progress.json"
ATTEMPTS = "attempts"


class Board:
    """The folder `.fleet` in the folder of the outputs.

    Args:
        folder: exists already where a worker asks for it.
        token: of the run that it belongs to; `open` makes a new one.
    """

    def __init__(self, folder: Path, token: str = "") -> None:
        self.folder = folder
        self.token = token

    def open(self) -> None:
        """Makes the folder for a new run, whose token it gets; an earlier run stops."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.token = uuid.uuid4().hex
        (self.folder / RUN).write_text(self.token)
        (self.folder / STOP).unlink(missing_ok=True)

    def check_shared(self, host: str) -> None:
        """Raises BagError where this machine does not see the folder that the command opened."""
        if self._run() != self.token:
            raise BagError(
                f"The folder for the outputs, {self.folder.parent}, as seen from {host}",
                found="another folder, or none",
                expected="the very folder that the command sees",
                fix="Inputs and outputs of a cluster must lie on a filesystem that all its "
                "machines share under the same path, NFS for instance",
            )

    def stop(self) -> None:
        """Asks all workers to finish what they write and to end."""
        (self.folder / STOP).touch()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, or another run works on the same results by now."""
        return (self.folder / STOP).exists() or self._run() not in ("", self.token)

    def _run(self) -> str:
        with suppress(OSError):
            return (self.folder / RUN).read_text()
        return ""

    def room(self, job: str) -> Path:
        """The folder of one job, made here; for its attempts, and if it is a chunk its output."""
        room = self.folder / job
        room.mkdir(parents=True, exist_ok=True)
        return room

    def begin_attempt(self, job: str, by: str) -> None:
        """Notes who works on a job from now on."""
        with (self.room(job) / ATTEMPTS).open("a", encoding="utf-8") as file:
            file.write(f"{by}\n")

    def attempts(self, job: str) -> list[str]:
        """Who worked on a job, the latest last."""
        with suppress(FileNotFoundError):
            return (self.folder / job / ATTEMPTS).read_text("utf-8").splitlines()
        return []

    def tell(self, job: str, progress: dict[str, Any]) -> None:
        """Publishes the progress of a job."""
        write_json(self.room(job) / PROGRESS, progress)

    def progress(self, job: str) -> dict[str, Any]:
        """What was told last of a job; empty if nothing was."""
        return read_json(self.folder / job / PROGRESS)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a file that no reader ever sees half."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote; empty if there is no such file, or another one."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
