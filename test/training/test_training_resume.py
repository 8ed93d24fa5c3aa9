"""A run that was killed goes on as if nothing had happened."""

import signal

import numpy as np
import pytest
import torch
from training_runs import arguments, changed, curve, start_process, train, write_room

from training.__main__ import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    write_room(root / "room")
    return root


@pytest.fixture(scope="module")
def whole(room):
    return train(room, "whole", changed())


def load(run, name):
    return torch.load(run / "checkpoints" / name, weights_only=True)


def assert_same_weights(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=0.0, atol=0.0, msg=name)


@pytest.mark.parametrize(("kill_at", "saved_at", "workers"), [(7, 4, 2), (3, None, 1)])
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    room, whole, kill_at, saved_at, workers
):
    name = f"killed_at_{kill_at}"
    command = arguments(room, name, changed(trainer={"workers": workers}))
    process = start_process(command, kill_at=kill_at)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    run = room / name
    checkpoint = run / "checkpoints" / "last.ckpt"
    assert (load(run, "last.ckpt")["global_step"] if checkpoint.exists() else None) == saved_at
    assert main([*command, "--resume"]) == 0

    assert_same_weights(
        load(run, "final.ckpt")["state_dict"], load(whole, "final.ckpt")["state_dict"]
    )
    ours, theirs = load(run, "last.ckpt"), load(whole, "last.ckpt")
    assert_same_weights(ours["current_model_state"], theirs["current_model_state"])
    for name in ("train/loss", "val/abs_rel", "lr-AdamW/pg1"):
        np.testing.assert_array_equal(curve(run, name), curve(whole, name))


def test_a_run_can_be_made_longer_and_validates_on(room, whole, caplog):
    longer = changed(optimizer={"steps": 20, "schedule": "linear"})
    run = train(room, "whole", longer, "--resume")
    assert load(run, "final.ckpt")["global_step"] == 20
    assert len(curve(run, "train/loss")) == 20
    assert len(curve(run, "val/abs_rel")) == 5
    changes = [r.getMessage() for r in caplog.records if "changed since" in r.getMessage()]
    assert [text.rpartition("began: ")[2] for text in changes] == [
        "optimizer.schedule: cosine -> linear",
        "optimizer.steps: 12 -> 20",
    ]


def test_resuming_with_another_network_is_refused(room, whole, capsys):
    other = changed(network={"widths": [4, 8, 8]})
    (room / "whole.yaml").unlink()
    assert main([*arguments(room, "whole", other), "--resume"]) == 1
    assert "last.ckpt is of another network than the configuration" in capsys.readouterr().err
