"""DepthEstimationNode: parameters, lifecycle transitions, services and diagnostics.

The path of a frame: `subscriptions` -> `worker` -> `frame_processor` -> `publishers`.
"""

from __future__ import annotations

import difflib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rcl_interfaces.srv import SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from depth_estimation_ros.engines import Engine, EngineOptions, Log, ModelInfo, open_engine
from depth_estimation_ros.errors import (
    DepthEstimationError,
    EngineError,
    GpuLostError,
    ParameterError,
)
from depth_estimation_ros.estimation import DepthEstimator, check_settings
from depth_estimation_ros.node.camera import Camera, create_cameras
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.diagnostics.status import make_statuses
from depth_estimation_ros.node.environment import log_arguments
from depth_estimation_ros.node.frame_processor import FrameProcessor
from depth_estimation_ros.node.parameters import (
    DEFAULTS,
    READ_ONLY,
    SPECS,
    UNCONFIGURED,
    Parameters,
)
from depth_estimation_ros.node.scale_input import Transforms, create_transforms
from depth_estimation_ros.node.subscriptions import ImageInput
from depth_estimation_ros.node.watchdog import WatchedEngine, end_process
from depth_estimation_ros.node.worker import Worker

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
BOND_PERIOD_S, BOND_TIMEOUT_S = 0.1, 4.0  # as nav2's lifecycle nodes
STOP_S = 2.0  # `ros2 launch` kills a node 5 s after it has asked it to end
OpenEngine = Callable[[str, EngineOptions, Log], Engine]


