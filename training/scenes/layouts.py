"""The kinds of scene and the functions that place their bodies."""

from __future__ import annotations

from collections.abc import Callable

from training.scenes.builder import SceneBuilder
from training.scenes.indoor import corridor, room, tabletop
from training.scenes.outdoor import outdoor
from training.scenes.workplaces import hall, jumble, kitchen, office

LAYOUTS: dict[str, Callable[[SceneBuilder], None]] = {
    "room": room,
    "office": office,
    "kitchen": kitchen,
    "tabletop": tabletop,
    "jumble": jumble,
    "hall": hall,
    "corridor": corridor,
    "outdoor": outdoor,
}
