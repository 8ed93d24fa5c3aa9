"""The mathematics of one frame: a colour image and its camera in, depth in metres out.

No ROS here. An image is prepared, goes through the network, and its depth is finished: three steps
of `DepthPipeline`, which may run in three threads. What each does is in functions below it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines import Engine
from depth_estimation_ros.errors import AnswerError, ModelError, ParameterError
from depth_estimation_ros.geometry import CameraModel
from depth_estimation_ros.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.temporal_filter import LIMIT_TOLERANCE, Shown, TemporalFilter

Depth = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]

_LARGEST_AREA = 4  # of a network's input, in its nominal area


@dataclass(frozen=True)
class PipelineSettings:
    """What the user may change between two frames.

    Attributes:
        min_depth: metres; nearer becomes -Inf. 0 = the card's; the tighter of the two holds.
        max_depth: metres; farther becomes +Inf. 0 = the card's; the tighter of the two holds.
        output_size: "image": depth at the image's size; "network": as the network gives it.
        edge_filter: relative depth jump, (far - near) / near, within 3x3 pixels of the network's
            output above which these pixels become NaN. 0 = off.
        temporal_filter: weight of the frames before in each pixel's depth, 0 to below 1; see
            `TemporalFilter`, which `finish` must be given. 0 = off.
        assumed_hfov_deg: horizontal field of view of a camera that is not calibrated; used only
            when the card has a canonical focal length.
    """

    min_depth: float = 0.0
    max_depth: float = 0.0
    output_size: Literal["image", "network"] = "image"
    edge_filter: float = 0.0
    temporal_filter: float = 0.0
    assumed_hfov_deg: float = 60.0


@dataclass(frozen=True, eq=False)
class DepthFrame:
    """Depth of one image.

    Attributes:
        depth: (H, W) float32, metres along Z. As REP 117: NaN unknown, +Inf beyond the far limit,
            -Inf nearer than the near limit.
        camera: the camera at the size of `depth`; None if the camera is not calibrated.
        engine_ms: time inside the engine, milliseconds; of a batch, this image's share.
        near, far: the limits of this frame, metres: those of the model with this camera and of the
            settings, the tighter of the two.
    """

    depth: Depth
    camera: CameraModel | None
    engine_ms: float
    near: float
    far: float


@dataclass(frozen=True, eq=False)
class View:
    """One image on its way to the network.

    Attributes:
        input: a batch of one, as the card wants it.
        size: height and width of the image.
        camera: of the image; None if it is not calibrated.
        settings: of the pipeline when it was made.
        scale, near, far: metres per unit of the network's depth, and the limits in metres.
    """

    input: npt.NDArray[np.generic]
    size: tuple[int, int]
    camera: CameraModel | None
    settings: PipelineSettings
    scale: float
    near: float
    far: float


@dataclass(frozen=True, eq=False)
class NetworkDepth:
    """What the network answered.

    Attributes:
        view: that it was given.
        numbers: (h, w) float32 at the network's size, in its own unit.
        engine_ms: time inside the engine, milliseconds; of a batch, this image's share.
    """

    view: View
    numbers: Depth
    engine_ms: float


class DepthPipeline:
    """Turns images into metric depth with one engine.

    Args:
        engine: an open engine; it stays the caller's to close.
        settings: see `PipelineSettings`; may be replaced at any time through `.settings`.

    Raises:
        ModelError: the network's output has no metric scale.
        ParameterError: see `check_settings`.
    """

    def __init__(self, engine: Engine, settings: PipelineSettings | None = None) -> None:
        _check_metric(engine.card)
        self.engine = engine
        self.settings = settings or PipelineSettings()

    @property
    def settings(self) -> PipelineSettings:
        """The settings of the next frame; `check_settings` refuses some with a ParameterError."""
        return self._settings

    @settings.setter
    def settings(self, settings: PipelineSettings) -> None:
        check_settings(self.engine.card, settings)
        self._settings = settings

    def run(self, rgb: Rgb, camera: CameraModel | None) -> DepthFrame:
        """Depth of one image: `run_batch` of one.

        Args:
            rgb: (H, W, 3) uint8.
            camera: of this very image (binning and ROI applied); None if there is none.
        """
        return self.run_batch([(rgb, camera)])[0]

    def run_batch(self, images: Sequence[tuple[Rgb, CameraModel | None]]) -> list[DepthFrame]:
        """Depth of several images, which may differ in size and camera: the three steps below.

        Args:
            images: as for `run`, each with its camera.

        Raises:
            EngineError: the network failed.
            ParameterError: with one camera's focal length the limits leave no depth between them;
                raised before the network is run.
        """
        views = [self.prepare(rgb, camera) for rgb, camera in images]
        return [self.finish(output) for output in self.infer(views)]

    def prepare(self, rgb: Rgb, camera: CameraModel | None) -> View:
        """What goes to the network for one image, with the settings of this moment; in any thread.

        Raises:
            ParameterError: with this focal length the limits leave no depth between them.
        """
        settings, card = self._settings, self.engine.card
        height, width = rgb.shape[:2]
        calibrated = camera if camera is not None and camera.is_calibrated else None
        network_h, network_w = network_size(height, width, card.input)

        eye = calibrated or CameraModel.from_hfov(width, height, settings.assumed_hfov_deg)
        scale = metric_scale(card, eye.scaled(network_w, network_h).fx)
        near, far = check_limits(card.output, settings, scale)

        picture = to_input(resize_image(rgb, network_h, network_w), card.input)
        return View(picture, (height, width), calibrated, settings, scale, near, far)

    def infer(self, views: Sequence[View]) -> list[NetworkDepth]:
        """The network's answers, in the order of the views; in the engine's thread.

        Views of the same size go together, up to the engine's `max_batch` at a time. The answers
        are copies, so they stay as they are.

        Raises:
            EngineError: the network failed.
        """
        answers: dict[int, NetworkDepth] = {}
        for places in _batches([view.input.shape for view in views], self.engine.max_batch):
            inputs = [views[place].input for place in places]
            batch = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)

            start = time.perf_counter()
            raw = self.engine.infer(batch)
            engine_ms = 1e3 * (time.perf_counter() - start) / len(places)

            for place, numbers in zip(places, raw, strict=True):
                answers[place] = NetworkDepth(views[place], numbers.copy(), engine_ms)
        return [answers[place] for place in range(len(views))]

    def finish(
        self, answer: NetworkDepth, past: TemporalFilter | None = None, stamp_ns: int = 0
    ) -> DepthFrame:
        """The network's answer as depth in metres at the size that was asked for; in any thread.

        Args:
            answer: of one image.
            past: of its camera, whose images then come in order; without one, nothing is smoothed
                over time.
            stamp_ns: nanoseconds, of the image, for `past`.
        """
        view, card = answer.view, self.engine.card
        near, far = view.near, view.far
        height, width = _output_size(*view.size, card, view.settings)
        depth = to_metres(answer.numbers, card.output, view.scale)
        if past is not None:
            depth = _smoothed(depth, view, card.output, past, stamp_ns)
        depth = to_depth(depth, near, far, (height, width), view.settings.edge_filter)
        camera = view.camera.scaled(width, height) if view.camera is not None else None
        return DepthFrame(depth, camera, answer.engine_ms, near, far)

    def output_size(self, image_h: int, image_w: int) -> tuple[int, int]:
        """The height and width of the depth of an image of this size, with the present settings."""
        return _output_size(image_h, image_w, self.engine.card, self._settings)

    def warm_up(self) -> None:
        """Runs the network on a black picture, so that the first real frame is as fast as any."""
        spec = self.engine.card.input
        batch = to_input(np.zeros((spec.height, spec.width, 3), np.uint8), spec)
        for _ in range(2):
            self.engine.infer(batch)


def _batches(shapes: Sequence[tuple[int, ...]], largest: int | None) -> Iterator[list[int]]:
    """The places of equal shapes, in order, at most `largest` together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(place)
    for places in groups.values():
        step = largest or len(places)
        yield from (places[first : first + step] for first in range(0, len(places), step))


