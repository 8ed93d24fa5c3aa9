"""What is lost of a recording that was cut off or is corrupt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Damage:
    """A loss.

    Attributes:
        what: happened, for a message.
        where: file and place in it.
        lost_messages: as index or metadata tell; None if nothing does.
        lost_bytes: of the file, that no message came from; None if unknown.
    """

    what: str
    where: str
    lost_messages: int | None = None
    lost_bytes: int | None = None

    def __str__(self) -> str:
        lost = [f"{self.lost_messages} messages"] if self.lost_messages is not None else []
        lost += [f"{self.lost_bytes} bytes"] if self.lost_bytes is not None else []
        return f"{self.where}: {self.what}" + (f" ({' and '.join(lost)} lost)" if lost else "")


def total(damages: Sequence[Damage]) -> Damage | None:
    """All losses as one; None if there are none. A sum is None where one of its parts is."""
    if len(damages) < 2:
        return damages[0] if damages else None
    messages = [damage.lost_messages for damage in damages]
    lost_bytes = [damage.lost_bytes for damage in damages]
    return Damage(
        what=f"{len(damages)} places are damaged: " + "; ".join(map(str, damages)),
        where="several places",
        lost_messages=None if None in messages else sum(m or 0 for m in messages),
        lost_bytes=None if None in lost_bytes else sum(b or 0 for b in lost_bytes),
    )
