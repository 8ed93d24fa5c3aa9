"""sqlite3 files of rosbag2, read by runs of rows, so that a damaged page costs its own rows only.

The tables: rosbag2_storage_sqlite3 in https://github.com/ros2/rosbag2
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from depth_estimation_ros.bags.chunks import (
    BLOCK_BYTES,
    Chunk,
    Contents,
    CorruptChunk,
    Raw,
)
from depth_estimation_ros.bags.damage import Damage
from depth_estimation_ros.bags.topic import NO_DEFINITION, Topic
from depth_estimation_ros.errors import BagError

MAGIC = b"SQLite format 3\0"
BLOCK_ROWS = 1000
_FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}
_LARGEST_GAP = 1 << 20
_WHOLE = "typeof(data) = 'blob' AND typeof(timestamp) = 'integer'"  # a torn page gives NULL


class SqliteFile:
    """An sqlite3 file that was written by rosbag2.

    Args:
        path: of the file, which may be cut off or corrupt.

    Raises:
        BagError: no recording in sqlite3, or so damaged that not even its topics can be read.
        OSError: it cannot be read at all.
    """

    is_ros1 = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            self._torn = _torn_page(file)
        if magic != MAGIC:
            raise BagError(
                f"The recording {path} cannot be read",
                found="an empty file" if not magic else f"a file that begins with {magic!r}",
                expected="an sqlite3 file",
            )
        try:
            with self._opened() as database:
                self.contents.topics = _topics(database)
        except sqlite3.Error as error:
            raise BagError(
                f"The recording {path} cannot be read",
                found=f"an sqlite3 file without its table of topics: {error}",
                expected="an sqlite3 file of rosbag2",
            ) from error
        with self._opened() as database:
            self._find_blocks(database)

    def load(self, chunk: Chunk) -> list[Raw]:
        """The messages of a run of rows.

        Raises:
            CorruptChunk: they cannot be read.
        """
        last = chunk.offset + chunk.length - 1
        with self._opened() as database:
            try:
                rows = _rows(database, chunk.offset, last)
            except sqlite3.Error as error:
                good = []
                for row in range(chunk.offset, last + 1):
                    with suppress(sqlite3.Error):
                        good += _rows(database, row, row)
                why = f"rows of messages cannot be read: {error}"
                raise CorruptChunk(why, [row for row in good if not self._is_torn(row)]) from error
        whole = [row for row in rows if not self._is_torn(row)]
        if len(whole) < len(rows):
            raise CorruptChunk("the file ends in the middle of a message", whole)
        return rows

    def _is_torn(self, row: Raw) -> bool:
        """Whether the message ends in the last page, of which only a part is there.

        sqlite takes what is missing of that page for zeros, and says nothing.
        """
        return bool(self._torn) and bytes(row.data).rstrip(b"\0").endswith(self._torn)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # A file beside it holds what was not yet moved in; only an ordinary opening sees that, but
        # it may not work where nothing can be written.
        ahead = any(Path(f"{self.path}{end}").exists() for end in ("-wal", "-journal"))
        with closing(self._connect("mode=ro" if ahead else "mode=ro&immutable=1")) as database:
            try:
                database.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.Error:
                with closing(self._connect("mode=ro&immutable=1")) as as_it_is:
                    yield as_it_is
                    return
            yield database

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path.absolute()))}?{mode}"
        database = sqlite3.connect(uri, uri=True)
        # Without it sqlite refuses a file that is shorter than its first page says.
        database.execute("PRAGMA writable_schema = ON")
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return database

    def _find_blocks(self, database: sqlite3.Connection) -> None:
        query = "SELECT id, topic_id, timestamp, length(data) FROM messages WHERE id > ?"
        query += f" AND {_WHOLE} ORDER BY id"
        block = _Block()
        last, gap = 0, 0
        while True:
            try:
                for row, topic, time_ns, size in database.execute(query, (last + gap,)):
                    if gap:
                        self._lost(last + 1, row)
                        block, gap = self._finish(block), 0
                    if block.rows >= BLOCK_ROWS or block.bytes + size > BLOCK_BYTES:
                        block = self._finish(block)
                    block.add(row, topic, time_ns, size)
                    last = row
            except sqlite3.Error as error:
                gap = 2 * gap or 1
                if gap <= _LARGEST_GAP:
                    continue
                where = f"{self.path}, behind row {last}"
                self.contents.damages.append(Damage(f"no row can be read: {error}", where))
            break
        self._finish(block)

    def _lost(self, first: int, next_row: int) -> None:
        where = f"{self.path}, rows {first} to {next_row - 1}"
        damage = Damage("rows of messages cannot be read", where, next_row - first)
        self.contents.damages.append(damage)

    def _finish(self, block: _Block) -> _Block:
        if block.rows:
            length = block.last - block.first + 1
            chunk = Chunk(block.start_ns, block.end_ns, block.first, length, block.counts)
            self.contents.chunks.append(chunk)
        return _Block()


class _Block:
    """A run of rows."""

    def __init__(self) -> None:
        self.rows = self.bytes = self.first = self.last = self.start_ns = self.end_ns = 0
        self.counts: dict[int, int] = {}

    def add(self, row: int, topic: int, time_ns: int, size: int) -> None:
        """One more row."""
        if not self.rows:
            self.first, self.start_ns, self.end_ns = row, time_ns, time_ns
        self.last = row
        self.start_ns, self.end_ns = min(self.start_ns, time_ns), max(self.end_ns, time_ns)
        self.rows, self.bytes = self.rows + 1, self.bytes + size
        self.counts[topic] = self.counts.get(topic, 0) + 1


def _torn_page(file: BinaryIO) -> bytes:
    """What there is of a last page that is not whole, as content of a message; empty if it is."""
    file.seek(16)
    page = int.from_bytes(file.read(2), "big") or 512
    page = 65536 if page == 1 else page  # https://www.sqlite.org/fileformat2.html
    size = file.seek(0, 2)
    file.seek(size - size % page)
    return file.read()[4:].rstrip(b"\0")


def _rows(database: sqlite3.Connection, first: int, last: int) -> list[Raw]:
    query = "SELECT timestamp, topic_id, data FROM messages WHERE id BETWEEN ? AND ?"
    query += f" AND {_WHOLE}"
    return [
        Raw(time_ns, topic, data) for time_ns, topic, data in database.execute(query, (first, last))
    ]


def _topics(database: sqlite3.Connection) -> dict[int, Topic]:
    columns = {row[1] for row in database.execute("PRAGMA table_info(topics)")}
    if not columns:
        raise sqlite3.DatabaseError("no table of topics")
    qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
    definitions = _definitions(database)
    topics = {}
    query = f"SELECT id, name, type, serialization_format, {qos} FROM topics"
    for number, name, msgtype, serialization, profiles in database.execute(query):
        if serialization == "cdr":
            definition = definitions.get(msgtype, NO_DEFINITION)
            topics[number] = Topic(name, msgtype, msgdef=definition, qos=_qos(profiles))
    return topics


def _definitions(database: sqlite3.Connection) -> dict[str, MessageDefinition]:
    query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
    try:
        return {
            msgtype: MessageDefinition(_FORMATS[encoding], text)
            for msgtype, encoding, text in database.execute(query)
            if encoding in _FORMATS and text
        }
    except sqlite3.Error:  # recorded before Iron, or the page is damaged
        return {}


def _qos(profiles: str) -> tuple:
    try:
        return tuple(parse_qos(profiles))
    except (ReaderError, KeyError, TypeError):
        return ()
