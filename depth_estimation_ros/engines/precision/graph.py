"""What float16 and int8 conversion both need to know of an ONNX graph."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from depth_estimation_ros.engines.base import far_away
from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard, OutputSpec
from depth_estimation_ros.engines.onnxruntime import read_metadata
from depth_estimation_ros.errors import EngineError, ModelError

if TYPE_CHECKING:
    import onnx

# The layers with weights, where nearly all the arithmetic is.
LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")


def import_onnx() -> ModuleType:
    """The package `onnx`; EngineError with what to install where it is missing."""
    try:
        import onnx
    except ImportError as error:
        raise EngineError(
            f"ONNX files cannot be converted: the package onnx cannot be imported ({error})",
            fix="Run: pip install onnx",
        ) from error
    return onnx


def load(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises:
        ModelError: as `read_metadata`, or the package `onnx` cannot read it.
        EngineError: the package `onnx` is missing.
    """
    onnx = import_onnx()
    read_metadata(path)
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf's DecodeError, OSError, and onnx's own
        raise ModelError(
            f"{path} cannot be read as ONNX ({error})",
            fix="Check that the file is complete and was exported as .onnx",
        ) from error


def depth_only(model: onnx.ModelProto, output: OutputSpec) -> onnx.ModelProto:
    """Leave the depth as the one output of a network that has several, with the sky in it.

    Where the card names a sky output, the depth is infinitely far wherever that is above 0.5, as
    `engines.base.mark_sky` makes it.

    Args:
        model: changed.
        output: of the card.

    Raises:
        ModelError: it has no output of such a name.
    """
    onnx = import_onnx()
    graph = model.graph
    every = {value.name: value for value in graph.output}
    for name in (output.name, output.sky):
        if name is not None and name not in every:
            raise ModelError("the output on the card", found=name, expected=" or ".join(every))
    depth = every[output.name] if output.name else graph.output[0]
    sky, kept = output.sky, depth.name
    if sky is not None:
        far = far_away(output)
        constants = {"sky_above": np.float32(0.5), "sky_depth": np.float32(far)}
        graph.initializer.extend(
            onnx.numpy_helper.from_array(value, name) for name, value in constants.items()
        )
        kept = f"{depth.name}_with_sky"
        graph.node.extend(
            onnx.helper.make_node(kind, reads, [writes], name=writes)
            for kind, reads, writes in (
                ("Shape", [depth.name], "depth_shape"),
                ("Reshape", [sky, "depth_shape"], "sky_like_depth"),
                ("Greater", ["sky_like_depth", "sky_above"], "is_sky"),
                ("Where", ["is_sky", "sky_depth", depth.name], kept),
            )
        )
    left = onnx.ValueInfoProto()
    left.CopyFrom(depth)
    left.name = kept
    del graph.output[:]
    graph.output.append(left)
    # The card in the file names outputs that are gone.
    others = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    return model


def side_files(path: Path) -> tuple[Path, ...]:
    """Return the files next to an ONNX file that hold its weights, in the order of their names.

    Raises:
        ModelError: the file cannot be read.
        EngineError: the package `onnx` is missing.
    """
    onnx = import_onnx()
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # as in `load`
        raise ModelError(f"{path} cannot be read as ONNX ({error})") from error
    helper = onnx.external_data_helper
    names = {
        helper.ExternalDataInfo(tensor).location
        for tensor in graph.initializer
        if helper.uses_external_data(tensor)
    }
    return tuple(path.parent / name for name in sorted(names))


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with constants and batch normalisation computed into the weights.

    ONNX Runtime's basic optimisations do it: the result is still plain ONNX for any runtime.
    Weights that the file stores as float16 behind a Cast become float32 weights. Every node gets
    a name of its own. The sizes that were free stay free.

    Args:
        model: not changed.

    Raises:
        ModelError: ONNX Runtime cannot load the network.
    """
    onnx = import_onnx()
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        try:
            ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        except Exception as error:  # ORT's own exceptions share no base class
            raise ModelError(f"ONNX Runtime cannot load the network ({error})") from error
        folded = onnx.load(path)
    # ORT writes down every operator set that it knows; only those in use matter to others.
    used = {node.domain for node in folded.graph.node} | {""}
    kept = [entry for entry in folded.opset_import if entry.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(kept)
    _name_nodes(folded.graph)
    return folded


def entrance(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that see nothing but the image: cast, transposition, normalisation."""
    images = {value.name for value in graph.input}
    constants = {tensor.name for tensor in graph.initializer} | {""}
    names = set()
    for node in graph.node:
        reads = set(node.input) - constants
        if reads and reads <= images and node.op_type not in LAYERS:
            names.add(node.name)
            images.update(node.output)
    return names


def head(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes from the last layer with weights, itself included, to the output."""
    outputs = {value.name for value in graph.output}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(outputs)
    open_ends = Counter(outputs)  # how many readers of each tensor are in the head
    names = set()
    for node in reversed(graph.node):
        used = [name for name in node.output if readers[name]]
        if not used or any(open_ends[name] < readers[name] for name in used):
            continue
        names.add(node.name)
        if node.op_type not in LAYERS:
            open_ends.update(node.input)
    return names


def check(model: onnx.ModelProto, precision: str) -> None:
    """Raises ModelError unless a converted network is valid ONNX."""
    onnx = import_onnx()
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the network in {precision} is not valid ONNX: {error}") from error


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name, as Python values."""
    onnx = import_onnx()
    return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}


def note_precision(model: onnx.ModelProto, precision: str) -> None:
    """Adds the precision to the version on the card inside, in place; nothing without a card.

    Raises:
        ModelError: the card cannot be read.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            card = ModelCard.from_json(entry.value, "the model")
            version = f"{card.model_version} {precision}".strip()
            entry.value = dataclasses.replace(card, model_version=version).to_json()


def _name_nodes(graph: onnx.GraphProto) -> None:
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{number}"
        taken.add(node.name)
