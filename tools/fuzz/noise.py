"""Strategies for what is wrong: numbers at the ends of their types, and spoiled bytes."""

from __future__ import annotations

import math
import random

from hypothesis import strategies as st

UINT32 = st.sampled_from(
    [0, 1, 2, 3, 7, 64, 65, 1000, 60000, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]
)
DOUBLES = st.sampled_from(
    [
        *(0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, 1e-300, 1e-45, 1e-20, 1e-6, 1e4, 1e7, 1e20),
        *(3.4e38, 1e39, 1e300, 1.7e308, -1e300, math.nan, math.inf, -math.inf),
    ]
) | st.floats(-1e3, 1e3)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def spoiled(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """The content with up to `most` bits flipped, bytes set, pieces cut out, doubled or inserted.

    A seed makes the places, so that a case is drawn fast.
    """
    rng = random.Random(draw(SEEDS))
    spoilt = bytearray(content)
    for _ in range(draw(st.integers(0, most))):
        if not spoilt:
            break
        at = rng.randrange(len(spoilt))
        piece = min(len(spoilt) - at, rng.choice([1, 2, 8, 64]))
        match rng.randrange(7):
            case 0:
                spoilt[at] ^= 1 << rng.randrange(8)
            case 1:
                spoilt[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            case 2:
                del spoilt[at : at + piece]
            case 3:
                spoilt[at:at] = spoilt[at : at + piece]
            case 4:
                spoilt[at:at] = rng.randbytes(piece)
            case 5:
                del spoilt[at:]
            case 6:
                spoilt[at : at + piece] = rng.choice([b"\xff", b"\0", b"\x7f"]) * piece
    return bytes(spoilt)
