"""The sidecar of an engine: read strictly, and whatever is in its place is an error in words."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from engine_cases import PLAN, SIDECAR, written

from depth_estimation_ros.engines.tensorrt import engine_file
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Sidecar,
    load_engine_file,
    read_sidecar,
    replace_file,
    sidecar_path,
)
from depth_estimation_ros.errors import EngineError

AHEAD_OF_TIME = dataclasses.replace(
    SIDECAR,
    flavour="tensorrt_rtx",
    gpu_name=None,
    cuda_version=None,
    compute_capabilities=("8.6", "12.0"),
)


def changed(**fields: Any) -> str:
    """A sidecar's JSON with fields set to something else, or, for None of ..., taken out."""
    values = json.loads(SIDECAR.to_json()) | fields
    return json.dumps({name: value for name, value in values.items() if value is not ...})


@pytest.mark.parametrize("sidecar", [SIDECAR, AHEAD_OF_TIME])
def test_what_is_written_is_read(sidecar: Sidecar) -> None:
    assert Sidecar.from_json(sidecar.to_json(), "x") == sidecar


def test_the_file_is_json_for_people(tmp_path: Path) -> None:
    engine = written(tmp_path / "tiny.engine")
    fields = json.loads(sidecar_path(engine).read_text())
    assert sidecar_path(engine).name == "tiny.engine.json"
    assert fields["precision"] == "fp16"
    assert fields["profile"]["largest"] == [4, 48, 64, 3]
    assert fields["card"]["name"] == "tiny"
    assert fields["compute_capabilities"] == ["8.7"]
    assert load_engine_file(engine) == (PLAN, SIDECAR)


WRONG = {
    "model": ["", 3],
    "card": ["tiny", {}, None],
    "onnx_sha256": ["abc", "A" * 64, 64],
    "precision": ["fp8", None, ["fp16"]],
    "profile": [
        [1, 48, 64, 3],
        {},
        {"smallest": [1, 48, 64, 3], "best": [1, 48, 64, 3], "largest": [4, 48, 64]},
        {"smallest": [2, 48, 64, 3], "best": [1, 48, 64, 3], "largest": [4, 48, 64, 3]},
        {"smallest": [1, 48, 64, 3], "best": [5, 48, 64, 3], "largest": [4, 48, 64, 3]},
        {"smallest": [1, -1, 64, 3], "best": [1, 48, 64, 3], "largest": [4, 48, 64, 3]},
    ],
    "flavour": ["TensorRT", "tensorrt_lean", None],
    "tensorrt_version": ["ten", 10.3, ""],
    "gpu_name": ["", 4],
    "compute_capabilities": [[], "8.7", [8.7], ["sm_87"], None],
    # Python refuses to read a number of more than 4300 digits.
    "cuda_version": ["12", 12.6, "9" * 5000 + ".0"],
    "settings": [None, {"workspace_mb": 0}, {"workspace_mb": "1 GB"}, {"fp16": True}],
    "plan_sha256": ["", None],
    "plan_bytes": [0, -1, 2.5, True],
    "built_by": [None, 1],
}


def test_wrong_values_are_listed_for_every_field() -> None:
    assert set(WRONG) == {field.name for field in dataclasses.fields(Sidecar)}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(EngineError, match=rf"x\.json: .*(field '{name}|card)") as error:
        Sidecar.from_json(changed(**{name: value}), "x.json")
    assert re.search("Build the engine again|Remove the field|Update depth", str(error.value))


@pytest.mark.parametrize("name", [name for name in WRONG if name != "built_by"])
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(EngineError, match=f"field '{name}': found nothing"):
        Sidecar.from_json(changed(**{name: ...}), "x.json")


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(EngineError, match=r"unknown field 'presicion'.*'precision'\?"):
        Sidecar.from_json(changed(presicion="fp16"), "x.json")


@pytest.mark.parametrize("version", [2, 0, "1", True, 1.0, None, ...])
def test_another_version_is_refused(version: Any) -> None:
    with pytest.raises(EngineError, match=r"'sidecar_version': .* expected 1.*Update depth"):
        Sidecar.from_json(changed(sidecar_version=version), "x.json")


