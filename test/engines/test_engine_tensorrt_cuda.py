"""The GPU's side of a TensorRT engine, as far as it can be told without a GPU: what is said when
pycuda, the driver or CUDA graphs are missing, the names that are called, and the shapes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import cuda_names
import pytest

from depth_estimation_ros.engines import tensorrt
from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.engines.tensorrt import cuda, graph
from depth_estimation_ros.engines.tensorrt.profile import (
    Profile,
    check_shape,
    input_of_engine,
    nbytes,
)
from depth_estimation_ros.errors import EngineError, GpuLostError

ROOM = Path(tensorrt.__file__).parent
REPOSITORY = Path(__file__).resolve().parents[2]

# What pycuda 2026.1, built against CUDA 13, says on a machine without NVIDIA's driver.
NO_DRIVER = "libcuda.so.1: cannot open shared object file: No such file or directory"

BATCHES = Profile((1, 48, 64, 3), (1, 48, 64, 3), (4, 48, 64, 3))
SIZES = Profile((1, 3, 32, 64), (1, 3, 48, 64), (1, 3, 64, 64))


def names_called_on(module: str, variables: set[str]) -> set[str]:
    """The attributes that a file of the room takes of these variables."""
    tree = ast.parse((ROOM / module).read_text())
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in variables
    }


# --- what is missing ------------------------------------------------------------------------------


def test_without_pycuda_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(EngineError) as caught:
        cuda.Gpu(0)
    assert str(caught.value).startswith("pycuda cannot be imported (")
    assert "pip install pycuda" in str(caught.value)


def test_without_the_driver_the_error_speaks_of_the_driver_not_of_pycuda(tmp_path: Path) -> None:
    package = tmp_path / "pycuda"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "driver.py").write_text(f"raise ImportError({NO_DRIVER!r})\n")
    code = (
        "from depth_estimation_ros.engines.tensorrt.cuda import Gpu\n"
        "from depth_estimation_ros.errors import EngineError\n"
        "try:\n    Gpu(0)\nexcept EngineError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"NVIDIA's driver is missing ({NO_DRIVER}). Install the driver")
    assert "nvidia-smi" in done.stdout
    assert "pip install pycuda" not in done.stdout


def test_without_cuda_bindings_a_graph_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(EngineError, match="pip install 'cuda-bindings<13'"):
        graph.capture(0, lambda: None)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("cuMemcpyDtoHAsync failed: an illegal memory access was encountered", GpuLostError),
        ("cuEventSynchronize failed: unspecified launch failure", GpuLostError),
        ("cuMemAlloc failed: out of memory", EngineError),
    ],
)
def test_errors_that_outlive_the_context_are_told_apart(said: str, kind: type) -> None:
    error = cuda._failed("running the network", "Orin", RuntimeError(said))
    assert type(error) is kind
    assert said in str(error)


def test_the_runtime_imports_none_of_it_until_that_backend_is_chosen() -> None:
    code = (
        "import sys\n"
        "import depth_estimation_ros.engines, depth_estimation_ros.estimation\n"
        "import depth_estimation_ros.engines.tensorrt.cuda\n"
        "import depth_estimation_ros.engines.tensorrt.graph\n"
        "gpu = ('pycuda', 'cuda', 'tensorrt', 'tensorrt_rtx')\n"
        "print([name for name in gpu if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# --- names that exist -----------------------------------------------------------------------------


def test_every_name_taken_of_pycuda_exists_there() -> None:
    used = names_called_on("cuda.py", {"driver", "self._driver"})
    assert used <= cuda_names.PYCUDA_DRIVER
    assert {"pagelocked_empty", "mem_alloc", "memcpy_htod_async", "Context", "Stream"} <= used


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("device", "Device"),
        ("driver.Device", "Device"),
        ("self._context", "Context"),
        ("self._driver.Context", "Context"),
        ("self._stream", "Stream"),
        ("self._done", "Event"),
        ("self._driver.event_flags", "event_flags"),
        ("memory", "DeviceAllocation"),
        ("array.base", "PagelockedHostAllocation"),
    ],
)
def test_every_member_used_of_pycudas_objects_exists_there(variable: str, kind: str) -> None:
    used = names_called_on("cuda.py", {variable})
    assert used
    assert used <= cuda_names.PYCUDA_MEMBERS[kind]


def test_autoinit_is_never_imported() -> None:
    texts = {path.name: path.read_text() for path in ROOM.glob("*.py")}
    assert [name for name, text in texts.items() if "import pycuda.autoinit" in text] == []


def test_every_name_taken_of_cuda_bindings_exists_there() -> None:
    used = names_called_on("graph.py", {"driver", "self._driver"})
    assert used == cuda_names.CUDA_BINDINGS_DRIVER


def test_the_tables_are_those_of_the_modules_installed_here() -> None:
    driver = pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    missing = [name for name in cuda_names.CUDA_BINDINGS_DRIVER if not hasattr(driver, name)]
    assert missing == []


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "shape", "taken"),
    [
        (BATCHES, (1, 48, 64, 3), True),
        (BATCHES, (4, 48, 64, 3), True),
        (BATCHES, (5, 48, 64, 3), False),
        (BATCHES, (0, 48, 64, 3), False),
        (BATCHES, (1, 48, 72, 3), False),
        (BATCHES, (48, 64, 3), False),
        (SIZES, (1, 3, 56, 64), True),
        (SIZES, (1, 3, 72, 64), False),
        (SIZES, (2, 3, 48, 64), False),
    ],
)
def test_an_engine_takes_what_lies_between_its_smallest_and_largest(
    profile: Profile, shape: tuple[int, ...], taken: bool
) -> None:
    assert profile.takes(shape) is taken


def test_a_shape_it_was_not_built_for_is_refused_with_those_it_was() -> None:
    check_shape(BATCHES, (3, 48, 64, 3), "a.engine")
    with pytest.raises(EngineError) as caught:
        check_shape(BATCHES, (5, 48, 64, 3), "a.engine")
    assert str(caught.value).startswith(
        "a.engine: the input given to the engine: found (5, 48, 64, 3), "
        "expected (1...4, 48, 64, 3), as it was built"
    )


def test_a_free_network_in_an_engine_of_one_size_has_that_size() -> None:
    spec = InputSpec(240, 320, "rgb", "uint8", "NHWC", multiple_of=8)
    assert input_of_engine(spec, BATCHES) == InputSpec(48, 64, "rgb", "uint8", "NHWC", None)


def test_an_engine_for_a_range_of_sizes_stays_free_around_the_one_it_is_fastest_at() -> None:
    spec = InputSpec(240, 320, "rgb", "uint8", "NCHW", multiple_of=8)
    assert input_of_engine(spec, SIZES) == InputSpec(48, 64, "rgb", "uint8", "NCHW", 8)


def test_bytes_of_a_batch_of_pictures_and_of_their_depth() -> None:
    assert nbytes((2, 480, 640, 3), 1) == 1_843_200
    assert nbytes((2, 480, 640), 4) == 2_457_600
