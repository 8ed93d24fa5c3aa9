"""What makes scenes and images varied, factor by factor, so that each can be left out and its
worth measured: `python -m training synthesize --without clutter`.

A factor that is left out changes nothing else of the same seed: its numbers are drawn all the same.
Only a kind of scene that is left out is replaced by another kind.
"""

from __future__ import annotations

from collections.abc import Collection

from training.scenes.layouts import LAYOUTS

Without = Collection[str]

FACTORS = {
    "shapes": "cylinders and balls; without, they are boxes",
    "clutter": "small things on tables and heaps on the floor",
    "textures": "patterns on surfaces; without, each has one colour",
    "lighting": "lamps, suns and fill light of all kinds; without, one white lamp or sun",
    "mirrors": "mirrors and polished floors",
    "tilt": "cameras that look up and down",
    "roll": "cameras that are held aslant",
    "heights": "cameras near the floor and overhead; without, 1.4 m",
    "close": "cameras that look at a table's top from near",
    "lenses": "fields of view; without, 60 degrees",
    "exposure": "exposure, white balance, contrast and vignetting",
    "blur": "blur by the lens and by motion",
    "noise": "noise of the sensor",
    "jpeg": "strong compression",
}
REMOVABLE = (*FACTORS, *(f"kind:{kind}" for kind in LAYOUTS))


def check_factors(without: Without) -> None:
    """Refuses names that are no factors.

    Raises:
        ValueError: a name is unknown.
    """
    for name in without:
        if name not in REMOVABLE:
            raise ValueError(f"unknown factor {name!r}, known are {', '.join(REMOVABLE)}")


def kinds_without(kinds: Collection[str], without: Without) -> tuple[str, ...]:
    """The kinds of scene that are left.

    Raises:
        ValueError: none is.
    """
    left = tuple(kind for kind in kinds if f"kind:{kind}" not in without)
    if not left:
        raise ValueError(f"no kind of scene is left of {', '.join(sorted(set(kinds)))}")
    return left
