"""A recording as a file: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from depth_estimation_ros.errors import BagError, DepthEstimationError
from depth_estimation_ros.recordings.damage import Damage
from depth_estimation_ros.recordings.topic import RecordedMessage, Topic
from depth_estimation_ros.recordings.types import STORE


class Recording:
    """A recording, open for reading.

    Attributes:
        name: for messages to the user.
        topics: that have messages or at least could have.
        start_ns, end_ns: time of the first message and after the last one, ns since the epoch.
        message_count: as index and metadata promise.
        damage: what is lost, as far as it was noticed by now; None if nothing.
    """

    def __init__(self, reader: AnyReader, name: str) -> None:
        self._reader = reader
        self.name = name
        self.topics = [
            Topic(name, info.msgtype, info.msgcount, info.msgdef)
            for name, info in reader.topics.items()
            if info.msgtype
        ]
        self.start_ns, self.end_ns = reader.start_time, reader.end_time
        self.message_count = reader.message_count
        self.damage: Damage | None = None

    def messages(
        self,
        topics: Sequence[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[RecordedMessage]:
        """The messages in order of time.

        Args:
            topics: names; None for all.
            start_ns, end_ns: recorded at or after the one, before the other.
        """
        connections = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if connections:
            messages = self._reader.messages(connections, start_ns, end_ns)
            while True:
                try:
                    c, time_ns, raw = next(messages)
                except StopIteration:
                    return
                except Exception as error:
                    self.damage = Damage(f"{type(error).__name__}: {error}", self.name)
                    return
                cdr = raw if self._reader.is2 else bytes(STORE.ros1_to_cdr(raw, c.msgtype))
                yield RecordedMessage(c.topic, c.msgtype, time_ns, cdr)

    def deserialize(self, message: RecordedMessage) -> Any:
        """The message as an object of the rosbags library."""
        store = self._reader.typestore if self._reader.is2 else STORE
        return store.deserialize_cdr(message.cdr, message.msgtype)

    def require_whole(self) -> None:
        """Nothing was found missing by now.

        Raises:
            BagError: there is damage.
        """
        if self.damage is not None:
            raise BagError(
                f"The recording {self.name} cannot be read to its end",
                found=str(self.damage),
                expected="a whole recording",
                fix="`mcap recover` or `ros2 bag reindex` may make a whole one of what is left",
            )


@contextmanager
def open_recording(path: str | Path | Sequence[str | Path]) -> Iterator[Recording]:
    """A recording; what goes wrong while it is open becomes a BagError too.

    Args:
        path: rosbag2 directory, .mcap, .db3, or .bag of ROS 1; several are read as one. A directory
            without metadata.yaml still is a recording if it holds files of messages.

    Raises:
        BagError: not a recording.
    """
    paths = [Path(p) for p in ([path] if isinstance(path, (str, Path)) else path)]
    name = ", ".join(map(str, paths))
    try:
        with AnyReader([_storage(p) for p in paths], default_typestore=STORE) as reader:
            yield Recording(reader, name)
    except DepthEstimationError:
        raise
    except Exception as error:  # rosbags lets those of yaml, sqlite, zstd and struct through
        raise BagError(
            f"The recording {name} cannot be read",
            found=f"{type(error).__name__}: {error}",
            expected="a whole rosbag2 directory, .mcap, .db3 or ROS 1 .bag",
            fix="Where it was cut off, `mcap recover` or `ros2 bag reindex` may bring it back",
        ) from error


def _storage(path: Path) -> Path:
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [file for file in path.iterdir() if file.suffix in (".mcap", ".db3", ".bag")]
        if len(files) != 1:
            raise BagError(
                f"The directory {path}",
                found=f"no metadata.yaml and {len(files)} files of messages",
                expected="a rosbag2 directory",
                fix="Name one .mcap, .db3 or .bag file in it",
            )
        return files[0]
    return path
