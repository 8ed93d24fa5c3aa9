"""A run is watched: its folder, its images, and when it stops."""

import json

import cv2
import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import CONFIG, arguments, changed, curve, train, write_room

from training.__main__ import main
from training.config import load_config, parse_config
from training.module import LOGGED_METRICS, DepthModule, make_optimizer, rate_factor

# Spares the last pass of a run, which measures batch normalisation.
FROZEN = {"batch_norm": "frozen"}
SHORT = changed(optimizer={"steps": 4}, trainer={**FROZEN, "validate_every": 2})


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    root = tmp_path_factory.mktemp("watch")
    write_room(root / "room")
    return root


@pytest.fixture(scope="module")
def short(room):
    return train(room, "short", SHORT)


def test_the_folder_tells_how_the_run_was_made(short):
    assert load_config(short / "config.yaml") == parse_config(SHORT, "short")
    (start,) = json.loads((short / "starts.json").read_text())
    assert start["from_step"] == 0
    assert start["processes"] == 1
    assert start["versions"]["torch"] == torch.__version__
    assert start["command"]


def test_tensorboard_has_images_of_predictions(short):
    (folder,) = (short / "tensorboard").iterdir()
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    assert [event.step for event in events.Images("validation")] == [2, 4]
    data = np.frombuffer(events.Images("validation")[0].encoded_image_string, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image.shape[1] > 4 * 300  # camera, depth, truth, error
    assert len(events.Scalars("val/abs_rel")) == 2


def test_a_folder_that_holds_a_run_is_not_overwritten(room, short, capsys):
    before = (short / "checkpoints" / "last.ckpt").read_bytes()
    assert main(arguments(room, "short", SHORT)) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert (short / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(room, monkeypatch, capsys):
    whole_step = DepthModule.training_step

    def broken_step(module, *batch):
        loss = whole_step(module, *batch)
        if module.global_step == 3:
            module.step_loss = torch.tensor(float("nan"))
        return loss

    monkeypatch.setattr(DepthModule, "training_step", broken_step)
    assert main(arguments(room, "broken", changed(trainer={"validate_every": 2}))) == 1
    error = capsys.readouterr().err
    assert "the loss is no finite number from step 3 on. Try a lower optimizer.lr" in error
    assert "Traceback" not in error
    saved = torch.load(room / "broken" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2


@pytest.mark.parametrize(("monitor", "best"), [("delta1", 2), ("abs_rel", 1)])
def test_a_run_stops_early_and_ends_with_its_best_weights(room, monkeypatch, monitor, best):
    values = [0.9, 0.3, 0.6, 0.5, 0.4, 0.7]  # the first before any step
    script = iter(values)
    monkeypatch.setattr(
        "training.module.mean_metrics", lambda _: dict.fromkeys(LOGGED_METRICS, next(script))
    )
    watched = {"validate_every": 1, "early_stopping": 2, "monitor": monitor}
    run = train(room, f"early_{monitor}", changed(trainer={**FROZEN, **watched}))
    np.testing.assert_allclose(curve(run, f"val/{monitor}"), values[1 : best + 3])
    for name in ("best", "final"):
        saved = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert saved["global_step"] == best


def test_a_broken_image_is_named_without_a_traceback(room, capsys):
    write_room(room / "damaged")
    (room / "damaged" / "00003.png").write_bytes(b"no image")
    config = changed(data={"training": [{"path": "damaged"}]}, trainer={"workers": 1})
    assert main(arguments(room, "damaged_run", config)) == 1
    error = capsys.readouterr().err
    assert "00003.png" in error
    assert "Traceback" not in error
    assert error.count("error: ") == 1


def test_validation_without_metric_depth_is_an_error(room, capsys):
    write_room(room / "unknown_camera")
    (room / "unknown_camera" / "info.json").write_text('{"intrinsics_px": null}')
    data = {"canonical_focal_px": 50.0, "validation": [{"path": "unknown_camera"}]}
    assert main(arguments(room, "no_scale", changed(data=data))) == 1
    assert "no frame with metric depth" in capsys.readouterr().err


def test_rates_rise_then_fall_to_nothing():
    values = {"steps": 12, "warmup_steps": 4}
    cosine, linear = (
        parse_config(changed(optimizer={**values, "schedule": name}), "c").optimizer
        for name in ("cosine", "linear")
    )
    assert [rate_factor(step, cosine) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [rate_factor(step, linear) for step in (4, 8, 10, 12)] == [1.0, 0.5, 0.25, 0.0]
    assert rate_factor(6, cosine) == pytest.approx((1.0 + np.sqrt(0.5)) / 2.0)
    assert rate_factor(8, cosine) == pytest.approx(0.5)
    assert rate_factor(12, cosine) == pytest.approx(0.0)


def test_the_optimiser_is_the_one_named():
    network = DepthModule(parse_config(CONFIG, "c")).network
    config = changed(optimizer={"name": "adam", "amsgrad": True, "encoder_lr": 1e-4})
    optimizer = make_optimizer(network, parse_config(config, "c").optimizer)
    assert type(optimizer) is torch.optim.Adam
    encoder, rest = optimizer.param_groups
    assert (encoder["lr"], rest["lr"], rest["amsgrad"]) == (1e-4, 3e-3, True)
    counted = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert counted == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"optimizer": {"name": "sgd"}}, "'optimizer.name': found 'sgd', expected 'adamw' or"),
        ({"trainer": {"precision": "fp16"}}, "precision': found 'fp16', expected '32-true'"),
        ({"trainer": {"channels_last": 1}}, "channels_last': found 1, expected true or false"),
        ({"trainer": {"accumulate_grad_batches": 3}}, "batch_size: found 4, expected a multiple"),
        ({"data": {"validation_frames": 0}}, "validation_frames: found 0, expected 1 or more"),
        ({"data": {"training": []}}, "data.training names no data set"),
        ({"data": {"training": [{"path": "a", "weight": 0}]}}, "weights of data.training"),
        ({"data": {"training": [{"path": "a", "holdout": 1.0}]}}, "holdout of a: found 1.0"),
    ],
)
def test_values_that_cannot_work_are_refused(tmp_path, capsys, sections, message):
    file, out = tmp_path / "c.yaml", tmp_path / "o"
    file.write_text(yaml.safe_dump(changed(**sections)))
    assert main(["train", *map(str, ["--config", file, "--data", tmp_path, "--out", out])]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()
