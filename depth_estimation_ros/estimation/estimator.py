"""The mathematics of one frame: a colour image and its camera in, depth in metres out.

No ROS here. An image is prepared, goes through the network, and its depth is finished: three steps
of `DepthEstimator`, which may run in three threads. What each does is in the modules beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from depth_estimation_ros.engines import Engine
from depth_estimation_ros.engines.model_card import ModelCard, OutputSpec
from depth_estimation_ros.estimation.finishing import to_depth
from depth_estimation_ros.estimation.frame import Depth, DepthResult, ModelInput, Prediction, Rgb
from depth_estimation_ros.estimation.limits import LIMIT_TOLERANCE, check_limits, check_settings
from depth_estimation_ros.estimation.metres import check_metric, metric_scale, to_metres
from depth_estimation_ros.estimation.preprocessing import network_size, resize_image, to_input
from depth_estimation_ros.estimation.settings import EstimatorSettings
from depth_estimation_ros.estimation.temporal_filter import FilterContext, TemporalFilter
from depth_estimation_ros.geometry.camera_model import CameraModel


class DepthEstimator:
    """Turns images into metric depth with one engine.

    Args:
        engine: an open engine; it stays the caller's to close.
        settings: see `EstimatorSettings`; may be replaced at any time through `.settings`.

    Raises:
        ModelError: the network's output has no metric scale.
        ParameterError: see `check_settings`.
    """

    def __init__(self, engine: Engine, settings: EstimatorSettings | None = None) -> None:
        check_metric(engine.card)
        self.engine = engine
        self.settings = settings or EstimatorSettings()

    @property
    def settings(self) -> EstimatorSettings:
        """The settings of the next frame; `check_settings` refuses some with a ParameterError."""
        return self._settings

    @settings.setter
    def settings(self, settings: EstimatorSettings) -> None:
        check_settings(self.engine.card, settings)
        self._settings = settings

    def run(self, rgb: Rgb, camera: CameraModel | None) -> DepthResult:
        """Depth of one image: `run_batch` of one.

        Args:
            rgb: (H, W, 3) uint8.
            camera: of this very image (binning and ROI applied); None if there is none.
        """
        return self.run_batch([(rgb, camera)])[0]

    def run_batch(self, images: Sequence[tuple[Rgb, CameraModel | None]]) -> list[DepthResult]:
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

    def prepare(self, rgb: Rgb, camera: CameraModel | None) -> ModelInput:
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
        scale *= settings.scale_correction
        near, far = check_limits(card.output, settings, scale)

        picture = to_input(resize_image(rgb, network_h, network_w), card.input)
        return ModelInput(picture, (height, width), calibrated, settings, scale, near, far)

    def infer(self, views: Sequence[ModelInput]) -> list[Prediction]:
        """The network's answers, in the order of the views; in the engine's thread.

        Views of the same size go together, up to the engine's `max_batch` at a time. The answers
        are copies, so they stay as they are.

        Raises:
            EngineError: the network failed.
        """
        answers: dict[int, Prediction] = {}
        for places in _batches([view.input.shape for view in views], self.engine.max_batch):
            inputs = [views[place].input for place in places]
            batch = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)

            start = time.perf_counter()
            raw = self.engine.infer(batch)
            engine_ms = 1e3 * (time.perf_counter() - start) / len(places)

            for place, numbers in zip(places, raw, strict=True):
                answers[place] = Prediction(views[place], numbers.copy(), engine_ms)
        return [answers[place] for place in range(len(views))]

    def finish(
        self, answer: Prediction, past: TemporalFilter | None = None, stamp_ns: int = 0
    ) -> DepthResult:
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
        return DepthResult(depth, camera, answer.engine_ms, near, far)

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
    image_h: int, image_w: int, card: ModelCard, settings: EstimatorSettings
) -> tuple[int, int]:
    if settings.output_size == "image":
        return image_h, image_w
    return network_size(image_h, image_w, card.input)


def _smoothed(
    metres: Depth, view: ModelInput, output: OutputSpec, past: TemporalFilter, stamp_ns: int
) -> Depth:
    """At the network's size and before the limits of the settings: cheap, and free of their edges.

    What the network says at its own limits is no depth, and not smoothed.
    """
    weight = view.settings.temporal_filter
    if weight == 0:
        past.forget()  # switched on again, it begins anew
        return metres
    near = output.min_depth * view.scale * (1.0 + LIMIT_TOLERANCE)
    far = output.max_depth * view.scale * (1.0 - LIMIT_TOLERANCE)
    return past.smooth(metres, weight, FilterContext(stamp_ns, view.size, view.camera, near, far))
