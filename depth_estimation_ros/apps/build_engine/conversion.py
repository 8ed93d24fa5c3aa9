"""The network in the wanted precision, and how far its depth is from that of float32."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.apps.build_engine.calibration_images import (
    drawn_images,
    network_batch,
    own_images,
    split,
)
from depth_estimation_ros.apps.build_engine.parity import Parity, check_parity, compare
from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.cache import Wanted, build_command
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.engine import TensorRtEngine
from depth_estimation_ros.engines.tensorrt.engine_file import Sidecar
from depth_estimation_ros.engines.tensorrt.make import ModelFile, in_precision, network_of
from depth_estimation_ros.engines.tensorrt.profile import input_of_engine
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import Rgb


@dataclass(frozen=True)
class Converted:
    """A network ready for the builder.

    Attributes:
        onnx: the file's bytes, in the wanted precision.
        parity: against float32, both on ONNX Runtime; None: it is float32.
        images: for comparison, none of them calibrated on.
        compared_on: these images in words.
    """

    onnx: bytes
    parity: Parity | None
    images: Sequence[Rgb]
    compared_on: str


def convert(
    model: ModelFile, wanted: Wanted, calibration: str | None, image_topic: str = ""
) -> Converted:
    """Converts a model, at the size that the engine is best at, and measures what it costs.

    Args:
        model: float32.
        wanted: the engine that shall be built of it.
        calibration: folder or recording of the robot's camera; int8 needs it, float16 is compared
            on it. Without it float16 is compared on drawn images.
        image_topic: of the recording, where it has several.

    Raises:
        ParameterError: int8 without images, or images that cannot be used.
        BagError: the recording cannot be read.
        ModelError: the network cannot be converted.
        EngineError: the package onnx is missing, or ONNX Runtime fails on the network.
    """
    spec = input_of_engine(wanted.card.input, wanted.profile)
    if calibration is not None:
        for_calibration, for_comparison = split(own_images(calibration, image_topic))
        compared_on = f"{len(for_comparison)} images of {calibration}"
    elif wanted.precision == "int8":
        raise ParameterError(
            "--calibration",
            found="nothing",
            expected="a folder or a recording with about 100 images of the robot's camera",
            fix="int8 needs them to measure the range of every layer",
        )
    else:
        for_calibration, for_comparison = [], drawn_images(spec)
        compared_on = "drawn images; give --calibration for those of the robot's camera"
    if wanted.precision == "fp32":
        return Converted(in_precision(model, wanted), None, for_comparison, compared_on)
    if wanted.precision == "int8":
        batches = (network_batch(rgb, spec) for rgb in for_calibration)
        onnx = to_int8(network_of(model), batches).SerializeToString()
    else:
        onnx = in_precision(model, wanted)
    parity = _parity(model, onnx, spec, for_comparison)
    return Converted(onnx, parity, for_comparison, compared_on)


def compare_built(
    out: Path,
    plan: bytes,
    sidecar: Sidecar,
    model: ModelFile,
    images: Sequence[Rgb],
    api: TensorRT,
    device: int,
) -> Parity:
    """Runs an engine that has no file yet, and compares its depth with ONNX Runtime's float32.

    Args:
        out: where the engine is going to lie; its kernels are kept beside it.
        plan, sidecar: the engine.
        model: float32, that it was made of.
        images: to compare on.
        api: the TensorRT that built it.
        device: index of the GPU.

    Raises:
        EngineError: the engine does not load or run.
    """
    gpu = Gpu(device)
    try:
        engine = TensorRtEngine(out, plan, sidecar, api, gpu)
    except BaseException:
        gpu.close()
        raise
    try:
        reference = OnnxRuntimeEngine(model.path)
        try:
            reference.card = engine.card
            return compare(reference, engine, images, copies=sidecar.profile.smallest[0])
        finally:
            reference.close()
    finally:
        engine.close()


def convert_unattended(model: ModelFile, wanted: Wanted, say: Callable[[str], object]) -> Converted:
    """The network in the wanted precision, for a node that builds by itself.

    Args:
        model: float32.
        wanted: the engine that shall be built of it: fp32 or fp16.
        say: told how far float16's depth is from float32's.

    Raises:
        EngineError: int8, which needs images; the package onnx is missing.
        ModelError: the network cannot be converted, or float16 is too far from float32.
    """
    if wanted.precision == "int8":
        in_precision(model, wanted)  # says what to do instead
    converted = convert(model, wanted, None)
    if (parity := converted.parity) is not None:
        say(
            f"{wanted.precision} against fp32 on {parity.images} drawn images: "
            f"abs_rel {parity.abs_rel:.2g}, delta1 {parity.delta1:.4f}"
        )
        fix = f"Set 'precision' to fp32, or force it: {build_command(wanted, None, None)} --force"
        check_parity(parity, wanted.precision, wanted.model, fix)
    return converted


def _parity(model: ModelFile, onnx: bytes, spec: InputSpec, images: Sequence[Rgb]) -> Parity:
    with tempfile.TemporaryDirectory(prefix="build_engine_") as folder:
        path = Path(folder) / "converted.onnx"
        path.write_bytes(onnx)
        # Where the card is not in the network itself; JSON is YAML too.
        output = dataclasses.replace(model.card.output, name=None, sky=None)
        card = dataclasses.replace(model.card, output=output)
        path.with_suffix(".card.yaml").write_text(card.to_json())
        reference = OnnxRuntimeEngine(model.path)
        candidate = OnnxRuntimeEngine(path, optimize=False)
        try:
            reference.card = dataclasses.replace(reference.card, input=spec)
            candidate.card = dataclasses.replace(candidate.card, input=spec)
            return compare(reference, candidate, images)
        finally:
            reference.close()
            candidate.close()
