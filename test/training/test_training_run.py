"""A whole run in small: train, resume, export, and the file measured through the runtime."""

import csv
import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from training_runs import write_room

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.errors import DepthEstimationError
from training.__main__ import main
from training.checkpoint import load_checkpoint
from training.config import load_config
from training.export import round_weights

CONFIG = {
    "name": "tiny",
    "seed": 3,
    "network": {
        "name": "timm_unet",
        "encoder": "efficientnet_lite0",
        "widths": [16, 16, 8, 8, 8],
        "min_depth": 0.1,
        "max_depth": 100.0,
        "scale": "log",
    },
    "encoder_weights": "none",
    "loss": {"name": "log_depth", "max_depth": 100.0},
    "data": {
        "height": 32,
        "width": 64,
        "canonical_focal_px": 50.0,
        "training": [{"path": "room", "weight": 1.0}],
        "validation": [{"path": "room"}],
        "augmentation": {"zoom": 1.2, "roll_deg": 2, "stretch": 0.0, "flip": 0.5, "color": 0.2},
    },
    "optimizer": {
        "steps": 24,
        "batch_size": 4,
        "lr": 3e-3,
        "encoder_lr": 3e-3,
        "weight_decay": 0.0,
        "warmup_steps": 2,
        "gradient_clip": 1.0,
        "ema_decay": 0.5,
    },
    "trainer": {"precision": "32-true", "workers": 0, "validate_every": 12},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    write_room(root / "room")
    (root / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    arguments = ["--config", root / "tiny.yaml", "--data", root, "--out", root / "out"]
    assert main(["train", *map(str, arguments)]) == 0
    checkpoint = root / "out" / "checkpoints" / "final.ckpt"
    model = root / "tiny.onnx"
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(model)]) == 0
    return root


def test_the_loss_falls(run):
    rows = list(csv.DictReader((run / "out/curve/version_0/metrics.csv").open()))
    losses = [float(row["train/loss"]) for row in rows if row.get("train/loss")]
    validations = [row for row in rows if row.get("val/abs_rel")]
    assert [int(row["step"]) for row in validations] == [11, 23]
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])


def test_a_run_goes_on_where_it_stopped(run, tmp_path):
    shutil.copytree(run / "out", tmp_path / "out")
    longer = {**CONFIG, "optimizer": {**CONFIG["optimizer"], "steps": 36}}
    (tmp_path / "longer.yaml").write_text(yaml.safe_dump(longer))
    arguments = ["--config", tmp_path / "longer.yaml", "--data", run, "--out", tmp_path / "out"]
    assert main(["train", *map(str, arguments), "--resume"]) == 0
    for name in ("last.ckpt", "final.ckpt"):
        saved = torch.load(tmp_path / "out" / "checkpoints" / name, weights_only=True)
        assert saved["global_step"] == 36


def test_the_final_weights_are_the_averaged_ones_with_their_own_batch_statistics(run):
    folder = run / "out" / "checkpoints"
    last = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    final = torch.load(folder / "final.ckpt", weights_only=True)["state_dict"]
    assert final.keys() == last.keys()
    changed = {name for name, value in final.items() if not torch.equal(value, last[name])}
    assert changed
    assert all("running_" in name or "num_batches" in name for name in changed)


@pytest.mark.parametrize("shape", [(1, 32, 64), (3, 64, 32)])
def test_the_exported_file_equals_torch(run, shape):
    _, network = load_checkpoint(run / "out" / "checkpoints" / "final.ckpt")
    round_weights(network)
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    session = onnxruntime.InferenceSession(run / "tiny.onnx", providers=["CPUExecutionProvider"])
    (depth,) = session.run(None, {"image": image})
    with torch.no_grad():
        expected = network(torch.from_numpy(image).permute(0, 3, 1, 2) / 255.0).numpy()
    np.testing.assert_allclose(depth, expected, rtol=1e-4, atol=1e-4)


