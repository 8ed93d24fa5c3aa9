"""One process or many, on one machine or many: what the command line and the environment say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from depth_estimation_ros.errors import ParameterError


@dataclass(frozen=True)
class Launch:
    """Where this process stands before any of them has spoken to another.

    Attributes:
        devices: of each machine; ``auto`` for all GPUs there are, or one process on the CPU.
        nodes: machines.
        first: whether this is the process that writes files.
        by: what started the processes: ``torchrun``, ``srun`` or ``command`` (Lightning then
            starts the others itself).
    """

    devices: int | str
    nodes: int
    first: bool
    by: str


def find_launch(
    devices: int | None, nodes: int | None, environment: Mapping[str, str] = os.environ
) -> Launch:
    """Read what ``torchrun`` or ``srun`` left in the environment.

    Args:
        devices, nodes: of the command line; None where not given.

    Raises:
        ParameterError: the command line and the environment contradict each other.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        local = int(environment["LOCAL_WORLD_SIZE"])
        machines = int(environment["WORLD_SIZE"]) // local
        found = Launch(local, machines, environment["RANK"] == "0", "torchrun")
    # In a shell that Slurm gave (salloc, srun --pty bash) the processes are ours to start.
    elif "SLURM_NTASKS" in environment and not _interactive(environment):
        if environment["SLURM_NTASKS"] != "1" and "SLURM_NTASKS_PER_NODE" not in environment:
            raise ParameterError(
                "the Slurm job",
                found=f"--ntasks={environment['SLURM_NTASKS']}",
                expected="--ntasks-per-node, with --nodes: equally many on each machine",
            )
        machines = int(environment.get("SLURM_NNODES", "1"))
        local = int(environment["SLURM_NTASKS"]) // machines
        found = Launch(local, machines, environment.get("SLURM_PROCID", "0") == "0", "srun")
    else:
        rank = environment.get("LOCAL_RANK", "0"), environment.get("NODE_RANK", "0")
        return Launch(devices or "auto", nodes or 1, rank == ("0", "0"), "command")
    for name, given, started in (
        ("--devices", devices, found.devices),
        ("--nodes", nodes, found.nodes),
    ):
        if given is not None and given != started:
            raise ParameterError(
                f"{name} {given}",
                found=f"{started} started by {found.by}",
                expected="the same, or no such option: the number is in the environment",
            )
    return found


def check_batch(batch_size: int, processes: int, parts: int) -> None:
    """Raise ParameterError unless a step's images can be shared out equally."""
    if batch_size % (processes * parts):
        raise ParameterError(
            "optimizer.batch_size",
            found=batch_size,
            expected=f"a multiple of {processes} processes x {parts} accumulate_grad_batches",
            fix="It is the number of images in one step over all devices together.",
        )


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a floating-point tensor over all processes, on each of them."""
    if _many():
        torch.distributed.all_reduce(value)
        value /= torch.distributed.get_world_size()
    return value


def gather(value: Any) -> list[Any]:
    """Return the values of all processes, in order of rank, on each of them."""
    if not _many():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def _many() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _interactive(environment: Mapping[str, str]) -> bool:
    return environment.get("SLURM_JOB_NAME") in ("bash", "interactive")
