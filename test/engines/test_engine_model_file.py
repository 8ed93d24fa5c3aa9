"""Card and hash of an ONNX file without a library for ONNX, and without its graph."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import onnx
import pytest
from onnx import helper
from tiny_models import float_nchw, red_depth, tiny_card, with_card_text, without_card

from depth_estimation_ros.engines import MODELS_DIR
from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard
from depth_estimation_ros.engines.tensorrt.model_file import read_model_file
from depth_estimation_ros.errors import ModelError


def test_it_reads_what_onnx_reads() -> None:
    path = MODELS_DIR / "compact.onnx"
    (text,) = (entry.value for entry in onnx.load(path).metadata_props if entry.key == METADATA_KEY)
    model = read_model_file(path, "compact")
    assert model.card == ModelCard.from_json(text, "")
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.name == "compact"


def test_other_metadata_is_no_card(tmp_path: Path) -> None:
    path = red_depth(tmp_path / "tiny.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {"a": "", METADATA_KEY: tiny_card().to_json(), "": "b"})
    onnx.save(model, path)
    assert read_model_file(path).card == tiny_card()
    with pytest.raises(ModelError, match="has no card"):
        read_model_file(without_card(path))


def test_a_card_in_yaml_beside_the_file_counts(tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "tiny.onnx")
    path.with_suffix(".card.yaml").write_text(tiny_card().to_json())
    assert read_model_file(path).card == tiny_card()


def test_weights_beside_the_file_are_part_of_the_hash(tmp_path: Path) -> None:
    path = red_depth(tmp_path / "tiny.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    beside = tmp_path / "w.bin"
    both = path.read_bytes() + beside.read_bytes()
    assert read_model_file(path).sha256 == hashlib.sha256(both).hexdigest()


@pytest.mark.parametrize("contents", [b"", b"\x00", b"not ONNX", b"\xff" * 40, bytes(1000)])
def test_what_is_not_onnx_is_refused(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(contents)
    with pytest.raises(ModelError, match=r"tiny\.onnx"):
        read_model_file(path)


def test_a_file_cut_off_or_spoilt_never_crashes(tmp_path: Path) -> None:
    path = red_depth(tmp_path / "tiny.onnx")
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_model_file(path)
    chance = random.Random(0)
    refused = 0
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        path.write_bytes(spoilt)
        try:
            read_model_file(path)
        except ModelError:
            refused += 1
    assert refused > 30


def test_a_card_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="card is not JSON"):
        read_model_file(with_card_text(tmp_path / "tiny.onnx", "{"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: cannot be read \(No such file"):
        read_model_file(tmp_path / "none.onnx")
