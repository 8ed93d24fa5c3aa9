"""What is lost of a recording that was cut off or is corrupt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


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


def settled(
    damages: Sequence[Damage], promised: int | None, found: int | None, where: str
) -> list[Damage]:
    """The losses with numbers of messages, where a promise allows to reckon them.

    Args:
        promised: messages that should be there; None if nothing tells.
        found: messages that are there; None if that is not known.
        where: a file or recording, for what is missing without a visible damage.
    """
    if promised is None or found is None:
        return list(damages)
    missing = max(0, promised - found - sum(d.lost_messages or 0 for d in damages))
    result = []
    for damage in damages:
        if damage.lost_messages is None:  # the first of them takes all: no one can tell them apart
            damage, missing = replace(damage, lost_messages=missing), 0
        result.append(damage)
    if missing:
        what = f"metadata.yaml promises {promised} messages, but {found} are there"
        result.append(Damage(what, where, missing))
    return result