def test_rounding_to_half_moves_depth_by_less_than_a_percent(run):
    _, network = load_checkpoint(run / "out" / "checkpoints" / "final.ckpt")
    image = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        exact = network(image)
        round_weights(network)
        torch.testing.assert_close(network(image), exact, rtol=1e-2, atol=0.0)


def test_the_file_carries_its_card(run):
    engine = open_engine(run / "tiny.onnx")
    card = engine.card
    engine.close()
    assert (card.name, card.encoder, card.licence) == ("tiny", "efficientnet_lite0", "MIT")
    assert (card.input.height, card.input.width, card.input.multiple_of) == (32, 64, 32)
    assert (card.output.kind, card.output.unit) == ("metric_depth", "m")
    assert (card.output.min_depth, card.output.max_depth) == (0.1, 80.0)
    assert card.canonical_focal_px == 50.0
    assert card.training_data == ("room",)


def test_evaluation_writes_entries_for_a_card(run, capsys):
    report = run / "metrics.json"
    arguments = ["--model", run / "tiny.onnx", "--data", run / "room", "--json", report]
    arguments += ["--split", "training"]
    assert main(["evaluate", *map(str, arguments)]) == 0
    assert "data set's median" in capsys.readouterr().out
    entries = {(e["predictor"], e["alignment"]): e for e in json.loads(report.read_text())}
    assert len(entries) == 4
    # Each frame is one flat wall: its own median is the whole truth.
    assert entries["frame's median", "median"]["abs_rel"] == 0.0
    assert entries["data set's median", "none"]["abs_rel"] > 0.1
    assert entries["model", "median"]["frames"] == 8
    assert {entry["split"] for entry in entries.values()} == {"training"}
    checkpoint, out = run / "out" / "checkpoints" / "final.ckpt", run / "measured.onnx"
    arguments = ["--checkpoint", checkpoint, "--out", out, "--metrics", report, report]
    assert main(["export", *map(str, arguments)]) == 0
    engine = open_engine(out)
    assert len(engine.card.metrics) == 8
    engine.close()


def test_config_errors_name_the_key(tmp_path):
    def refused(changed, message):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({**CONFIG, **changed}))
        with pytest.raises(DepthEstimationError, match=message):
            load_config(tmp_path / "c.yaml")

    refused({"optimiser": {}}, r"c\.yaml: unknown field .optimiser.*Did you mean .optimizer")
    refused({"data": {"height": 3}}, r"field .data.width.: found nothing")
    refused({"seed": "seven"}, r"seed.: found .seven., expected a whole number")
    refused(
        {"optimizer": {**CONFIG["optimizer"], "lr": "1e-3"}},
        r"optimizer.lr.: .*YAML reads 1e-3 as a text",
    )
    refused({"optimizer": {**CONFIG["optimizer"], "steps": 25}}, r"multiple of .*validate_every")
    refused({"loss": "silog"}, r"'loss': found 'silog', expected a name and its options")
    (tmp_path / "c.yaml").write_text("name: [")
    with pytest.raises(DepthEstimationError, match="is not YAML"):
        load_config(tmp_path / "c.yaml")
    with pytest.raises(DepthEstimationError, match="no training config"):
        load_config(tmp_path / "none.yaml")


def test_whole_numbers_pass_for_decimal_ones(tmp_path):
    data = {**CONFIG["data"], "canonical_focal_px": 220}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**CONFIG, "data": data}))
    assert load_config(tmp_path / "c.yaml").data.canonical_focal_px == 220


def test_a_card_that_the_runtime_would_refuse_is_not_written(run, tmp_path, capsys):
    checkpoint = torch.load(run / "out" / "checkpoints" / "final.ckpt", weights_only=True)
    checkpoint["hyper_parameters"]["config"]["data"]["height"] = 40
    torch.save(checkpoint, tmp_path / "odd.ckpt")
    out = tmp_path / "odd.onnx"
    assert main(["export", "--checkpoint", str(tmp_path / "odd.ckpt"), "--out", str(out)]) == 1
    assert "input.height" in capsys.readouterr().err
    assert not out.exists()


