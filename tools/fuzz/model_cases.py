"""Model files, cards and sidecars: spoiled bytes, and fields of any value."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from budget import Budget
from engine_cases import HERE, PLAN, SIDECAR, WANTED
from hypothesis import strategies as st
from noise import DOUBLES, spoiled
from tiny_models import affine_of_channel, constant_depth, float_nchw, red_depth, tiny_card

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.factory import EngineOptions
from depth_estimation_ros.engines.model_card import EXAMPLE_CARD, ModelCard
from depth_estimation_ros.engines.tensorrt.cache import cached_path, check_fits, find_engine
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Sidecar,
    load_engine_file,
    sidecar_path,
)
from depth_estimation_ros.engines.tensorrt.execution import RuntimeCache
from depth_estimation_ros.engines.tensorrt.make import read_model_file
from depth_estimation_ros.errors import EngineError, ModelError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator

VALUES: st.SearchStrategy[Any] = (
    st.sampled_from(
        [
            *(
                None,
                True,
                "",
                "m",
                "\ud800",
                "\0",
                "x" * 100_000,
                "9" * 5000 + ".0",
                "\uff11.\uff12",
            ),
            *(-1, 0, 1, 2**31, 10**400, -0.0, 3.5),
            *([], [[]], {}, {"a": [1, 2]}, [0.5] * 3, ["a"] * 1000),
        ]
    )
    | DOUBLES
)
DEEP = "[" * 100_000
_RUNNABLE = 256  # pixels on a side; larger networks are sound, but take their time
PICTURE = np.full((48, 64, 3), 128, np.uint8)


class Models:
    """The properties; files lie in a folder that is gone with the process.

    Args:
        budget: of the cases.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._keeper = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._folder = Path(self._keeper.name)
        files = [
            red_depth(self._folder / "a.onnx"),
            constant_depth(self._folder / "b.onnx"),
            affine_of_channel(self._folder / "c.onnx", 1.0, 0.0, 1, tiny_card(multiple_of=None)),
            float_nchw(self._folder / "d.onnx"),
        ]
        self._models = [file.read_bytes() for file in files]
        self._model = self._folder / "spoiled.onnx"
        self._card = self._folder / "spoiled.card.yaml"

    def onnx(self, data: st.DataObject) -> None:
        """A model opens and answers in its shape, or is refused with ModelError or EngineError."""
        self._model.write_bytes(data.draw(spoiled(data.draw(st.sampled_from(self._models)))))
        self._card.write_text(EXAMPLE_CARD)
        with self._budget.case():
            self._budget.refused_or(self._run, ModelError, EngineError, ParameterError)

    def cards(self, data: st.DataObject) -> None:
        """A card, in YAML or JSON, is read to the same card again, or refused with ModelError."""
        if data.draw(st.booleans()):
            self._card.write_bytes(self._yaml(data))
            text = None
        else:
            text = data.draw(_texts(json.loads(tiny_card().to_json())))
        with self._budget.case():
            card = self._budget.refused_or(lambda: self._read_card(text), ModelError)
        if isinstance(card, ModelCard):
            assert ModelCard.from_json(card.to_json(), "again") == card
            card.name.encode()

    def sidecars(self, data: st.DataObject) -> None:
        """Engine, sidecar and kernels: what is damaged is refused, and never reaches TensorRT."""
        text = data.draw(_texts(json.loads(SIDECAR.to_json())))
        plan = data.draw(st.just(PLAN) | spoiled(PLAN))
        path = cached_path(self._folder, WANTED)
        sidecar_path(path).write_bytes(text.encode(errors="surrogatepass"))
        path.write_bytes(plan)
        kernels, cache = _Kernels(), self._folder / "x.kernels"
        cache.unlink(missing_ok=True)
        with self._budget.case():
            loaded = self._budget.refused_or(lambda: load_engine_file(path), EngineError)
            if isinstance(loaded, tuple):
                assert loaded[0] == plan == PLAN
                self._budget.refused_or(
                    lambda: check_fits(path, loaded[1], HERE, WANTED), EngineError
                )
                again = Sidecar.from_json(loaded[1].to_json(), "again")
                assert again == loaded[1]
            found = find_engine(self._folder, WANTED, HERE)
            assert found is None or found.plan == PLAN
            RuntimeCache(kernels, cache).save()
            cache.write_bytes(data.draw(spoiled(cache.read_bytes())))
            RuntimeCache(kernels, cache)
        assert kernels.taken in ([], [_Kernels.BLOB])

    def _read_card(self, text: str | None) -> ModelCard:
        if text is None:
            return ModelCard.from_yaml_file(self._card)
        return ModelCard.from_json(text, "the card")

    def _run(self) -> object:
        engine = open_engine(self._model, EngineOptions(backend="onnxruntime", threads=1))
        try:
            read_model_file(self._model)
            if max(engine.card.input.height, engine.card.input.width) > _RUNNABLE:
                return None
            pipeline = DepthEstimator(engine)
            pipeline.warm_up()
            depth = pipeline.run(PICTURE, None).depth
            assert depth.shape == (48, 64)
            assert depth.dtype == np.float32
        finally:
            engine.close()
        return depth

    def _yaml(self, data: st.DataObject) -> bytes:
        how = data.draw(st.integers(0, 3))
        if how == 0:
            return data.draw(spoiled(EXAMPLE_CARD.encode(), most=8))
        if how == 1:
            aliases = "".join(
                f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
            )
            odd = ["a: &a [*a]", DEEP, "2026-99-99", "? [a]\n: b", "9" * 5000, "x: !!binary é"]
            return data.draw(st.sampled_from(["a0: &a0 [x]\n" + aliases, *odd])).encode()
        fields = yaml.safe_load(EXAMPLE_CARD)
        _spoil_fields(data.draw, fields)
        text = yaml.safe_dump(fields, allow_unicode=True)
        return text.encode(errors="surrogatepass")


