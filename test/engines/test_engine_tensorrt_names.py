"""Every name that the package uses of TensorRT exists in the releases that it is said to work with.

`tensorrt_names.json` was read off the real modules by `tensorrt_names.py`.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import tensorrt_names

from depth_estimation_ros.engines.tensorrt import api as api_module

ROOM = Path(api_module.__file__).parent
TABLE = json.loads(Path(tensorrt_names.__file__).with_suffix(".json").read_text())
RELEASES: list[str] = TABLE["releases"]
RTX_ONLY = [release for release in RELEASES if not release.startswith("rtx")]

# Which TensorRT object a variable is, file by file; "" is the module itself.
VARIABLES = {
    "api.py": {
        "self.module": "",
        "module": "",
        "severity": "ILogger",
        "config": "IBuilderConfig",
        "self.module.NetworkDefinitionCreationFlag": "NetworkDefinitionCreationFlag",
    },
    "builder.py": {
        "api.module": "",
        "builder": "Builder",
        "network": "INetworkDefinition",
        "image": "ITensor",
        "parser": "OnnxParser",
        "error": "ParserError",
        "config": "IBuilderConfig",
        "shapes": "IOptimizationProfile",
        "kept": "ITimingCache",
        "api.module.BuilderFlag": "BuilderFlag",
        "api.module.MemoryPoolType": "MemoryPoolType",
    },
    "execution.py": {
        "trt": "",
        "trt.TensorIOMode": "TensorIOMode",
        "engine": "ICudaEngine",
        "self._context": "IExecutionContext",
        "strategy": "CudaGraphStrategy",
        "config": "IRuntimeConfig",
        "self._cache": "IRuntimeCache",
    },
    "engine.py": {"self._api.module": "", "runtime": "Runtime"},
}
# Used behind a question whether the module has ComputeCapability or CudaGraphStrategy.
ONLY_IN_RTX = {
    "ComputeCapability",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
    "CudaGraphStrategy",
    "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE",
    "ICudaEngine.create_runtime_config",
    "IRuntimeConfig.create_runtime_cache",
    "IRuntimeConfig.cuda_graph_strategy",
    "IRuntimeConfig.set_runtime_cache",
    "IRuntimeCache.deserialize",
    "IRuntimeCache.serialize",
}
OF_PYTHON = {"__version__", "__members__"}
PROGRESS_OVERRIDES = {"phase_start", "step_complete", "phase_finish"}


def names_in(file: str) -> set[str]:
    """Dotted names of TensorRT that a file uses."""
    used = set()
    for node in ast.walk(ast.parse((ROOM / file).read_text())):
        if isinstance(node, ast.Attribute):
            kind = VARIABLES[file].get(ast.unparse(node.value))
            if kind is not None and node.attr not in OF_PYTHON:
                used.add(f"{kind}.{node.attr}".lstrip("."))
    return used


USED = {name: file for file in VARIABLES for name in names_in(file)}


def test_the_names_are_really_found() -> None:
    found = {name.rpartition(".")[2] for name in USED}
    assert found >= {"create_network", "build_serialized_network", "parse", "set_shape"}
    assert found >= {"execute_async_v3", "set_tensor_address", "deserialize_cuda_engine"}
    assert found >= {"set_compute_capability", "STRONGLY_TYPED", "TF32", "WORKSPACE"}
    assert set(USED) >= ONLY_IN_RTX - {"CudaGraphStrategy"}


@pytest.mark.parametrize("name", sorted(USED))
def test_a_name_exists_in_every_release_or_is_asked_for_first(name: str) -> None:
    lacking = TABLE["lacking"].get(name, RELEASES)
    if name in ONLY_IN_RTX:
        assert f"rtx {RELEASES[-1].split()[1]}" not in lacking
    else:
        assert lacking == [], f"{name}, used in {USED[name]}"


@pytest.mark.parametrize("name", sorted(PROGRESS_OVERRIDES))
def test_the_progress_monitor_overrides_what_is_there(name: str) -> None:
    assert f"def {name}(" in (ROOM / "builder.py").read_text()
    assert TABLE["lacking"][f"IProgressMonitor.{name}"] == []


def test_tables_name_what_differs_between_releases() -> None:
    lacking = TABLE["lacking"]
    assert lacking["ComputeCapability.SM86"] == RTX_ONLY
    assert lacking["CudaGraphStrategy.WHOLE_GRAPH_CAPTURE"] == RTX_ONLY
    without_fp16 = ["11.0.0.114", "11.4.0.106", "rtx 1.7.1.116"]
    assert lacking["BuilderFlag.FP16"] == lacking["BuilderFlag.INT8"] == without_fp16
    assert lacking["NetworkDefinitionCreationFlag.STRONGLY_TYPED"] == []


def test_no_flag_of_precision_is_used() -> None:
    assert {name for name in USED if name.startswith("BuilderFlag.")} == {"BuilderFlag.TF32"}


def test_all_other_files_of_the_room_leave_tensorrt_alone() -> None:
    for path in ROOM.glob("*.py"):
        text = path.read_text()
        if path.name not in VARIABLES:
            assert ".module." not in text, path
        assert "import tensorrt\n" not in text, path


class TestInstalled:
    """The same against a module that is really here."""

    @pytest.fixture(params=["tensorrt", "tensorrt_rtx_bindings"])
    def module(self, request: pytest.FixtureRequest) -> Any:
        return pytest.importorskip(
            request.param, reason=f"needs {request.param}", exc_type=ImportError
        )

    def test_it_has_the_names(self, module: Any) -> None:
        rtx = "rtx" in module.__name__
        for name in set(USED) - (set() if rtx else ONLY_IN_RTX):
            thing = module
            for part in name.split("."):
                thing = getattr(thing, part)

    def test_the_table_says_the_same_of_it(self, module: Any) -> None:
        release = f"rtx {module.__version__}" if "rtx" in module.__name__ else module.__version__
        if release not in RELEASES:
            pytest.skip(f"{release} is not in the table")
        lacking = TABLE["lacking"]
        said = {name for name in lacking if release not in lacking[name]}
        assert set(tensorrt_names.names_of(module)) == said
