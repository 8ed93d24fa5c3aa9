"""The parameters of a running node: declared from the table, described, read, kept from change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.node.parameters import (
    DEFAULTS,
    READ_ONLY,
    SPECS,
    UNCONFIGURED,
    Parameters,
)


def describe(name: str) -> ParameterDescriptor:
    """The descriptor that `ros2 param describe` shows."""
    spec = SPECS[name]
    descriptor = ParameterDescriptor(
        description=spec.description, read_only=spec.changes == READ_ONLY
    )
    constraints = []
    if spec.choices:
        constraints.append(f"One of: {', '.join(spec.choices)}.")
    if spec.changes == UNCONFIGURED:
        constraints.append("Can be set while the node is unconfigured.")
    descriptor.additional_constraints = " ".join(constraints)
    if spec.limits is not None and isinstance(DEFAULTS[name], int):
        first, last = (int(limit) for limit in spec.limits)
        descriptor.integer_range = [IntegerRange(from_value=first, to_value=last)]
    elif spec.limits is not None:
        low, high = spec.limits
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def declare(node: Node) -> dict[str, str]:
    """Declare every parameter; returns the start values that had to be refused, with the reason.

    A value of the wrong type or out of range must not end the process: the parameter gets its
    default, and the node refuses to configure until it is set, or started again with another value
    where it is read-only. Each reason says which.
    """
    refused = {}
    for name, default in DEFAULTS.items():
        value = list(default) if isinstance(default, tuple) else default
        try:
            node.declare_parameter(name, value, describe(name))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            node.declare_parameter(name, value, describe(name), ignore_override=True)
            fix = "Set it, then configure again"
            if SPECS[name].changes == READ_ONLY:
                fix = "It is read-only: correct the parameter file and restart the node"
            what = f"parameter {name} has its default because of its start value: {error}"
            refused[name] = str(ParameterError(what, fix=fix))
    return refused


def check_changes_while(state: str, names: Iterable[str]) -> None:
    """Raise ParameterError for a parameter that cannot change while the node is configured.

    Args:
        state: inactive or active.
        names: of the parameters that shall change.
    """
    for name in names:
        if SPECS[name].changes == UNCONFIGURED:
            transitions = "cleanup" if state == "inactive" else "deactivate, then cleanup"
            raise ParameterError(
                f"parameter {name} is read when the node is configured",
                found=f"the node is {state}",
                expected="unconfigured",
                fix=f"Make the transition {transitions}; set it; then configure again",
            )


def from_ros(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of this table among those of a node, in the types of ``Parameters``."""
    known = {name: value for name, value in values.items() if name in SPECS}
    return {n: tuple(v) if isinstance(DEFAULTS[n], tuple) else v for n, v in known.items()}


def read(node: Node) -> Parameters:
    """The present values of the parameters of a node that has declared them."""
    return Parameters(**from_ros({name: node.get_parameter(name).value for name in SPECS}))
