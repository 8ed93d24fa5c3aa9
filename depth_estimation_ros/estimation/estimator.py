"""The mathematics of one frame: a colour image and its camera in, depth in metres out.

No ROS here. Each image takes three steps, which may run in three threads: `prepare`, `infer` and
`finish` of `DepthEstimator`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from depth_estimation_ros.engines import Engine
from depth_estimation_ros.engines.model_card import ModelCard, OutputSpec
from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.estimation.frame import (
    Depth,
    DepthResult,
    EstimatorSettings,
    ModelInput,
    Prediction,
    Rgb,
)
from depth_estimation_ros.estimation.postprocessing import (
    LIMIT_TOLERANCE,
    check_limits,
    check_settings,
    metric_scale,
    to_depth,
    to_metres,
)
from depth_estimation_ros.estimation.preprocessing import network_size, resize_image, to_input
from depth_estimation_ros.estimation.scale import ScaleAnchor
from depth_estimation_ros.estimation.temporal_filter import FilterContext, TemporalFilter
from depth_estimation_ros.geometry.camera_model import CameraModel

MAX_STRETCH = 1.05  # of an output against its input; rows and columns are rounded


class DepthEstimator:
    """Turns images into metric depth with one engine.

    Args:
        engine: an open engine; the caller closes it.
        settings: see `EstimatorSettings`; may be replaced at any time through `.settings`.

    Raises:
        ModelError: the network's output has no metric scale, and none is required by the settings.
        ParameterError: see `check_settings`.
    """

    def __init__(self, engine: Engine, settings: EstimatorSettings | None = None) -> None:
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
        """Return the depth of one image: `run_batch` of one.

        Args:
            rgb: (H, W, 3) uint8.
            camera: of this very image (binning and ROI applied); None if there is none.
        """
        return self.run_batch([(rgb, camera)])[0]

    def run_batch(self, images: Sequence[tuple[Rgb, CameraModel | None]]) -> list[DepthResult]:
        """Return the depth of several images, which may differ in size and camera.

        Args:
            images: as for `run`, each with its camera.

        Raises:
            EngineError: the network failed.
            ParameterError: with one camera's focal length the limits leave no depth between them;
                raised before the network is run.
        """
        inputs = [self.prepare(rgb, camera) for rgb, camera in images]
        return [self.finish(prediction) for prediction in self.infer(inputs)]

    def prepare(self, rgb: Rgb, camera: CameraModel | None) -> ModelInput:
        """Return the network's input for one image, with the present settings; in any thread.

        Raises:
            ParameterError: with this focal length the limits leave no depth between them.
        """
        settings, card = self._settings, self.engine.card
        height, width = rgb.shape[:2]
        calibrated = camera if camera is not None and camera.is_calibrated else None
        network_h, network_w = network_size(height, width, card.input)

        effective_camera = calibrated or CameraModel.from_hfov(
            width, height, settings.assumed_hfov_deg
        )
        # A stretched image counts as resized by the mean of both factors: the network judges by
        # height and width.
        resized_by = math.sqrt(network_w / width * network_h / height)
        scale = metric_scale(card, effective_camera.fx * resized_by)
        scale *= settings.scale_correction
        near, far = check_limits(card.output, settings, scale)

        batch = to_input(resize_image(rgb, network_h, network_w), card.input)
        return ModelInput(batch, (height, width), calibrated, settings, scale, near, far)

    def infer(self, inputs: Sequence[ModelInput]) -> list[Prediction]:
        """Return the network's predictions, in the order of the inputs; in the engine's thread.

        Inputs of the same size go together, up to the engine's `max_batch` at a time. The
        predictions are copies: later runs do not change them.

        Raises:
            EngineError: the network failed.
        """
        predictions: dict[int, Prediction] = {}
        for indices in _batches([each.batch.shape for each in inputs], self.engine.max_batch):
            arrays = [inputs[index].batch for index in indices]
            batch = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

            start = time.perf_counter()
            raw = self.engine.infer(batch)
            engine_ms = 1e3 * (time.perf_counter() - start) / len(indices)

            for index, values in zip(indices, raw, strict=True):
                predictions[index] = Prediction(inputs[index], values.copy(), engine_ms)
        return [predictions[index] for index in range(len(inputs))]

    def finish(
        self,
        prediction: Prediction,
        history: TemporalFilter | None = None,
        stamp_ns: int = 0,
        anchor: ScaleAnchor | None = None,
    ) -> DepthResult:
        """Return the prediction as depth in metres at the size of the settings; in any thread.

        Args:
            prediction: of one image.
            history: of its camera, whose images then come in order; without one, nothing is
                smoothed over time.
            stamp_ns: nanoseconds, of the image, for `history` and `anchor`.
            anchor: of its camera; without one, depth has the network's own scale.

        Raises:
            ParameterError: with this scale the limits leave no depth between them.
        """
        given, output = prediction.model_input, self.engine.card.output
        settings = given.settings
        size = _output_size(*given.image_size, self.engine.card, settings)
        camera = given.camera.scaled(*size[::-1]) if given.camera is not None else None
        near, far, fit = given.near, given.far, None

        relative = not output.unit  # its values are no metres before they are anchored
        depth = prediction.values if relative else to_metres(prediction.values, output, given.scale)
        if history is not None and not relative:
            depth = _smoothed(depth, given, output, history, stamp_ns)
        if anchor is not None and (anchored := anchor.apply(depth, given.camera, stamp_ns)):
            metres, fit = anchored
            if not relative:
                near, far = check_limits(output, settings, given.scale * fit.scale)
                # What the network clamps to its limit is no depth, whatever the local scale.
                limit = output.max_depth * given.scale * (1.0 - LIMIT_TOLERANCE)
                np.copyto(metres, np.inf, where=depth >= limit)
            elif history is not None:
                metres = _smoothed(metres, given, output, history, stamp_ns)
            depth = metres
        if fit is None and (relative or settings.scale_required):
            depth = np.full(size, np.nan, np.float32)
        else:
            depth = to_depth(depth, near, far, size, settings.edge_filter)
        return DepthResult(depth, camera, prediction.engine_ms, near, far, fit)

    def output_size(self, image_h: int, image_w: int) -> tuple[int, int]:
        """Return the height and width of the depth of an image of this size."""
        return _output_size(image_h, image_w, self.engine.card, self._settings)

    def warm_up(self) -> None:
        """Run the network on a black image, so that the first real frame is not slower.

        Raises:
            ModelError: the output has another aspect than the input: another size is built into the
                network's graph.
        """
        card = self.engine.card
        spec = card.input
        batch = to_input(np.zeros((spec.height, spec.width, 3), np.uint8), spec)
        for _ in range(2):
            height, width = self.engine.infer(batch).shape[1:]
        if not 1 / MAX_STRETCH < width * spec.height / (height * spec.width) < MAX_STRETCH:
            raise ModelError(
                f"model '{card.name}': size of the output (width x height)",
                found=f"{width}x{height} for an input of {spec.width}x{spec.height}",
                expected="the aspect of the input",
                fix="The graph has another size built in: export it again at the size of its card, "
                "or import its checkpoint with `python -m training import-model`",
            )


def _batches(shapes: Sequence[tuple[int, ...]], max_batch: int | None) -> Iterator[list[int]]:
    """Yield the indices of equal shapes, in order, at most `max_batch` together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(index)
    for indices in groups.values():
        step = max_batch or len(indices)
        yield from (indices[first : first + step] for first in range(0, len(indices), step))


def _output_size(
    image_h: int, image_w: int, card: ModelCard, settings: EstimatorSettings
) -> tuple[int, int]:
    if settings.output_size == "image":
        return image_h, image_w
    return network_size(image_h, image_w, card.input)


def _smoothed(
    metres: Depth, given: ModelInput, output: OutputSpec, history: TemporalFilter, stamp_ns: int
) -> Depth:
    """Smooth over time at the network's size and before the limits of the settings.

    That is cheap, and free of the limits' edges. Values at the network's own limits are no depth,
    and not smoothed.
    """
    weight = given.settings.temporal_filter
    if weight == 0:
        history.reset()  # no old frame returns when it is switched on again
        return metres
    near = output.min_depth * given.scale * (1.0 + LIMIT_TOLERANCE)
    far = output.max_depth * given.scale * (1.0 - LIMIT_TOLERANCE)
    context = FilterContext(stamp_ns, given.image_size, given.camera, near, far)
    return history.smooth(metres, weight, context)