class _Kernels:
    """TensorRT-RTX's configuration and cache in one; remembers what it was given."""

    BLOB = bytes(range(64))

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def create_runtime_cache(self) -> _Kernels:
        return self

    def set_runtime_cache(self, cache: _Kernels) -> bool:
        return cache is self

    def serialize(self) -> bytes:
        return self.BLOB

    def deserialize(self, blob: bytes) -> bool:
        self.taken.append(blob)
        return True


@st.composite
def _texts(draw: st.DrawFn, fields: dict[str, Any]) -> str:
    """JSON of an object with some fields spoiled, or its spoiled text."""
    how = draw(st.integers(0, 5))
    if how == 0:
        return draw(st.sampled_from(["", "null", DEEP, '{"a":' * 50_000, "NaN", "9" * 5000]))
    if how == 1:
        content = draw(spoiled(json.dumps(fields).encode(), most=6))
        return content.decode(errors="replace")
    fields = json.loads(json.dumps(fields))
    _spoil_fields(draw, fields)
    return json.dumps(fields)


def _spoil_fields(draw: Any, fields: dict[str, Any]) -> None:
    """Up to three fields, in whatever object, get any value, go, or get another name."""
    for _ in range(draw(st.integers(0, 3))):
        inside = fields
        while True:
            if not inside:
                break
            name = draw(st.sampled_from(sorted(inside)))
            if isinstance(inside[name], dict) and draw(st.booleans()):
                inside = inside[name]
                continue
            what = draw(st.integers(0, 5))
            if what == 0:
                del inside[name]
            elif what == 1:
                inside[draw(st.sampled_from(["x", "\ud800", "y" * 50_000, "Height"]))] = 1
            else:
                # A copy: the same object may be drawn again, and must not end up in itself.
                inside[name] = copy.deepcopy(draw(VALUES))
            break
