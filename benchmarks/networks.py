"""Networks beside the bundled ones: one that costs nothing, int8, and the paper's."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.engines import bundled_models, resolve_model

CALIBRATED_ON = 2  # drawn images: speed does not depend on them


def costs_nothing(folder: Path) -> Path:
    """Two metres everywhere, at a usual size."""
    from tiny_models import constant_depth, tiny_card, with_size

    path = folder / "costs nothing.onnx"
    return (
        path if path.exists() else constant_depth(path, 2.0, with_size(tiny_card(), 240, 320, 16))
    )


def random_network(name: str, folder: Path) -> Path:
    """One of the networks that `make gpu-check` compares, with random weights.

    Raises:
        ImportError: no PyTorch or timm.
    """
    from random_networks import export_random, size_for

    path = folder / f"{name}.onnx"
    return path if path.exists() else export_random(name, *size_for(name, 240, 320), folder)


def in_int8(model: str, folder: Path) -> Path:
    """The network in int8: the bundled file if there is one, else as `training export` makes it."""
    from depth_estimation_ros.apps.build_engine.calibration_images import (
        drawn_images,
        network_batch,
    )
    from depth_estimation_ros.engines.precision.graph import load
    from depth_estimation_ros.engines.precision.quantize import to_int8
    from depth_estimation_ros.engines.tensorrt.make import read_model_file

    source = resolve_model(model)
    if f"{source.stem}_int8" in bundled_models():
        return resolve_model(f"{source.stem}_int8")
    path = folder / f"{source.stem}_int8.onnx"
    if not path.exists():
        spec = read_model_file(source).card.input
        batches = (
            network_batch(rgb, spec, nominal=True) for rgb in drawn_images(spec, CALIBRATED_ON)
        )
        int8 = to_int8(load(source), batches, runtime="onnxruntime")
        path.write_bytes(int8.SerializeToString())
    return path
