"""The one exception family of the package.

Every message says what went wrong, what was found, what was expected, and the next step, because
on a robot the message in the log is all that the reader has.
"""

from __future__ import annotations

_LONGEST = 800  # characters of what was found or expected


class DepthEstimationError(Exception):
    """Base of all errors that this package raises on purpose.

    Args:
        what: what went wrong, naming the file, topic or parameter.
        found: the value that was seen.
        expected: the value that would have been right.
        fix: the next step for the reader, as a sentence.
    """

    longest_what = _LONGEST

    def __init__(
        self,
        what: str,
        *,
        found: object = None,
        expected: object = None,
        fix: str | None = None,
    ) -> None:
        message = _shown(what, self.longest_what)
        if found is not None:
            message += f": found {_shown(found)}"
        if expected is not None:
            message += f"{',' if found is not None else ':'} expected {_shown(expected)}"
        if fix is not None:
            message += f". {fix}"
        super().__init__(message)


def _shown(value: object, longest: int = _LONGEST) -> str:
    """The value as a log can hold it: not a megabyte that some field had, and no half characters
    (lone surrogates, as JSON can name them), which nothing can write.
    """
    text = str(value)
    if len(text) > longest:
        text = f"{text[: longest // 2]} ... {text[-longest // 4 :]} ({len(text)} characters)"
    return text.encode(errors="backslashreplace").decode()


class ModelError(DepthEstimationError):
    """A model file or its card cannot be used."""


class EngineError(DepthEstimationError):
    """An inference engine cannot be made or failed while running."""


class GpuLostError(EngineError):
    """CUDA reports an error that only a new process recovers from."""


class PredictionError(DepthEstimationError):
    """What a network answered to an image is no depth."""


class ImageError(DepthEstimationError):
    """An image message does not hold the image that it claims to hold."""


class CalibrationError(DepthEstimationError):
    """A CameraInfo does not belong to the image that it came with."""


class ParameterError(DepthEstimationError):
    """A parameter or command-line argument has a value that cannot work."""


class BagError(DepthEstimationError):
    """A recording cannot be read or written."""


class DatasetError(DepthEstimationError):
    """A data set for training or evaluation is not what it should be."""

    longest_what = 10_000
    """PyTorch's loaders raise it again with a whole traceback, of which the last line counts."""


class MediaError(DepthEstimationError):
    """An image, folder, video or camera cannot be read."""