def test_a_card_of_a_newer_release_is_an_engine_error() -> None:
    card = json.loads(SIDECAR.card.to_json()) | {"card_version": 99}
    with pytest.raises(EngineError, match=r"field 'card': field 'card_version'.*found 99"):
        Sidecar.from_json(changed(card=card), "x.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"engine"', "[" * 100_000, "\x00\x01"])
def test_what_is_no_sidecar_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match=r"x\.json: the sidecar is not"):
        Sidecar.from_json(text, "x.json")


def test_a_sidecar_cut_off_anywhere_never_crashes() -> None:
    text = SIDECAR.to_json()
    for length in range(len(text) - 2):
        with pytest.raises(EngineError):
            Sidecar.from_json(text[:length], "x.json")


def test_flipped_bytes_never_crash(tmp_path: Path) -> None:
    engine = written(tmp_path / "tiny.engine")
    path = sidecar_path(engine)
    whole = path.read_bytes()
    chance = random.Random(0)
    errors = []
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        path.write_bytes(spoilt)
        try:
            read_sidecar(engine)  # a changed name is as good as any other
        except EngineError as error:
            errors.append(str(error))
    assert len(errors) > 200
    assert all(str(path) in error for error in errors)


class TestEngineFile:
    def test_without_sidecar(self, tmp_path: Path) -> None:
        engine = tmp_path / "foreign.engine"
        engine.write_bytes(b"of trtexec")
        with pytest.raises(EngineError, match=r"foreign\.engine\.json.*build_engine --help"):
            load_engine_file(engine)

    def test_without_engine(self, tmp_path: Path) -> None:
        engine = written(tmp_path / "tiny.engine")
        engine.unlink()
        with pytest.raises(EngineError, match=r"tiny\.engine: the engine cannot be read"):
            load_engine_file(engine)

    @pytest.mark.parametrize("plan", [b"", PLAN[:-1], PLAN + b"x"])
    def test_of_another_length(self, tmp_path: Path, plan: bytes) -> None:
        engine = written(tmp_path / "tiny.engine")
        engine.write_bytes(plan)
        with pytest.raises(EngineError, match=f"found {len(plan)} bytes, expected {len(PLAN)}"):
            load_engine_file(engine)

    def test_with_a_flipped_bit(self, tmp_path: Path) -> None:
        engine = written(tmp_path / "tiny.engine")
        engine.write_bytes(PLAN[:-1] + bytes([PLAN[-1] ^ 1]))
        with pytest.raises(EngineError, match=r"found other contents.*Copy both files again"):
            load_engine_file(engine)

    def test_folders_in_their_places(self, tmp_path: Path) -> None:
        engine = tmp_path / "tiny.engine"
        sidecar_path(engine).mkdir()
        with pytest.raises(EngineError, match="sidecar cannot be read"):
            load_engine_file(engine)
        sidecar_path(engine).rmdir()
        sidecar_path(engine).write_text(SIDECAR.to_json())
        engine.mkdir()
        with pytest.raises(EngineError, match=r"found .* bytes|cannot be read"):
            load_engine_file(engine)

    def test_writing_replaces_the_pair_and_leaves_nothing_else(self, tmp_path: Path) -> None:
        engine = written(tmp_path / "folder" / "tiny.engine")
        newer = dataclasses.replace(
            SIDECAR, plan_sha256=engine_file.plan_sha256(b"newer"), plan_bytes=5
        )
        written(engine, newer, b"newer")
        assert load_engine_file(engine) == (b"newer", newer)
        names = sorted(path.name for path in engine.parent.iterdir())
        assert names == ["tiny.engine", "tiny.engine.json"]

    def test_a_full_disk_leaves_the_old_file_and_no_litter(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = written(tmp_path / "tiny.engine")

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(engine_file.os, "fsync", full)
        with pytest.raises(EngineError, match=r"No space left on device.*--out FILE"):
            replace_file(engine, bytes(2_000_000))
        monkeypatch.undo()
        assert load_engine_file(engine) == (PLAN, SIDECAR)
        assert len(list(tmp_path.iterdir())) == 2

    def test_a_place_that_cannot_be_written_to(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(EngineError, match="cannot be written"):
            replace_file(tmp_path / "file" / "tiny.engine", PLAN)
