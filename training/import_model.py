"""`python -m training import-model`: any depth network becomes a file that the node runs.

A checkpoint of transformers, from a folder or by its name on the Hugging Face Hub, becomes one ONNX
file: bytes in, preprocessing and model card inside. Before the file gets its name it is compared
with the original. An .onnx file from elsewhere is checked, and gets a card in YAML next to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import yaml

from depth_estimation_ros.engines.model_card import CARD_VERSION, InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ModelError, ParameterError
from depth_estimation_ros.geometry.calibration_file import read_calibration
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.model_checks import Report, check_engine

if TYPE_CHECKING:
    from training.pretrained import Checkpoint

MAX_INLINE_BYTES = 1_900_000_000  # protobuf ends at 2 GB; weights beyond go next to the file
MAX_HFOV_OFF_DEG = 15.0  # between the user's camera and that of the training
NOMINAL_AREA = 640 * 480  # of the image whose aspect decides the size
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
EXAMPLES = """\
examples:
  python -m training import-model depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf \\
      --aspect 4:3 --out indoor.onnx
  python -m training import-model checkpoints/zoedepth --camera camera.yaml --out zoe.onnx
  python -m training import-model da3.onnx --output depth --sky sky --kind metric_depth \\
      --max-depth 80 --licence Apache-2.0

docs/models.md has a table of networks and their commands.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("model", help="owner/name on the Hub, a folder, or an .onnx file")
    parser.add_argument("--out", type=Path, help="the .onnx file to write (of a checkpoint)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", type=_size, metavar="WIDTHxHEIGHT", help="of the network's input")
    size.add_argument(
        "--aspect",
        type=_aspect,
        metavar="W:H",
        help="of the camera; the network's own rule gives the size (default: 4:3)",
    )
    size.add_argument(
        "--camera",
        type=Path,
        metavar="CALIBRATION",
        help="a calibration file: its aspect, and a warning if its lens does not suit the network",
    )
    parser.add_argument(
        "--free-size", action="store_true", help="any size, if a run at two sizes proves it"
    )
    parser.add_argument("--revision", help="commit, tag or branch on the Hub (default: the newest)")
    parser.add_argument("--licence", help="SPDX name, where the model's own card has none")
    parser.add_argument("--name", help="on the model card (default: that of the source)")
    parser.add_argument("--made-for", choices=("indoor", "outdoor", "any"), help="for the card")
    parser.add_argument(
        "--kind",
        choices=("metric_depth", "inverse_depth", "relative_depth"),
        help="what an .onnx file's numbers are; inverse_depth without a unit unless --metric",
    )
    parser.add_argument(
        "--no-recording", action="store_true", help="do not try it on the demo's recording"
    )
    file = parser.add_argument_group("the card of an .onnx file that has none")
    file.add_argument("--metric", action="store_true", help="its inverse depth is in 1/m")
    file.add_argument("--min-depth", type=float, default=0.1, help="metres (%(default)s)")
    file.add_argument("--max-depth", type=float, help="metres")
    file.add_argument("--input", help="name of its input (default: the only one)")
    file.add_argument("--output", help="name of its depth (default: the only one)")
    file.add_argument("--sky", help="name of an output that is above 0.5 in the sky")
    file.add_argument("--color-order", choices=("rgb", "bgr"), default="rgb")
    for name, values in zip(("mean", "std"), IMAGENET, strict=True):
        file.add_argument(
            f"--{name}", type=float, nargs=3, default=values, help="of pixels in 0..1 (ImageNet's)"
        )
    file.add_argument(
        "--multiple-of", type=int, help="any size with sides that are multiples of it"
    )
    file.add_argument("--canonical-focal-px", type=float, help="at the network's size")
    file.add_argument("--source", default="", help="where the file comes from")
    file.add_argument(
        "--original", metavar="CHECKPOINT", help="compare with this checkpoint of transformers"
    )


def run(args: argparse.Namespace) -> int:
    """Import, check and report; return the exit code."""
    camera = read_calibration(args.camera) if args.camera else None
    if Path(args.model).suffix == ".onnx":
        return _check_file(args, camera)
    if args.out is None or args.out.suffix != ".onnx":
        raise ParameterError("--out", found=args.out or "nothing", expected="a file named .onnx")
    from training.pretrained import load_checkpoint

    checkpoint = load_checkpoint(args.model, args.revision)
    card = make_card(checkpoint, args, camera)
    report = import_checkpoint(checkpoint, card, args.out, recording=not args.no_recording)
    print(describe(args.out, report, camera, checkpoint.meaning.hfov_deg, checkpoint.parameters))
    return 0


