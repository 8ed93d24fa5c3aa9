"""One process or many: the same run."""

import socket

import numpy as np
import pytest
from training_runs import arguments, changed, curve, start_process, train, write_room

from depth_estimation_ros.errors import ParameterError
from training.trainer.launch import Launch, check_batch, find_launch

# Batch normalisation is over the images of one process, so that it would see other batches.
FROZEN = {"batch_norm": "frozen", "validate_every": 6}

SRUN = {"SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2"}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    root = tmp_path_factory.mktemp("processes")
    # A number of validation frames that two processes cannot share out equally.
    write_room(root / "room", frames=7)
    return root


@pytest.fixture(scope="module")
def alone(room):
    return train(room, "alone", changed(trainer=FROZEN))


def assert_same_curves(run, other):
    np.testing.assert_allclose(curve(run, "train/loss"), curve(other, "train/loss"), atol=1e-5)
    for name in ("val/abs_rel", "val/rmse", "val/delta1"):
        np.testing.assert_allclose(curve(run, name), curve(other, name), atol=1e-5)


def test_two_processes_have_the_curve_of_one_with_twice_the_batch(room, alone):
    command = arguments(room, "two", changed(trainer=FROZEN))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {  # as torchrun sets it
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }
    ranks = [{**shared, "RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
    processes = [start_process(command, rank) for rank in ranks]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert len(list((room / "two" / "curve").iterdir())) == 1  # one process writes
    assert len(curve(room / "two", "train/loss")) == 12
    assert_same_curves(room / "two", alone)


def test_a_step_in_two_parts_is_the_step_in_one(room, alone):
    parts = changed(trainer={**FROZEN, "accumulate_grad_batches": 2})
    assert_same_curves(train(room, "parts", parts), alone)


def test_what_started_the_processes_says_how_many_there_are():
    assert find_launch(None, None, {}) == Launch("auto", 1, True, "command")
    assert find_launch(2, None, {"LOCAL_RANK": "1"}) == Launch(2, 1, False, "command")
    torchrun = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}
    assert find_launch(None, None, {**torchrun, "RANK": "9"}) == Launch(8, 2, False, "torchrun")
    srun = {**SRUN, "SLURM_PROCID": "0"}
    assert find_launch(None, None, srun) == Launch(4, 2, True, "srun")
    shell = {**srun, "SLURM_JOB_NAME": "bash"}
    assert find_launch(None, None, shell) == Launch("auto", 1, True, "command")


def test_a_command_line_that_contradicts_the_launcher_is_refused():
    with pytest.raises(ParameterError, match="--devices 2: found 4 started by srun"):
        find_launch(2, None, SRUN)


def test_a_job_that_leaves_the_sharing_out_to_slurm_is_refused():
    srun = {key: value for key, value in SRUN.items() if key != "SLURM_NTASKS_PER_NODE"}
    with pytest.raises(ParameterError, match="found --ntasks=8, expected --ntasks-per-node"):
        find_launch(None, None, srun)


def test_a_batch_that_cannot_be_shared_out_is_refused():
    check_batch(16, processes=4, parts=2)
    with pytest.raises(ParameterError, match="found 12, expected a multiple of 4 processes x 2"):
        check_batch(12, processes=4, parts=2)
