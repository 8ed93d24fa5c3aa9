"""`python -m training finetune`: the command on recordings of a few frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from training_runs import changed, train, write_room

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.factory import MODELS_DIR
from training.__main__ import main
from training.config import load_config
from training.data.folder import RgbdFolder
from training.data.holdout import Scenes
from training.trainer.loaders import open_sets


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that learned one step, its recipe, its old data, and a recording of 40 frames."""
    root = tmp_path_factory.mktemp("finetune")
    write_room(root / "room")
    write_room(root / "recording", frames=40)
    run = train(root, "tiny", changed(optimizer={"steps": 4}))
    exported = ["export", "--checkpoint", run / "checkpoints" / "final.ckpt", "--out"]
    assert main([*map(str, exported), str(root / "tiny.onnx")]) == 0
    return root


def finetune(world: Path, *more: object) -> int:
    options = ["--model", world / "tiny.onnx", "--config", world / "tiny.yaml"]
    options += ["--replay", world, "--data", world / "recording", *more]
    return main(["finetune", *map(str, options)])


def test_recording_is_learned_and_the_file_explains_itself(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "robot.onnx"
    run = tmp_path / "run"
    options = ["--out", out, "--run-dir", run, "--steps", 100, "--share", 0.7]
    options += ["--option", "intrinsics=[60, 60, 39.5, 19.5]"]
    assert finetune(world, *options) == 0
    engine = open_engine(out)
    card = engine.card
    engine.close()
    assert card.name == "robot"
    assert card.training_data == ("room", "finetuned on recording")
    (after,) = (
        entry
        for entry in card.metrics
        if (entry["predictor"], entry["alignment"]) == ("model", "none")
    )
    assert (after["frames"], after["split"]) == (10, "last 25% of the recording")
    printed = capsys.readouterr().out
    before = float(next(line for line in printed.splitlines() if "before" in line).split("│")[2])
    assert after["delta1"] > before + 0.1
    assert f"{after['delta1']:.3f}" in printed
    data = load_config(run / "finetune.yaml").data
    assert (data.height, data.width) == (32, 64)
    weights = {Path(entry.path).name: entry.weight for entry in data.training}
    assert weights == {"recording": pytest.approx(0.7), "room": pytest.approx(0.3)}
    assert [len(samples) for samples in open_sets(data.training, run, validation=False)] == [28, 8]


def test_held_out_part_is_the_last_with_a_gap(world: Path, tmp_path: Path) -> None:
    samples = RgbdFolder(world / "recording")
    kept = Scenes(samples, 0.25, held_out=False, at_end=True)
    held_out = Scenes(samples, 0.25, held_out=True, at_end=True)
    assert held_out.indices == list(range(30, 40))
    assert kept.indices == list(range(28))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "{world}/room"], "found 8 image(s) with depth, expected 12 or more"),
        (["--model", str(MODELS_DIR / "nano_int8.onnx")], "which is int8"),
        (["--replay", "{world}/nowhere"], "holds no data set of the model's recipe"),
        (["--config", "{world}/none.yaml"], "the model 'tiny' has no recipe"),
        (["--holdout", "1"], "--holdout: found 1, expected a share"),
        (["--steps", "70"], "optimizer.steps: found 70, expected a multiple"),
    ],
    ids=["short", "int8", "no old data", "no recipe", "holdout", "steps"],
)
def test_what_cannot_work_is_refused(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    words = [word.format(world=world) for word in options]
    assert finetune(world, "--out", tmp_path / "x.onnx", "--run-dir", tmp_path / "run", *words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


def test_without_old_data_scenes_are_rendered(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.finetune.SCENES", 2)
    run = tmp_path / "run"
    options = ["--model", world / "tiny.onnx", "--config", world / "tiny.yaml", "--steps", 70]
    options += ["--data", world / "recording", "--out", tmp_path / "r.onnx", "--run-dir", run]
    assert main(["finetune", *map(str, options)]) == 1  # 70 steps are refused after that
    training = yaml.safe_load((run / "finetune.yaml").read_text())["data"]["training"]
    assert [Path(entry["path"]).name for entry in training] == ["recording", "scenes"]
    assert len(RgbdFolder(run / "scenes")) == 2