class DepthEstimationNode(LifecycleNode):
    """Estimate metric depth and point clouds from camera images.

    Subscribes to `image` and `camera_info`; publishes `~/depth/image`, `~/depth/camera_info`,
    `~/points`, `~/depth/color`, `~/scale` and /diagnostics; offers the service `~/enable`. The
    parameters are those of `parameters.Parameters`.

    Args:
        open_engine: opens the model, see `engines.open_engine`.
        stop: set when the process is asked to end; the network then has `STOP_S` for its last run.
    """

    def __init__(
        self,
        open_engine: OpenEngine = open_engine,
        stop: threading.Event | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("depth_estimation", **kwargs)
        self._open_engine = open_engine
        self._stop = stop or threading.Event()
        self._refused = declare_parameters(self)
        self._parameters_now = read_parameters(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)

        self._statistics = Statistics()
        self._cameras: list[Camera] = []  # from configure to cleanup
        self._worker: Worker | None = None  # from configure to cleanup
        self._bond: Any = None  # while the node is active, if bondpy is installed
        self._transforms: Transforms | None = None  # from the first activation that needs TF
        self._state = "unconfigured"
        self._engine_failed = self.create_guard_condition(self._on_engine_failed)

        self._offer_enable()
        self._ease_set_parameters()
        # Timers have a clock of their own: simulated time may stand still, or never come.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._diagnostics_timer = self.create_timer(
            self._parameters_now.diagnostics_period, self._publish_diagnostics, clock=steady
        )
        if self._parameters_now.autostart:
            # As soon as the executor spins.
            self._autostart = self.create_timer(0.0, self._on_autostart, clock=steady)
        else:
            self.get_logger().info("unconfigured, waiting to be configured (autostart is false)")

    # Lifecycle. rclpy swallows exceptions of these methods, so each reports its own.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, create the publishers, open the engine and warm it up."""
        self._statistics = Statistics()
        try:
            if self._refused:
                raise ParameterError("; ".join(self._refused.values()))
            self._parameters_now.check()
            self._cameras = create_cameras(
                self,
                self._parameters_now.cameras,
                self._statistics,
                self._on_time_jump,
                self._parameters_now.scale_source != "none",
            )
            self._start_worker()
        except Exception as error:
            self._release()
            self._report("cannot configure", error)
            return FAILURE
        self._diagnostics_timer.timer_period_ns = int(self._parameters_now.diagnostics_period * 1e9)
        self._state = "inactive"
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe; an engine that failed is opened again."""
        try:
            if self._worker is not None and self._worker.has_ended:
                self._start_worker()
            super().on_activate(state)
            if self._transforms is None:
                self._transforms = create_transforms(self, self._parameters_now)
            for camera in self._cameras:
                if (processor := self._processor(camera)) is not None:
                    processor.reset_camera()
                camera.subscribe(
                    self, lambda: self._parameters_now, self._on_image, self._transforms
                )
        except Exception as error:
            self._unsubscribe()
            self._report("cannot activate", error)
            return FAILURE
        self._statistics.recovered()
        self._state = "active"
        self._start_bond()
        topics = [
            f"{subscriptions.image_topic} and {subscriptions.camera_info_topic}"
            for camera in self._cameras
            if (subscriptions := camera.subscriptions) is not None
        ]
        self.get_logger().info(f"active, subscribed to {'; '.join(topics)}")
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and finish the frames at work."""
        self._end_bond()
        self._unsubscribe()
        super().on_deactivate(state)
        self._state = "inactive"
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the engine and destroy the publishers; then every parameter can be set."""
        self._release()
        self._state = "unconfigured"
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything, from any state."""
        self._release()
        self._state = "finalized"
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where the node can be configured again."""
        return self.on_cleanup(state)

    def destroy_node(self) -> None:
        """End the worker too, in any state."""
        self._release()
        super().destroy_node()

    def _on_autostart(self) -> None:
        self.destroy_timer(self._autostart)
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _start_bond(self) -> None:
        """Form the bond that nav2's lifecycle manager expects of an active node."""
        try:
            from bondpy.bondpy import Bond
        except ImportError:
            return
        try:
            self._bond = Bond(self, "bond", self.get_name())
            self._bond.set_heartbeat_period(BOND_PERIOD_S)
            self._bond.set_heartbeat_timeout(BOND_TIMEOUT_S)
            self._bond.start()
        except Exception as error:
            self._bond = None
            self.get_logger().warning(f"no bond with a lifecycle manager: {error!r}")

    def _end_bond(self) -> None:
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.shutdown()

    def _release(self) -> None:
        self._end_bond()
        self._unsubscribe()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        cameras, self._cameras = self._cameras, []
        for camera in cameras:
            camera.destroy()

    def _unsubscribe(self) -> None:
        for camera in self._cameras:
            camera.unsubscribe()
        self._discard_waiting()
        if self._worker is not None:
            self._worker.drain()

    # The worker and its engine.

    def _start_worker(self) -> None:
        """Start a worker, in place of one that ended; raise what opening the engine raised."""
        if self._worker is not None:
            self._discard_waiting()  # received after the engine failed
            self._worker.stop()
        cameras = tuple(self._cameras)
        self._worker = Worker(lambda: self._open_processors(cameras), self._on_worker_failure)
        self._worker.start()

    @contextmanager
    def _open_processors(self, cameras: Iterable[Camera]) -> Iterator[Mapping[str, FrameProcessor]]:
        """Open the engine, warm it up, and close it at the end; in the worker's thread."""
        parameters, logger = self._parameters_now, self.get_logger()
        opened = self._open_engine(parameters.model, parameters.engine_options(), logger.info)
        engine = WatchedEngine(opened, self._run_limit, self._on_engine_stuck)
        try:
            estimator = DepthEstimator(engine, parameters.estimator_settings())
            estimator.warm_up()
            logger.info(f"model ready: {engine.description}")
            model_info = ModelInfo(opened)
            yield {
                camera.name: FrameProcessor(
                    estimator,
                    camera.publishers,
                    lambda: self._parameters_now,
                    camera.statistics,
                    logger,
                    model_info,
                    camera.name,
                    camera.scale_source,
                    camera.floor,
                )
                for camera in cameras
            }
        finally:
            engine.close()

    def _run_limit(self) -> float:
        """Return the seconds that one run of the network may take; 0 is no limit."""
        limit = self._parameters_now.engine_timeout
        return min(limit or STOP_S, STOP_S) if self._stop.is_set() else limit

    def _processor(self, camera: Camera) -> FrameProcessor | None:
        return self._worker.processors.get(camera.name) if self._worker is not None else None

    def _on_worker_failure(self, error: Exception) -> None:
        """Report an exception that no frame should cause; in a thread of the worker."""
        self._statistics.bad_frame(str(error) if isinstance(error, EngineError) else repr(error))
        if isinstance(error, GpuLostError):
            self.get_logger().fatal(f"{error}. The process ends")
            end_process()
        elif isinstance(error, EngineError):
            self._report("depth estimation stopped, activate the node to try again", error)
            self._engine_failed.trigger()
        else:
            trace = "".join(traceback.format_exception(error))
            self.get_logger().error(f"frame dropped: {trace}", throttle_duration_sec=1.0)

    def _on_engine_failed(self) -> None:
        """Deactivate the node whose engine has failed; in the executor's thread."""
        if self._state == "active" and self._worker is not None and self._worker.has_ended:
            self._publish_diagnostics()  # so that the error is seen
            self.trigger_deactivate()

    def _on_engine_stuck(self, message: str) -> None:
        """End the process, whose engine's thread hangs; in the watchdog's thread."""
        self.get_logger().fatal(message)
        end_process()

    # Images, in the executor's thread.

    def _on_image(self, camera: Camera, image: ImageInput) -> None:
        if not self._parameters_now.enabled:
            camera.statistics.count("skipped_paused")
        elif self._worker is not None and self._worker.submit(image):
            camera.statistics.count("dropped_busy")

    def _on_time_jump(self, camera: Camera, text: str) -> None:
        """Drop what belongs to the old time; the next image is handled like any other."""
        camera.time_jumped()
        if (processor := self._processor(camera)) is not None:
            processor.reset_time()
        if self._worker is not None and self._worker.discard(camera.name):
            camera.statistics.count("dropped_busy")
        prefix = f"{camera.name}: " if camera.name else ""
        self.get_logger().info(f"{prefix}{text}", throttle_duration_sec=1.0)

    def _discard_waiting(self, counter: str = "dropped_busy") -> None:
        """Drop and count the images that wait for the worker."""
        for camera in self._cameras:
            if self._worker is not None and self._worker.discard(camera.name):
                camera.statistics.count(counter)

    # Parameters, services and diagnostics.

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = from_ros({change.name: change.value for change in changes})
        wanted = replace(self._parameters_now, **values)
        try:
            wanted.check(values)
            if self._state in ("inactive", "active"):
                # `ros2 param load` sets every parameter of a file, most of them to the same value.
                present = self._parameters_now
                changed = [name for name in values if values[name] != getattr(present, name)]
                check_can_change(self._state, changed)
            for camera in self._cameras[:1]:  # they share the network
                if (processor := self._processor(camera)) is not None:
                    card = processor.estimator.engine.card
                    check_settings(card, wanted.estimator_settings())
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._parameters_now = wanted
        if not wanted.enabled:
            self._discard_waiting("skipped_paused")
        for name in values:
            self._refused.pop(name, None)
        return SetParametersResult(successful=True)

    def _offer_enable(self) -> None:
        """Offer ~/enable (std_srvs/SetBool), which sets the parameter `enabled`."""
        try:
            from std_srvs.srv import SetBool
        except ImportError:
            self.get_logger().info(
                "no service ~/enable: std_srvs is not installed. Set the parameter enabled instead"
            )
            return

        def enable(request: Any, response: Any) -> Any:
            result = self.set_parameters_atomically([Parameter("enabled", value=request.data)])
            response.success = result.successful
            response.message = result.reason or ("enabled" if request.data else "paused")
            return response

        self.create_service(SetBool, "~/enable", enable)

    def _ease_set_parameters(self) -> None:
        """Make ~/set_parameters take whole numbers for doubles, and limits in any order.

        It sets one parameter after the other, and the first of two limits may contradict the
        present value of the second; so refused parameters are tried once more.
        """
        services = (each for each in self.services if each.srv_name.endswith("/set_parameters"))
        service = next(services, None)
        if service is None:  # start_parameter_services is false
            return
        set_parameters = service.callback

        def set_and_retry(request: Any, response: Any) -> Any:
            for parameter in request.parameters:
                value = parameter.value
                is_double = isinstance(DEFAULTS.get(parameter.name), float)
                if is_double and value.type == ParameterType.PARAMETER_INTEGER:
                    value.type = ParameterType.PARAMETER_DOUBLE
                    value.double_value = float(value.integer_value)
            response = set_parameters(request, response)
            for index, result in enumerate(response.results):
                if not result.successful:
                    again = SetParameters.Request(parameters=[request.parameters[index]])
                    retried = set_parameters(again, SetParameters.Response())
                    response.results[index] = retried.results[0]
            return response

        service.callback = set_and_retry

    def _publish_diagnostics(self) -> None:
        processors = [self._processor(camera) for camera in self._cameras]
        model_info = next((p.model_info for p in processors if p is not None), None)
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = make_statuses(
            self.get_fully_qualified_name(),
            self._statistics,
            self._parameters_now,
            [camera.status(p) for camera, p in zip(self._cameras, processors, strict=True)],
            state=self._state,
            model_info=model_info,
        )
        self._diagnostics.publish(message)
        subscriptions = [c.subscriptions for c in self._cameras if c.subscriptions is not None]
        if silences := [text for heard in subscriptions if (text := heard.silence())]:
            self.get_logger().warning("; ".join(silences), throttle_duration_sec=10.0)
        for camera in self._cameras[:1]:  # they share the clock
            if no_clock := camera.time_jumps.no_clock():
                self.get_logger().warning(no_clock, once=True)

    def _report(self, what: str, error: Exception) -> None:
        # Errors of this package say all there is to say; others need their traceback.
        ours = isinstance(error, DepthEstimationError)
        message = str(error) if ours else "".join(traceback.format_exception(error))
        self._statistics.failed(f"{what}: {message}")
        self.get_logger().error(f"{what}: {message}")