def make_card(
    checkpoint: Checkpoint, args: argparse.Namespace, camera: CameraModel | None
) -> ModelCard:
    """Return the card of a checkpoint as it will be exported.

    Raises:
        ParameterError: no licence, a size that the network does not take, or a --kind that is not
            the network's.
    """
    from training.pretrained import input_size, multiple_of

    licence = args.licence or checkpoint.licence
    if not licence:
        raise ParameterError(
            f"{checkpoint.source}: the licence of the weights",
            found="none in the README.md of the model",
            expected="an SPDX name",
            fix="Find it out, and give it with --licence (LicenseRef-... where SPDX has no name)",
        )
    output = checkpoint.meaning.output
    if args.kind not in (None, output.kind):
        raise ParameterError(
            f"--kind of {checkpoint.source}",
            found=args.kind,
            expected=f"{output.kind}{'' if output.unit else ', relative: it has no unit'}",
            fix="Leave --kind out. For metres choose a metric checkpoint, or set scale_source on "
            "the node",
        )
    step = multiple_of(checkpoint)
    if args.size:
        width, height = args.size
        if height % step or width % step:
            raise ParameterError(
                f"--size of {checkpoint.family}",
                found=f"{width}x{height}",
                expected=f"multiples of {step}",
                fix=f"Give {_rounded(width, step)}x{_rounded(height, step)}",
            )
    else:
        image_h, image_w = _image_size(args.aspect, camera)
        height, width = input_size(checkpoint, image_h, image_w)
    return ModelCard(
        name=args.name or Path(checkpoint.source).name,
        licence=licence,
        encoder=checkpoint.family,
        input=InputSpec(
            height, width, "rgb", "uint8", "NHWC", multiple_of=step if args.free_size else None
        ),
        output=output,
        canonical_focal_px=checkpoint.meaning.canonical_focal_px,
        made_for=args.made_for or checkpoint.meaning.made_for,
        source=checkpoint.source,
        revision=checkpoint.revision,
    )


