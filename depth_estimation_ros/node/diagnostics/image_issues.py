"""What can be found wrong with the images of a camera, and how it is said. No ROS here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageIssue:
    """Something wrong, in words; an error if what comes out cannot be trusted, else a warning."""

    text: str
    is_error: bool = False


EVENTS = ("stamps_went_back", "size_changes", "clock_jumps")
ERRORS = ("frozen", "black", "saturated")
COMPARED = ("frozen", "still", "stamp_stands")  # each with the one before
STREAKS = {
    "frozen": "the camera is frozen: the same image, with the same stamp, {count} times in a row",
    "black": "the images are black: {count} in a row. Is the lens covered?",
    "saturated": "the images are saturated: {count} in a row. Is the exposure too long?",
    "still": "the camera may be frozen: {count} images in a row, with new stamps, show exactly the "
    "same",
    "constant": "the network answers one number for the whole picture: {count} times in a row",
    "no_stamp": "the images have no stamp (0): {count} in a row",
    "stamp_stands": "the stamp of the images stands still: {count} images with one stamp",
    "old": "the stamps of the images are {age} behind the clock of the node. Of a recording? Play "
    "it with --clock and set use_sim_time",
    "future": "the stamps of the images are {age} ahead of the clock of the node. Are the clocks "
    "of the machines synchronised?",
    "frame_id": "CameraInfo disagrees with the image: its frame_id is '{info_id}', that of the "
    "image '{image_id}'",
}


def duration(seconds: float) -> str:
    """Seconds in words, in the largest unit that there are two of."""
    for unit, length in (("years", 31_556_952.0), ("days", 86400.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"
