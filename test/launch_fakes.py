"""Fakes of the few launch classes that the launch file uses: they record what they are given.

The launch packages have no wheels; with these the launch file runs on any machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass
class FakeLaunchContext:
    launch_configurations: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeLaunchConfiguration:
    name: str

    def perform(self, context: FakeLaunchContext) -> str:
        return context.launch_configurations[self.name]


@dataclass
class FakeDeclareLaunchArgument:
    name: str
    default_value: str | list[str | FakeLaunchConfiguration]
    description: str
    choices: list[str] | None

    def visit(self, context: FakeLaunchContext) -> None:
        """Sets the argument to its default unless it was given; refuses what is no choice."""
        parts = self.default_value if isinstance(self.default_value, list) else [self.default_value]
        default = "".join(p if isinstance(p, str) else p.perform(context) for p in parts)
        value = context.launch_configurations.setdefault(self.name, default)
        assert self.choices is None or value in self.choices


@dataclass
class FakeIfCondition:
    predicate: str

    def evaluate(self, context: FakeLaunchContext) -> bool:
        return {"true": True, "false": False}[self.predicate]


@dataclass
class FakeOpaqueFunction:
    function: Callable[[FakeLaunchContext], list[Any]]

    def visit(self, context: FakeLaunchContext) -> list[Any]:
        return self.function(context)


@dataclass
class FakeLaunchDescription:
    entities: list[Any]


@dataclass(kw_only=True)
class FakeNode:
    package: str
    executable: str
    namespace: str
    parameters: list[Any]
    remappings: list[tuple[str, str]]
    arguments: list[str]
    additional_env: dict[str, str]
    name: str | None = None
    output: str | None = None
    condition: FakeIfCondition | None = None


def fake_modules() -> dict[str, ModuleType]:
    """The modules by name, for sys.modules."""
    contents: dict[str, dict[str, Any]] = {
        "launch": {"LaunchContext": FakeLaunchContext, "LaunchDescription": FakeLaunchDescription},
        "launch.actions": {
            "DeclareLaunchArgument": FakeDeclareLaunchArgument,
            "OpaqueFunction": FakeOpaqueFunction,
        },
        "launch.conditions": {"IfCondition": FakeIfCondition},
        "launch.substitutions": {"LaunchConfiguration": FakeLaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": FakeNode},
    }
    modules = {name: ModuleType(name) for name in contents}
    for name, classes in contents.items():
        vars(modules[name]).update(classes)
    return modules
