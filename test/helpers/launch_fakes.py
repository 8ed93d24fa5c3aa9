"""Fakes of the few launch classes that the launch files use: they record what they are given.

The launch packages have no wheels; with these the launch files run on any machine.
"""

from __future__ import annotations

import runpy
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
    default_value: str | list[str | FakeLaunchConfiguration] | None
    description: str
    choices: list[str] | None

    def visit(self, context: FakeLaunchContext) -> None:
        """Sets the argument to its default unless it was given; refuses what is no choice."""
        if (given := self.default_value) is not None:
            parts = given if isinstance(given, list) else [given]
            default = "".join(p if isinstance(p, str) else p.perform(context) for p in parts)
            context.launch_configurations.setdefault(self.name, default)
        value = context.launch_configurations[self.name]
        assert self.choices is None or value in self.choices


@dataclass
class FakeIfCondition:
    predicate: str

    def evaluate(self, context: FakeLaunchContext) -> bool:
        return {"true": True, "false": False}[self.predicate]


@dataclass
class FakeOpaqueFunction:
    function: Callable[[FakeLaunchContext], list[Any] | None]

    def visit(self, context: FakeLaunchContext) -> list[Any] | None:
        return self.function(context)


@dataclass
class FakeLaunchDescription:
    entities: list[Any]


@dataclass
class FakePythonLaunchDescriptionSource:
    path: str


@dataclass
class FakeIncludeLaunchDescription:
    source: FakePythonLaunchDescriptionSource
    launch_arguments: list[tuple[str, str]]

    def visit(self, context: FakeLaunchContext) -> list[Any]:
        """The values of the one file are those of the other, as in the real one."""
        context.launch_configurations.update(self.launch_arguments)
        description = runpy.run_path(self.source.path)["generate_launch_description"]()
        return description.entities


@dataclass
class FakeGroupAction:
    actions: list[Any]
    scoped: bool

    def visit(self, context: FakeLaunchContext) -> list[Any]:
        """As a scoped one: what is set inside is not seen outside."""
        outside = dict(context.launch_configurations)
        leaves = [leaf for action in self.actions for leaf in leaves_of(action, context)]
        if self.scoped:
            context.launch_configurations = outside
        return leaves


@dataclass
class FakeLogInfo:
    msg: str


@dataclass
class FakeShutdown:
    reason: str


@dataclass(kw_only=True)
class FakeExecuteProcess:
    cmd: list[str]
    name: str
    additional_env: dict[str, str]
    output: str
    on_exit: FakeShutdown | None


@dataclass
class FakeTimerAction:
    period: float
    actions: list[FakeExecuteProcess]


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
    respawn: bool = False
    respawn_delay: float | None = None
    condition: FakeIfCondition | None = None


def fake_modules() -> dict[str, ModuleType]:
    """The modules by name, for sys.modules."""
    contents: dict[str, dict[str, Any]] = {
        "launch": {"LaunchContext": FakeLaunchContext, "LaunchDescription": FakeLaunchDescription},
        "launch.actions": {
            "DeclareLaunchArgument": FakeDeclareLaunchArgument,
            "ExecuteProcess": FakeExecuteProcess,
            "GroupAction": FakeGroupAction,
            "LogInfo": FakeLogInfo,
            "IncludeLaunchDescription": FakeIncludeLaunchDescription,
            "OpaqueFunction": FakeOpaqueFunction,
            "Shutdown": FakeShutdown,
            "TimerAction": FakeTimerAction,
        },
        "launch.conditions": {"IfCondition": FakeIfCondition},
        "launch.launch_description_sources": {
            "PythonLaunchDescriptionSource": FakePythonLaunchDescriptionSource
        },
        "launch.substitutions": {"LaunchConfiguration": FakeLaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": FakeNode},
    }
    modules = {name: ModuleType(name) for name in contents}
    for name, classes in contents.items():
        vars(modules[name]).update(classes)
    return modules


def leaves_of(entity: Any, context: FakeLaunchContext) -> list[Any]:
    """The nodes, timers and log lines that an entity leads to."""
    if not hasattr(entity, "visit"):
        wanted = getattr(entity, "condition", None)
        return [entity] if wanted is None or wanted.evaluate(context) else []
    return [leaf for sub in entity.visit(context) or [] for leaf in leaves_of(sub, context)]


def started(
    entities: list[Any], context: FakeLaunchContext | None = None, **arguments: str
) -> list[Any]:
    """What a launch description would start for these arguments: nodes, and timers of processes."""
    context = context or FakeLaunchContext()
    context.launch_configurations.update(arguments)
    return [leaf for entity in entities for leaf in leaves_of(entity, context)]
