"""Depth networks of `transformers`: a checkpoint, and the network that an ONNX file is made of.

Each family is listed in `FAMILIES` with what its numbers mean. `PretrainedDepth` takes bytes, so
what the checkpoint's image processor does to an image at the network's size is inside the graph.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from depth_estimation_ros.engines.model_card import OutputSpec
from depth_estimation_ros.errors import ModelError, ParameterError
from depth_estimation_ros.estimation import Rgb

MadeFor = Literal["indoor", "outdoor", "any"]
FILES = ("*.json", "*.safetensors", "README.md")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")
INDOOR_M = 20.0  # a metric network that ends nearer or here learned indoors
CANNOT = {
    "prompt_depth_anything": "it needs depth of a LiDAR as a second input, which no node feeds it",
    "chmv2": "it estimates the height of trees in satellite images",
}


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a network mean.

    Attributes:
        output: for the model card.
        made_for: the scenes that it learned from.
        hfov_deg: horizontal field of view of the camera that it learned metres with; None where
            its scale does not depend on one, or where the camera is not known.
        canonical_focal_px: at the network's size, for the model card.
    """

    output: OutputSpec
    made_for: MadeFor = "any"
    hfov_deg: float | None = None
    canonical_focal_px: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A network as `transformers` loads it.

    Attributes:
        folder: its files.
        source: as the user named it.
        revision: a commit of the Hugging Face Hub, or "sha256:..." of the weights.
        licence: as its model card names it, or "".
        family: `model_type` of its configuration.
        network: on the CPU, in evaluation mode.
        processor: its own preprocessing.
        meaning: of the network's output.
    """

    folder: Path
    source: str
    revision: str
    licence: str
    family: str
    network: Any
    processor: Any
    meaning: Meaning

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(weight.numel() for weight in self.network.parameters())

    @torch.inference_mode()
    def infer(self, rgb: Rgb) -> npt.NDArray[np.float32]:
        """Return the output (h, w) for an image (H, W, 3) uint8 of the network's size.

        The checkpoint's own processor prepares the image.
        """
        height, width = rgb.shape[:2]
        sized: dict[str, Any] = {"size": {"height": height, "width": width}}
        if hasattr(self.processor, "keep_aspect_ratio"):
            sized |= {"keep_aspect_ratio": False, "ensure_multiple_of": 1}
        padded = self.family == "zoedepth" and self.processor.do_pad
        given = self.processor(
            images=rgb,
            return_tensors="pt",
            input_data_format="channels_last",
            **({} if padded or self.family == "glpn" else sized),
        )
        predicted = self.network(given["pixel_values"])
        if padded:
            (result,) = self.processor.post_process_depth_estimation(
                predicted, source_sizes=[(height, width)]
            )
            return result["predicted_depth"].numpy()
        return predicted.predicted_depth[0].numpy()


def load_checkpoint(source: str, revision: str | None = None) -> Checkpoint:
    """Load a depth network from a folder or, by its name, from the Hugging Face Hub.

    Nothing in the files is executed: weights are read from safetensors only, and code that comes
    with a model is not run.

    Raises:
        ModelError: there is no such model, it has only pickled weights, some of its weights are
            missing, or its architecture does not estimate depth or is not supported.
        ParameterError: `transformers` is not installed, or a folder with a revision.
    """
    transformers = _import_transformers()
    folder, revision = _find(source, revision)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{source} is not a network of transformers",
            found=f"no config.json in {folder}",
            expected="a folder as save_pretrained writes it, or a name of the Hugging Face Hub",
        )
    config = _load(source, transformers.AutoConfig, folder)
    family = config.model_type
    _check_family(transformers, source, config)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        others = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        raise ModelError(
            f"{source}: no weights in safetensors",
            found=", ".join(others) or "no weights",
            expected="*.safetensors; pickled weights (.bin, .pt) can execute code and are not read",
            fix="Convert them where you trust them: save_pretrained(FOLDER) in transformers",
        )
    changes = {"use_fov_model": False} if family == "depth_pro" else {}
    network, info = _load(
        source,
        transformers.AutoModelForDepthEstimation,
        folder,
        use_safetensors=True,
        output_loading_info=True,
        **changes,
    )
    if info["missing_keys"] or info["mismatched_keys"]:
        missing = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise ModelError(
            f"{source}: the weights do not fill the network",
            found=f"{len(missing)} tensors missing or of another shape, such as {missing[0]}",
            fix="Get the whole checkpoint; an encoder alone does not estimate depth",
        )
    return Checkpoint(
        folder=folder,
        source=source,
        revision=revision or f"sha256:{_sha256(weights)}",
        licence=_licence(folder),
        family=family,
        network=network.float().eval(),
        processor=_load(source, transformers.AutoImageProcessor, folder),
        meaning=FAMILIES[family](network.config),
    )


class PretrainedDepth(nn.Module):
    """A checkpoint's network from bytes to its output, both of one size.

    ``image`` (1, H, W, 3) uint8 RGB becomes (1, H, W) float32, in the unit of `Meaning.output`.

    Args:
        checkpoint: its processor gives scale, mean, standard deviation and padding.
        height, width: of the image, pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, checkpoint: Checkpoint, height: int, width: int) -> None:
        super().__init__()
        processor = checkpoint.processor
        self.network = checkpoint.network
        self.size = (height, width)
        self.factor = float(processor.rescale_factor) if processor.do_rescale else 1.0
        normalized = bool(processor.do_normalize)
        mean = processor.image_mean if normalized else (0.0, 0.0, 0.0)
        std = processor.image_std if normalized else (1.0, 1.0, 1.0)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.pad = (0, 0)
        if checkpoint.family == "zoedepth" and processor.do_pad:
            self.pad = int(math.sqrt(height / 2) * 3), int(math.sqrt(width / 2) * 3)
            self.inner = input_size(checkpoint, *self._padded)

    @property
    def _padded(self) -> tuple[int, int]:
        return self.size[0] + 2 * self.pad[0], self.size[1] + 2 * self.pad[1]

    def forward(self, image: Tensor) -> Tensor:
        # Cast first: TensorRT cannot transpose bytes.
        x = image.float().permute(0, 3, 1, 2) * self.factor
        rows, columns = self.pad
        if rows:
            # ZoeDepth reflects the border, and cuts it off again: its edges are poor.
            x = functional.pad(x, (columns, columns, rows, rows), mode="reflect")
            x = functional.interpolate(x, self.inner, mode="bilinear", align_corners=True)
        depth = self.network((x - self.mean) / self.std).predicted_depth
        if rows:
            depth = functional.interpolate(
                depth[:, None], self._padded, mode="bicubic", align_corners=False
            )[:, 0, rows:-rows, columns:-columns]
        return depth