def test_commands_end_with_a_message_not_a_traceback(tmp_path, capsys):
    missing = str(tmp_path / "none.ckpt")
    assert main(["export", "--checkpoint", missing, "--out", str(tmp_path / "m.onnx")]) == 1
    assert "error: no checkpoint" in capsys.readouterr().err


def test_a_run_starts_from_the_weights_of_another_and_leaves_frozen_parts_alone(run, tmp_path):
    frozen = ["encoder.conv_stem", "encoder.bn1"]
    longer = {**CONFIG, "optimizer": {**CONFIG["optimizer"], "frozen": frozen}}
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(longer))
    first = run / "out" / "checkpoints" / "final.ckpt"
    words = ["--config", tmp_path / "second.yaml", "--data", run, "--out", tmp_path / "out"]
    assert main(["train", *map(str, words), "--start-from", str(first)]) == 0
    (_, before), (_, after) = (
        load_checkpoint(path) for path in (first, tmp_path / "out/checkpoints/final.ckpt")
    )
    after = after.state_dict()
    for name, value in before.state_dict().items():
        if name.startswith(tuple(frozen)) and not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    assert not torch.equal(after["head.conv.weight"], before.state_dict()["head.conv.weight"])


def test_a_frozen_part_that_the_network_does_not_have_is_named(run, tmp_path, capsys):
    config = {**CONFIG, "optimizer": {**CONFIG["optimizer"], "frozen": ["encoder.stem"]}}
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", tmp_path / "odd.yaml", "--data", run, "--out", tmp_path / "out"]
    assert main(["train", *map(str, words)]) == 1
    assert "optimizer.frozen: found encoder.stem, expected one of" in capsys.readouterr().err


def test_weights_of_another_network_are_no_start(run, tmp_path, capsys):
    network = {**CONFIG["network"], "widths": [8, 8, 8, 8, 8]}
    (tmp_path / "wide.yaml").write_text(yaml.safe_dump({**CONFIG, "network": network}))
    first = run / "out" / "checkpoints" / "final.ckpt"
    words = ["--config", tmp_path / "wide.yaml", "--data", run, "--out", tmp_path / "out"]
    assert main(["train", *map(str, words), "--start-from", str(first)]) == 1
    assert "is of another network than the configuration" in capsys.readouterr().err


def test_a_smaller_network_takes_over_the_encoder_as_far_as_it_goes(run, tmp_path, capsys):
    small = {**CONFIG["network"], "widths": [8, 8, 8], "stages": 4}
    config = {**CONFIG, "network": small, "optimizer": {**CONFIG["optimizer"], "lr": 0.0}}
    config["optimizer"]["encoder_lr"] = 0.0  # so that what was loaded is still there at the end
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
    first = run / "out" / "checkpoints" / "final.ckpt"
    words = ["--config", tmp_path / "small.yaml", "--data", run, "--out", tmp_path / "out"]
    assert main(["train", *map(str, words), "--encoder-from", str(first)]) == 0
    (_, whole), (_, part) = (
        load_checkpoint(path) for path in (first, tmp_path / "out/checkpoints/final.ckpt")
    )
    weights = dict(part.encoder.named_parameters())
    assert "blocks.6.0.conv_pw.weight" not in weights
    for name, value in whole.encoder.named_parameters():
        if name in weights:
            torch.testing.assert_close(weights[name], value, rtol=0, atol=0)
    back = ["--config", run / "tiny.yaml", "--data", run, "--out", tmp_path / "back"]
    smaller = str(tmp_path / "out/checkpoints/final.ckpt")
    assert main(["train", *map(str, back), "--encoder-from", smaller]) == 1
    assert "has another encoder than the configuration" in capsys.readouterr().err