def import_checkpoint(
    checkpoint: Checkpoint, card: ModelCard, path: Path, *, recording: bool = True
) -> Report:
    """Write the ONNX file of a checkpoint; it gets its name when it has passed all checks.

    Raises:
        ModelError: it is not valid ONNX, differs from the original, its output has another size
            than its input, or its depth is not of its card's kind.
    """
    from training.onnx_graph import trace
    from training.pretrained import PretrainedDepth

    spec = card.input
    axes = {1: "height", 2: "width"} if spec.multiple_of else {}
    network = PretrainedDepth(checkpoint, spec.height, spec.width).eval()
    model = trace(network, card, axes, fold=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, weights = path.with_name(f".{path.name}"), path.with_name(f"{path.name}.data")
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > MAX_INLINE_BYTES
    try:
        if large:
            weights.unlink(missing_ok=True)  # onnx appends
            onnx.save(model, partial, save_as_external_data=True, location=weights.name)
        else:
            onnx.save(model, partial)
        del model
        onnx.checker.check_model(str(partial), full_check=True)
        engine = OnnxRuntimeEngine(partial)
        try:
            report = check_engine(engine, checkpoint, recording=recording)
        finally:
            engine.close()
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        if large:
            weights.unlink(missing_ok=True)
        raise
    return report


def describe(
    path: Path,
    report: Report,
    camera: CameraModel | None,
    hfov_deg: float | None,
    parameters: int | None = None,
) -> str:
    """Return what the user has now, in one screen."""
    card, output = report.card, report.card.output
    size = f"{card.input.width}x{card.input.height}"
    free = f", or multiples of {card.input.multiple_of}" if card.input.multiple_of else " only"
    if not output.unit:
        meaning = "relative: no metres without scale_source"
    else:
        meaning = f"metric, {output.min_depth:g} to {output.max_depth:g} m"
    lines = [f"{path}: {card.name}, {meaning}, made for {card.made_for} scenes"]
    origin = f" from {card.source} at {card.revision[:19]}" if card.source else ""
    weights = f"{parameters / 1e6:.1f} million parameters, " if parameters else ""
    lines.append(f"  {weights}licence {card.licence}{origin}")
    lines.append(f"  input {size}{free}; {report.engine_ms:.0f} ms an image on ONNX Runtime here")
    if report.abs_rel is not None:
        lines.append(f"  differs from the original by AbsRel {report.abs_rel:.1g}")
    if (scored := report.accuracy) is not None:
        how = "as predicted" if output.unit else "scale and shift fitted to each image"
        predicted, scaled, constant = (
            metrics["delta1"]
            for metrics in (scored.as_predicted, scored.median_scaled, scored.one_constant)
        )
        lines.append(
            f"  demo's recording, {scored.images} images: delta1 {predicted:.3f} {how}, "
            f"{scaled:.3f} median-scaled; a constant {constant:.3f}; "
            f"scale factor {scored.scale_correction:.2f}"
        )
    lines += [f"  warning: {warning}" for warning in _warnings(report, camera, hfov_deg)]
    lines.append("next:")
    lines.append(f'  make demo ARGS="--model {path}"')
    lines.append(f"  ros2 run depth_estimation_ros build_engine --model {path}   (NVIDIA GPU)")
    return "\n".join(lines)


def _warnings(report: Report, camera: CameraModel | None, hfov_deg: float | None) -> Sequence[str]:
    warnings = list(report.warnings)
    card = report.card
    if not card.output.unit:
        warnings.append("relative depth: set scale_source and scale_required on the node")
    elif card.canonical_focal_px is None:
        known = f" (it learned with {hfov_deg:.0f} degrees)" if hfov_deg else ""
        warnings.append(
            f"it does not know the focal length: with another lens, scale is off{known}"
        )
    if camera is not None and hfov_deg is not None and card.canonical_focal_px is None:
        own = 2 * np.degrees(np.arctan(0.5 * camera.width / camera.fx))
        if abs(own - hfov_deg) > MAX_HFOV_OFF_DEG:
            factor = np.tan(np.radians(own) / 2) / np.tan(np.radians(hfov_deg) / 2)
            warnings.append(
                f"trained for {hfov_deg:.0f} degrees, your camera has {own:.0f}: expect depth to "
                f"be about {factor:.2f} times the truth (scale_correction, scale_source)"
            )
    return warnings


def _check_file(args: argparse.Namespace, camera: CameraModel | None) -> int:
    """Check an .onnx file from elsewhere; write its card where it has none."""
    from training.pretrained import load_checkpoint

    path = Path(args.model)
    if args.out is not None:
        raise ParameterError(
            "--out", found=args.out, expected="none: an .onnx file stays where it is"
        )
    ports = read_ports(path)
    print("\n".join(f"{path.name}: {line}" for line in ports.lines()))
    card_file = path.with_suffix(".card.yaml")
    draft = not ports.has_card and not card_file.is_file()
    if draft:
        card = draft_card(args, path, ports)
        fields = {"card_version": CARD_VERSION, **asdict(card)}
        card_file.write_text(yaml.safe_dump(_plain(fields), sort_keys=False))
    try:
        engine = OnnxRuntimeEngine(path)
        try:
            original = load_checkpoint(args.original, args.revision) if args.original else None
            report = check_engine(engine, original, recording=not args.no_recording)
        finally:
            engine.close()
    except BaseException:
        if draft:
            card_file.unlink(missing_ok=True)
        raise
    if original is None:
        unproved = "colour order, mean and std are as the card says; --original can prove them"
        report = replace(report, warnings=(*report.warnings, unproved))
    print(describe(path, report, camera, original.meaning.hfov_deg if original else None))
    if draft:
        print(f"wrote {card_file}")
    return 0


@dataclass(frozen=True)
class Ports:
    """Inputs and outputs of an .onnx file: (name, type, shape) each."""

    inputs: Sequence[tuple[str, str, Sequence[Any]]]
    outputs: Sequence[tuple[str, str, Sequence[Any]]]
    has_card: bool

    def lines(self) -> list[str]:
        """Return one line for each."""
        return [
            f"{what} {name}: {kind} {list(shape)}"
            for what, ports in (("input", self.inputs), ("output", self.outputs))
            for name, kind, shape in ports
        ]


def read_ports(path: Path) -> Ports:
    """Return what a file takes and gives.

    Raises:
        ModelError: it is not an ONNX file that ONNX Runtime loads.
    """
    import onnxruntime

    from depth_estimation_ros.engines.model_card import METADATA_KEY

    if not path.is_file():
        raise ModelError(f"model '{path}'", found="no such file", expected="an .onnx file")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ORT's own exceptions share no base class
        raise ModelError(f"{path}: ONNX Runtime cannot load it ({str(error)[:200]})") from error

    def ports(arguments: Any) -> list[tuple[str, str, Sequence[Any]]]:
        return [
            (a.name, a.type.removeprefix("tensor(").removesuffix(")"), tuple(a.shape))
            for a in arguments
        ]

    has_card = METADATA_KEY in session.get_modelmeta().custom_metadata_map
    return Ports(ports(session.get_inputs()), ports(session.get_outputs()), has_card)


def draft_card(args: argparse.Namespace, path: Path, ports: Ports) -> ModelCard:
    """Return the card of a file from its graph and the options.

    Raises:
        ParameterError: something is needed that the graph does not say.
    """
    needed = [name for name in ("kind", "licence", "max_depth") if not getattr(args, name)]
    if needed:
        raise ParameterError(
            f"{path.name} has no model card, and a graph does not say everything",
            found=f"nothing for {', '.join('--' + name.replace('_', '-') for name in needed)}",
            expected="what its numbers are, how far they go, and under which licence it is",
            fix="Look it up where the file comes from",
        )
    name, kind, shape = _chosen(ports.inputs, args.input, "--input", path)
    if len(shape) != 4 or kind not in ("float", "uint8"):
        raise ModelError(
            f"{path.name}: input {name}", found=f"{kind} {list(shape)}", expected="one RGB image"
        )
    layout: Any = "NHWC" if shape[3] == 3 else "NCHW"
    rows, columns = shape[1:3] if layout == "NHWC" else shape[2:4]
    if isinstance(rows, int) and isinstance(columns, int):
        height, width = rows, columns
    elif args.size:
        width, height = args.size
    else:
        raise ParameterError(
            "--size", found="nothing", expected="a size, since the graph takes any"
        )
    floats = kind == "float"
    unit: Any = {"metric_depth": "m", "inverse_depth": "1/m" if args.metric else ""}.get(
        args.kind, ""
    )
    output, _, _ = _chosen(ports.outputs, args.output, "--output", path)
    return ModelCard(
        name=args.name or path.stem,
        licence=args.licence,
        input=InputSpec(
            height,
            width,
            args.color_order,
            "float32" if floats else "uint8",
            layout,
            args.multiple_of,
            tuple(args.mean) if floats else None,
            tuple(args.std) if floats else None,
            name,
        ),
        output=OutputSpec(args.kind, unit, args.min_depth, args.max_depth, output, args.sky),
        canonical_focal_px=args.canonical_focal_px,
        made_for=args.made_for or "any",
        source=args.source,
        revision=args.revision or "",
    )


def _chosen(
    ports: Sequence[tuple[str, str, Sequence[Any]]], name: str | None, option: str, path: Path
) -> tuple[str, str, Sequence[Any]]:
    chosen = [port for port in ports if name in (None, port[0])]
    if len(chosen) != 1:
        raise ParameterError(
            f"{option} of {path.name}",
            found=name or "nothing",
            expected=f"one of {', '.join(port[0] for port in ports)}",
        )
    return chosen[0]


def _image_size(aspect: tuple[float, float] | None, camera: CameraModel | None) -> tuple[int, int]:
    """Return height and width of the images to come."""
    if camera is not None:
        return camera.height, camera.width
    width, height = aspect or (4.0, 3.0)
    scale = (NOMINAL_AREA / (width * height)) ** 0.5
    return round(scale * height), round(scale * width)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 640x480")
    return int(width), int(height)


def _aspect(text: str) -> tuple[float, float]:
    try:
        width, height = (float(part) for part in text.split(":"))
    except ValueError:
        width = height = 0.0
    if not (width > 0 and height > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 16:9")
    return width, height


def _rounded(side: int, step: int) -> int:
    return max(step, round(side / step) * step)


def _plain(value: Any) -> Any:
    """Return tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value