def multiple_of(checkpoint: Checkpoint) -> int:
    """Return the number of pixels that both sides of an image must be multiples of."""
    if checkpoint.family == "glpn":
        return int(checkpoint.processor.size_divisor)
    backbone = getattr(checkpoint.network.config, "backbone_config", None)
    patch = getattr(backbone, "patch_size", None) or getattr(
        checkpoint.network.config, "patch_size", None
    )
    step = int(getattr(checkpoint.processor, "ensure_multiple_of", 1) or 1)
    return max(step, patch if isinstance(patch, int) and checkpoint.family != "depth_pro" else 1)


def input_size(checkpoint: Checkpoint, image_h: int, image_w: int) -> tuple[int, int]:
    """Return height and width at which the network's own processor gives it such an image."""
    processor, step = checkpoint.processor, multiple_of(checkpoint)
    if checkpoint.family == "glpn":  # it takes the image as it is, cut to multiples
        return image_h // step * step, image_w // step * step
    height, width = processor.size["height"], processor.size["width"]
    if getattr(processor, "keep_aspect_ratio", False):
        rows, columns = height / image_h, width / image_w
        # One factor for both sides: that which changes the image less.
        factor = columns if abs(1 - columns) < abs(1 - rows) else rows
        height, width = factor * image_h, factor * image_w
    return max(step, round(height / step) * step), max(step, round(width / step) * step)


def _depth_anything(config: Any) -> Meaning:
    if config.depth_estimation_type != "metric":
        return RELATIVE
    # Trained on Hypersim (60 degrees) and Virtual KITTI 2 (f = 725 px at 1242 px).
    return _metric(config.max_depth, indoor_deg=60.0, outdoor_deg=81.2)


def _glpn(config: Any) -> Meaning:
    return _metric(config.max_depth)