def declare_parameters(node: Node) -> dict[str, str]:
    """Declare every parameter; return the start values that are refused, with the reason.

    A value of a wrong type or out of range does not end the process: the parameter gets its
    default, and the node refuses to configure until it is set, or started again with another value
    where it is read-only.
    """
    refused = {}
    given: Mapping[str, Parameter] = node._parameter_overrides  # rclpy has no public name for it
    for name in given:
        if name not in SPECS and (near := difflib.get_close_matches(name, SPECS, 1, 0.75)):
            node.get_logger().warning(f"parameter {name} is unknown: did you mean {near[0]}?")
    for name, default in DEFAULTS.items():
        value: Any = list(default) if isinstance(default, tuple) else default
        # 8 in YAML, for 8.0
        whole = name in given and isinstance(value, float) and type(given[name].value) is int
        if whole:
            value = float(given[name].value)
        try:
            node.declare_parameter(name, value, describe_parameter(name), ignore_override=whole)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            value = list(default) if isinstance(default, tuple) else default
            node.declare_parameter(name, value, describe_parameter(name), ignore_override=True)
            fix = "Set it, then configure again"
            if SPECS[name].changes == READ_ONLY:
                fix = "It is read-only: correct the parameter file and restart the node"
            what = f"parameter {name} has its default because of its start value: {error}"
            refused[name] = str(ParameterError(what, fix=fix))
    return refused


def describe_parameter(name: str) -> ParameterDescriptor:
    """Return the descriptor that `ros2 param describe` shows."""
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


def read_parameters(node: Node) -> Parameters:
    """Return the present values of the declared parameters of a node."""
    return Parameters(**from_ros({name: node.get_parameter(name).value for name in SPECS}))


def from_ros(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a node's parameter values that are in `Parameters`, in its types."""
    known = {name: value for name, value in values.items() if name in SPECS}
    return {n: tuple(v) if isinstance(DEFAULTS[n], tuple) else v for n, v in known.items()}


def check_can_change(state: str, names: Iterable[str]) -> None:
    """Raise ParameterError for a parameter that cannot change while the node is configured.

    Args:
        state: inactive or active.
        names: of the parameters that are to change.
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


def main(open_engine: OpenEngine = open_engine, args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return its exit code."""
    # rclpy's own handlers would shut ROS down in the middle of a callback or of the worker's
    # publishing. Here the callback ends, then the worker, then ROS; a second signal is harmless.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(
        args=[*(sys.argv if args is None else args), *log_arguments()],
        signal_handler_options=SignalHandlerOptions.NO,
    )
    node = DepthEstimationNode(open_engine, stop)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    return 0
