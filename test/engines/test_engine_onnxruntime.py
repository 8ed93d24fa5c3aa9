"""Opening and running ONNX files: numbers, shapes, and what each unusable file is called."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_models import (
    constant_depth,
    float_card,
    float_nchw,
    red_depth,
    slow_depth,
    tiny_card,
    with_card_text,
    with_card_version,
    without_card,
)

from depth_estimation_ros import engines
from depth_estimation_ros.engines import (
    EngineOptions,
    bundled_models,
    open_engine,
    resolve_model,
)
from depth_estimation_ros.engines.model_card import EXAMPLE_CARD
from depth_estimation_ros.errors import EngineError, ModelError


def error_of(model: Path, kind: type[Exception] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        open_engine(model)
    return str(caught.value)


# --- numbers -------------------------------------------------------------------------------------


def test_depth_follows_the_red_channel_of_every_pixel(tmp_path: Path) -> None:
    engine = open_engine(red_depth(tmp_path / "red.onnx"))
    batch = np.zeros((1, 48, 64, 3), np.uint8)
    batch[..., 0] = np.arange(48 * 64).reshape(48, 64) % 256
    batch[..., 1:] = 77
    depth = engine.infer(batch)
    assert (depth.shape, depth.dtype) == ((1, 48, 64), np.float32)
    np.testing.assert_allclose(depth, 1.0 + 8.0 * batch[..., 0] / 255.0, rtol=1e-6)


def test_a_channel_axis_of_one_is_taken_off(tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "other.onnx", channel=1)
    (tmp_path / "other.card.yaml").write_text(float_card())
    batch = np.zeros((1, 3, 48, 64), np.float32)
    batch[0, 1, 5, 7] = 2.5
    depth = open_engine(path).infer(batch)
    assert depth.shape == (1, 48, 64)
    assert (depth[0, 5, 7], depth[0, 0, 0]) == (7.5, 5.0)


def test_the_card_inside_wins_over_one_beside(tmp_path: Path) -> None:
    path = constant_depth(tmp_path / "a.onnx")
    (tmp_path / "a.card.yaml").write_text(EXAMPLE_CARD)
    assert open_engine(path).card == tiny_card()


def test_the_description_names_model_library_and_device(tmp_path: Path) -> None:
    import onnxruntime

    engine = open_engine(constant_depth(tmp_path / "a.onnx"))
    assert engine.description == f"tiny 1 on ONNX Runtime {onnxruntime.__version__} (CPU)"


def test_results_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    path = red_depth(tmp_path / "red.onnx")
    batch = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 48, 64, 3)
    one, two = (
        open_engine(path, EngineOptions(threads=threads)).infer(batch) for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_the_slow_network_takes_about_the_time_asked_for(tmp_path: Path) -> None:
    engine = open_engine(
        slow_depth(tmp_path / "slow.onnx", milliseconds=60.0), EngineOptions(threads=1)
    )
    batch = np.zeros((1, 48, 64, 3), np.uint8)
    start = time.perf_counter()
    np.testing.assert_array_equal(engine.infer(batch), 2.0)
    assert 0.02 < time.perf_counter() - start < 10.0


# --- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (np.zeros((48, 64, 3), np.uint8), "(N, multiples of 8, 3) uint8"),
        (np.zeros((1, 48, 64, 4), np.uint8), "(N, multiples of 8, 3) uint8"),
        (np.zeros((1, 48, 60, 3), np.uint8), "(N, multiples of 8, 3) uint8"),
        (np.zeros((1, 0, 64, 3), np.uint8), "(N, multiples of 8, 3) uint8"),
        (np.zeros((1, 48, 64, 3), np.float32), "(N, multiples of 8, 3) uint8"),
    ],
)
def test_a_wrong_batch_is_refused_with_the_right_shape(
    tmp_path: Path, batch: np.ndarray, expected: str
) -> None:
    engine = open_engine(constant_depth(tmp_path / "a.onnx"))
    with pytest.raises(EngineError) as caught:
        engine.infer(batch)
    assert f"found {batch.shape} {batch.dtype}, expected {expected}" in str(caught.value)


# --- files that cannot be used -------------------------------------------------------------------


def test_a_missing_file_says_where_it_was_looked_for_and_what_is_bundled(tmp_path: Path) -> None:
    message = error_of(tmp_path / "none.onnx")
    assert message.startswith(f"model '{tmp_path}/none.onnx': found no such file (looked for ")
    assert "expected the path of an .onnx or .engine file or a bundled model: " in message


def test_a_name_that_is_not_bundled_says_which_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.factory, "MODELS_DIR", tmp_path)
    constant_depth(tmp_path / "compact.onnx")
    constant_depth(tmp_path / "large.onnx")
    assert bundled_models() == ["compact", "large"]
    assert resolve_model("compact") == tmp_path / "compact.onnx"
    message = error_of(Path("compcat"))
    assert f"looked for {tmp_path}/compcat.onnx and {Path.cwd()}/compcat" in message
    assert "a bundled model: compact, large" in message


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    assert f"model '{tmp_path}': found a folder" in error_of(tmp_path)


def test_the_home_folder_may_be_written_as_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = constant_depth(tmp_path / "a.onnx")
    assert resolve_model("~/a.onnx") == path


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x0a" * 4096])
def test_a_file_that_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    assert error_of(path).startswith(f"{path}: ONNX Runtime cannot load this file")


def test_half_a_file_is_not_onnx(tmp_path: Path) -> None:
    path = constant_depth(tmp_path / "a.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "ONNX Runtime cannot load this file" in error_of(path)


def test_a_network_without_a_card_says_how_to_write_one(tmp_path: Path) -> None:
    message = error_of(without_card(tmp_path / "a.onnx"))
    assert f"{tmp_path}/a.onnx: the model has no card" in message
    assert f"Write {tmp_path}/a.card.yaml like this one" in message
    assert message.endswith(EXAMPLE_CARD)


def test_following_that_advice_works(tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "a.onnx", height=240, width=320)
    example = error_of(path).split("values:\n")[1]
    (tmp_path / "a.card.yaml").write_text(example)
    assert open_engine(path).card.name == "my-network"


def test_a_card_of_an_unknown_version(tmp_path: Path) -> None:
    path = with_card_version(tmp_path / "a.onnx", 99)
    assert error_of(path).startswith(f"{path}: field 'card_version': found 99, expected 1")


def test_a_card_that_is_not_json(tmp_path: Path) -> None:
    path = with_card_text(tmp_path / "a.onnx", "{")
    assert error_of(path).startswith(f"{path}: the model card is not JSON")


# --- ONNX Runtime itself -------------------------------------------------------------------------


@pytest.mark.parametrize("providers", [["NoSuchExecutionProvider"], []])
def test_a_provider_that_is_not_available(tmp_path: Path, providers: list[str]) -> None:
    path = constant_depth(tmp_path / "a.onnx")
    with pytest.raises(EngineError) as caught:
        open_engine(path, EngineOptions(providers=providers))
    assert f"found {', '.join(providers) or 'none'}, expected some of those" in str(caught.value)
    assert "CPUExecutionProvider" in str(caught.value)


def test_without_onnxruntime_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = error_of(constant_depth(tmp_path / "a.onnx"), EngineError)
    assert message.endswith("Run: pip install onnxruntime")


def test_an_engine_needs_no_torch_and_no_onnx(tmp_path: Path) -> None:
    path = constant_depth(tmp_path / "a.onnx")
    code = (
        "import sys\n"
        "from depth_estimation_ros.engines import open_engine\n"
        f"open_engine({str(path)!r})\n"
        "print([name for name in ('torch', 'timm', 'onnx', 'training') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        check=True,
    )
    assert result.stdout.strip() == "[]"


def test_every_part_of_the_card_reaches_the_engine(tmp_path: Path) -> None:
    card = dataclasses.replace(tiny_card(canonical_focal_px=300.0), metrics=({"abs_rel": 0.1},))
    assert open_engine(constant_depth(tmp_path / "a.onnx", card=card)).card == card