def _zoedepth(config: Any) -> Meaning:
    heads = [head["max_depth"] for head in config.bin_configurations]
    meaning = _metric(max(heads))
    return meaning if len(heads) == 1 else replace(meaning, made_for="any", hfov_deg=None)


def _dpt(config: Any) -> Meaning:
    return RELATIVE


def _depth_pro(config: Any) -> Meaning:
    # It predicts 1 / depth for a camera whose focal length is the width of its input.
    side = round(config.patch_size / min(config.scaled_images_ratios))
    return Meaning(OutputSpec("inverse_depth", "1/m", 0.05, 1000.0), canonical_focal_px=float(side))


def _metric(far: float, indoor_deg: float = 63.3, outdoor_deg: float = 81.4) -> Meaning:
    """Return the meaning of metres up to `far`; by default of networks trained on NYU and KITTI."""
    output = OutputSpec("metric_depth", "m", 0.0, float(far))
    if far <= INDOOR_M:
        return Meaning(output, "indoor", indoor_deg)
    return Meaning(output, "outdoor", outdoor_deg)


# The limits hold after scale and shift are fitted to measured depth.
RELATIVE = Meaning(OutputSpec("inverse_depth", "", 0.1, 100.0))
FAMILIES: dict[str, Callable[[Any], Meaning]] = {
    "depth_anything": _depth_anything,
    "depth_pro": _depth_pro,
    "dpt": _dpt,
    "glpn": _glpn,
    "zoedepth": _zoedepth,
}


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ParameterError(
            f"transformers cannot be imported ({error})",
            fix='Install what imports need: pip install -e ".[train,import]"',
        ) from error
    return transformers


def _find(source: str, revision: str | None) -> tuple[Path, str]:
    """Return the folder of a checkpoint and its revision on the Hub, "" for a local folder."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        if revision:
            raise ParameterError("--revision", found=revision, expected="none for a local folder")
        return folder, ""
    if source.count("/") != 1 or folder.suffix in (".pt", ".pth", ".bin", ".ckpt"):
        raise ModelError(
            f"{source} is no network that can be imported",
            found="a file" if folder.exists() else "no such file or folder",
            expected="a name of the Hugging Face Hub (owner/name), a folder with config.json and "
            "*.safetensors, or an .onnx file",
        )
    from huggingface_hub import snapshot_download

    try:
        found = Path(snapshot_download(source, revision=revision, allow_patterns=list(FILES)))
    except Exception as error:  # httpx's and the Hub's errors share no base class
        words = " ".join(str(error).split())
        raise ModelError(
            f"{source} cannot be downloaded ({words[:200]})",
            fix="Check the name, the network, and `hf auth login` for gated models; or download "
            "the folder elsewhere and give its path",
        ) from error
    return found, found.name  # the Hub keeps each commit in a folder of its name


def _load(source: str, kind: Any, folder: Path, **options: Any) -> Any:
    try:
        return kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise ModelError(
            f"{source}: transformers cannot load it ({words[:300]})",
            fix="Check that all files of the checkpoint are there",
        ) from error


def _check_family(transformers: Any, source: str, config: Any) -> None:
    family = config.model_type
    if family in FAMILIES:
        return
    if family in CANNOT:
        raise ModelError(f"{source} ({family}) cannot be imported: {CANNOT[family]}")
    depth = type(config) in transformers.MODEL_FOR_DEPTH_ESTIMATION_MAPPING
    what = "estimates depth, but is not supported yet" if depth else "does not estimate depth"
    raise ModelError(
        f"{source}: the architecture {family} {what}",
        found=", ".join(getattr(config, "architectures", None) or [family]),
        expected=f"one of {', '.join(sorted(FAMILIES))}",
    )


def _licence(folder: Path) -> str:
    """Return the licence in the head of README.md, the model card of the Hub; "" without one."""
    readme = folder / "README.md"
    parts = readme.read_text(errors="replace").split("---\n", 2) if readme.is_file() else []
    if len(parts) < 3 or parts[0].strip():
        return ""
    try:
        fields = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return ""
    licence = fields.get("license") if isinstance(fields, dict) else None
    if licence == "other":
        licence = fields.get("license_name")
    return licence if isinstance(licence, str) else ""


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
