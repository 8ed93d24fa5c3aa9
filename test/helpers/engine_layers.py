"""In which types the layers of an engine really compute, as TensorRT-RTX itself lists them.

It writes the list to its verbose log at the end of a build. No GPU is needed for that.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine_cases import build

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.engines.tensorrt.api import TensorRT

_LAYER = re.compile(r"Name: (\S+), LayerType: (\w+), Inputs: \[ \{.*?Datatype: (\w+)", re.DOTALL)


def convolution_types(
    api: TensorRT, onnx: bytes, folder: Path, spec: InputSpec, gpu: str = "8.6"
) -> Counter[str]:
    """How many convolutions read float32 ("Float"), float16 ("Half") and int8 ("Int8")."""

    class Listener(api.module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.text: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            self.text.append(message)

        def take_errors(self) -> list[str]:
            return []

    class Detailed(api.module.Builder):  # type: ignore[misc]
        def create_builder_config(self) -> Any:
            config = super().create_builder_config()
            config.profiling_verbosity = api.module.ProfilingVerbosity.DETAILED
            return config

    listener = Listener()

    class Listening(TensorRT):
        def logger(self) -> Any:
            return listener

    path = folder / "network.onnx"
    path.write_bytes(onnx)
    module = SimpleNamespace(**{**vars(api.module), "Builder": Detailed})
    build(Listening(module, api.flavour, api.version), path, spec, compute_capabilities=[gpu])
    kinds = Counter()
    for name, kind, datatype in _LAYER.findall("\n".join(listener.text)):
        # Alone, or "Corr" with what follows it fused into one kernel.
        kinds[datatype] += kind == "correlation" or "_Corr" in name
    return +kinds