def _output_size(
    image_h: int, image_w: int, card: ModelCard, settings: PipelineSettings
) -> tuple[int, int]:
    if settings.output_size == "image":
        return image_h, image_w
    return network_size(image_h, image_w, card.input)


@lru_cache(maxsize=32)
def network_size(image_h: int, image_w: int, spec: InputSpec) -> tuple[int, int]:
    """The height and width at which an image goes through the network.

    A fixed input is what it is: the image is stretched to it. A free one gets, of all multiples,
    the pair with the least aspect distortion and an area near the nominal one; a factor in the
    area weighs a quarter of the same factor in the aspect. A strip would ask for thousands of
    times the area: beyond `_LARGEST_AREA` times the nominal one, it is stretched.
    """
    step = spec.multiple_of
    if step is None:
        return spec.height, spec.width
    area, aspect = spec.height * spec.width, image_w / image_h
    widest = 2 * math.ceil(math.sqrt(area * max(aspect, 1.0 / aspect)) / step)

    def cost(size: tuple[int, int]) -> float:
        h, w = size
        return abs(math.log(w / h / aspect)) + 0.25 * abs(math.log(h * w / area))

    # In steps; without a bound a row of 60000 pixels would make a network of 0.1 Mpixel 30 times
    # its memory, and one of 10 million pixels would not end.
    most = max(1, _LARGEST_AREA * area // step**2)
    candidates = []
    for h in range(1, min(widest, most) + 1):
        fitting = math.floor(h * aspect)
        candidates += [(h * step, max(1, min(w, most // h)) * step) for w in (fitting, fitting + 1)]
    return min(candidates, key=cost)


def resize_image(rgb: Rgb, height: int, width: int) -> Rgb:
    """Resizes a picture: averaging areas when it shrinks (no aliasing), bilinear when it grows.

    One that shrinks to a quarter or less is halved first, which is fast because areas are whole
    pixels. What follows still averages over two pixels or more, so the result is that of one step
    to a level or two of 255.
    """
    if rgb.shape[:2] == (height, width):
        return rgb
    while (
        rgb.shape[0] >= 4 * height
        and rgb.shape[1] >= 4 * width
        and rgb.shape[0] % 2 == rgb.shape[1] % 2 == 0
    ):
        half = rgb.shape[1] // 2, rgb.shape[0] // 2
        rgb = np.asarray(cv2.resize(rgb, half, interpolation=cv2.INTER_AREA), np.uint8)
    shrinks = height <= rgb.shape[0] and width <= rgb.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=method), np.uint8)


def to_input(rgb: Rgb, spec: InputSpec) -> npt.NDArray[np.generic]:
    """A batch of one, as the card wants it, from (h, w, 3) uint8 RGB at network size."""
    picture: npt.NDArray[np.generic] = rgb
    if spec.color_order == "bgr":
        picture = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    if spec.mean is not None and spec.std is not None:
        mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
        picture = picture * (np.float32(1.0 / 255.0) / std) - mean / std
    if spec.layout == "NCHW":
        picture = picture.transpose(2, 0, 1)
    return np.ascontiguousarray(picture)[np.newaxis]


def metric_scale(card: ModelCard, focal_px: float) -> float:
    """Metres per unit of the network's depth, for a focal length at the network's input size.

    A network that learned with one canonical focal length f_c takes what a lens of focal length f
    shows for f_c / f times as far as it is: metres = output * f / f_c (Yin et al., Metric3D, ICCV
    2023, section 3).
    """
    return 1.0 if card.canonical_focal_px is None else focal_px / card.canonical_focal_px


def check_answer(raw: Depth, output: OutputSpec) -> None:
    """Raises AnswerError for numbers, (h, w), that no scene can have.

    A few numbers may be wrong: NaN is published as unknown. But if not one is finite, or of metric
    depth not one above zero, something is broken, and publishing "unknown" or "too near" for the
    whole picture would hide it. Inverse depth of zero is a sky.
    """
    finite = np.isfinite(raw)
    if not finite.any():
        found = "only NaN" if np.isnan(raw).all() else "only NaN and infinities"
    elif output.kind == "metric_depth" and not (raw[finite] > 0.0).any():
        found = f"nothing above 0 (largest {raw[finite].max():g})"
    else:
        return
    raise AnswerError(
        "the network's answer is no depth",
        found=found,
        expected=f"finite {output.kind} in {output.unit}",
        fix="If it happens often, try backend onnxruntime, or precision fp32, and check the model",
    )


def _smoothed(
    metres: Depth, view: View, output: OutputSpec, past: TemporalFilter, stamp_ns: int
) -> Depth:
    """At the network's size and before the limits of the settings: cheap, and free of their edges.

    What the network says at its own limits is no depth, and not smoothed.
    """
    weight = view.settings.temporal_filter
    if weight == 0:
        past.forget()  # switched on again, it begins anew
        return metres
    near, far = output.min_depth * view.scale, output.max_depth * view.scale
    return past.smooth(metres, weight, Shown(stamp_ns, view.size, view.camera, near, far))


def to_depth(
    metres: Depth, near: float, far: float, size: tuple[int, int], edge_filter: float = 0.0
) -> Depth:
    """Metres, (h, w), as depth of a `size` (H, W): see `DepthFrame.depth`.

    Never shares the memory of `metres`, which may be an engine's.
    """
    # Clamped before and named after resizing: an infinity would smear over its neighbours. This
    # makes a new array at the network's size, so nothing has to be copied for its own sake.
    depth = np.clip(metres, near, far)
    edges = find_edges(depth, edge_filter) if edge_filter > 0 else None
    # No pixel in between is nearer or farther than its neighbours: if the small map stays off the
    # limits, the large one need not be looked through for them.
    limited = reaches_limits(depth, near, far)
    if depth.shape != size:
        depth = _resize_depth(depth, *size)
    if limited:
        name_limits(depth, near, far)
    if edges is not None:
        remove_edges(depth, edges)
    return depth


def to_metres(raw: Depth, output: OutputSpec, scale: float) -> Depth:
    """The network's own numbers as metres. An inverse depth of 0 or less is infinitely far."""
    if output.kind == "inverse_depth":
        with np.errstate(divide="ignore"):
            return np.float32(scale) / np.maximum(raw, np.float32(0.0))
    return raw if scale == 1.0 else raw * np.float32(scale)


def depth_limits(
    output: OutputSpec, settings: PipelineSettings, scale: float = 1.0
) -> tuple[float, float]:
    """The near and the far limit in metres: the tighter of the card's and the settings'.

    The card's limits are of the network's own output, so they scale with it: a network that ends
    at 80 m in its canonical camera ends at 40 m in a camera of half that focal length.
    """
    near = max(output.min_depth * scale, settings.min_depth)
    far = output.max_depth * scale
    return near, min(far, settings.max_depth) if settings.max_depth > 0 else far


def check_settings(card: ModelCard, settings: PipelineSettings) -> None:
    """Raises ParameterError for limits that leave no depth between them, whatever the camera.

    With a canonical focal length the model's own limits depend on the camera (`metric_scale`), so
    they say nothing here, and the pipeline checks each frame.
    """
    if card.canonical_focal_px is None:
        check_limits(card.output, settings)
    elif 0 < settings.max_depth <= settings.min_depth:
        raise ParameterError(
            "min_depth and max_depth leave no depth between them",
            found=f"{settings.min_depth:g} m to {settings.max_depth:g} m",
            expected="min_depth < max_depth",
            fix="Change min_depth or max_depth; 0 stands for the model's own limit",
        )


def check_limits(
    output: OutputSpec, settings: PipelineSettings, scale: float = 1.0
) -> tuple[float, float]:
    """`depth_limits`; raises ParameterError if nothing lies between them."""
    near, far = depth_limits(output, settings, scale)
    if not near < far:
        model = f"{output.min_depth * scale:g} m to {output.max_depth * scale:g} m"
        raise ParameterError(
            "min_depth and max_depth leave no depth between them",
            found=f"{near:g} m to {far:g} m",
            expected=f"a range within the model's {model}"
            + ("" if scale == 1.0 else " with this camera"),
            fix="Change min_depth or max_depth; 0 stands for the model's own limit",
        )
    return near, far


def find_edges(depth: Depth, largest_jump: float) -> npt.NDArray[np.uint8]:
    """Marks (1) the pixels whose 3x3 window holds a relative depth jump above `largest_jump`.

    There the network blends front and back, which hangs points in the air between them.
    """
    window = np.ones((3, 3), np.uint8)
    farthest, nearest = cv2.dilate(depth, window), cv2.erode(depth, window)
    return (farthest > np.float32(1.0 + largest_jump) * nearest).view(np.uint8)


def remove_edges(depth: Depth, edges: npt.NDArray[np.uint8]) -> None:
    """Makes, in place, unknown what `find_edges` marked, perhaps at another size."""
    height, width = depth.shape
    marks = cv2.resize(edges, (width, height), interpolation=cv2.INTER_NEAREST)
    np.copyto(depth, np.nan, where=marks != 0)


def name_limits(depth: Depth, near: float, far: float) -> None:
    """Puts, in place, REP 117's infinities where depth reaches a limit.

    Clipping alone would build a phantom wall at `far`.
    """
    np.copyto(depth, np.inf, where=depth >= far * (1.0 - LIMIT_TOLERANCE))
    np.copyto(depth, -np.inf, where=depth <= near * (1.0 + LIMIT_TOLERANCE))


def reaches_limits(depth: Depth, near: float, far: float) -> bool:
    """Whether `name_limits` may find something, here or in what resizing makes of it."""
    tolerance = 2 * LIMIT_TOLERANCE  # resizing rounds, by far less than that
    return bool(
        (depth >= far * (1.0 - tolerance)).any() or (depth <= near * (1.0 + tolerance)).any()
    )


def _resize_depth(depth: Depth, height: int, width: int) -> Depth:
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _check_metric(card: ModelCard) -> None:
    output = card.output
    if output.kind == "relative_depth" or not output.unit:
        raise ModelError(
            f"model '{card.name}' is not metric: its depth has no unit and cannot be published "
            "as metres",
            found=f"output.kind {output.kind}, unit '{output.unit}'",
            expected="metric_depth in 'm' or inverse_depth in '1/m'",
            fix="Use a model trained for metric depth",
        )
