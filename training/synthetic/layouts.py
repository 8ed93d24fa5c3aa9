"""The kinds of scene and the functions that place their bodies."""

from __future__ import annotations

from collections.abc import Callable

from training.synthetic.builder import SceneBuilder
from training.synthetic.indoor import corridor, room, tabletop
from training.synthetic.outdoor import outdoor

LAYOUTS: dict[str, Callable[[SceneBuilder], None]] = {
    "room": room,
    "corridor": corridor,
    "outdoor": outdoor,
    "tabletop": tabletop,
}
