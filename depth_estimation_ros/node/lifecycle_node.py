"""DepthEstimationNode: the ROS face. Parameters, lifecycle, diagnostics.

What happens to a frame is in `inputs` (callbacks), `worker` (mailbox) and `frame_path`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from depth_estimation_ros.errors import DepthEstimationError, EngineError, ParameterError
from depth_estimation_ros.estimation import check_settings
from depth_estimation_ros.node import declared_parameters
from depth_estimation_ros.node.camera import Camera, make_cameras
from depth_estimation_ros.node.diagnostics.camera_status import statuses_of
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.frame_processor import open_frame_processors
from depth_estimation_ros.node.log_folder import log_arguments
from depth_estimation_ros.node.recovery import Recovery
from depth_estimation_ros.node.services import offer_enable
from depth_estimation_ros.node.subscriptions import Frame
from depth_estimation_ros.node.worker import PublishJob, Worker

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
END_S = 4.0  # that the network has for its last frame; `ros2 launch` gives the node 5


class DepthEstimationNode(LifecycleNode):
    """Camera images in, metric depth and point clouds out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("depth_estimation", **kwargs)
        self._refused = declared_parameters.declare(self)
        self._settings = declared_parameters.read(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)

        self._statistics = Statistics()
        self._recovery = Recovery(self._statistics)
        self._cameras: list[Camera] = []  # from configure to cleanup
        self._worker: Worker[Frame] | None = None  # from configure to cleanup
        self._engine_broken = False  # from a failure of the engine until another one is opened
        self._state = "unconfigured"
        self._engine_failed = self.create_guard_condition(self._on_engine_failed)

        offer_enable(self)
        # Timers have a clock of their own: simulated time may stand still, or never come.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._diagnostics_timer = self.create_timer(
            self._settings.diagnostics_period, self._publish_diagnostics, clock=steady
        )
        if self._settings.autostart:
            # As soon as the executor spins.
            self._autostart = self.create_timer(0.0, self._on_autostart, clock=steady)
        else:
            self.get_logger().info("unconfigured, waiting to be configured (autostart is false)")

    # Lifecycle. rclpy swallows exceptions of these methods, so each reports its own.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, create the publishers, open the engine and warm it up."""
        self._statistics = Statistics()
        self._recovery.restart(self._statistics)
        try:
            if self._refused:
                raise ParameterError("; ".join(self._refused.values()))
            self._settings.check()
            self._cameras = make_cameras(
                self, self._settings.cameras, self._statistics, self._on_time_jump
            )
            self._open_engine()
        except Exception as error:
            self._release()
            self._report("cannot configure", error)
            return FAILURE
        self._diagnostics_timer.timer_period_ns = int(self._settings.diagnostics_period * 1e9)
        self._state = "inactive"
        return SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to listen; an engine that failed is opened anew."""
        self._recovery.restart(self._statistics)
        try:
            if self._engine_is_lost() and self._cameras:
                self._open_engine()
            super().on_activate(state)
            for camera in self._cameras:
                camera.listen(self, lambda: self._settings, self._on_frame)
        except Exception as error:
            self._stop_listening()
            self._report("cannot activate", error)
            return FAILURE
        self._statistics.recovered()
        self._state = "active"
        topics = "; ".join(c.inputs.topics for c in self._cameras if c.inputs is not None)
        self.get_logger().info(f"active, listening to {topics}")
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop to listen, and finish the frame that is being worked on."""
        self._stop_listening()
        super().on_deactivate(state)
        self._state = "inactive"
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the engine; afterwards every parameter can be set."""
        self._release()
        self._state = "unconfigured"
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything, from whatever state."""
        self._release()
        self._state = "finalized"
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where a new attempt can start."""
        return self.on_cleanup(state)

    def _on_autostart(self) -> None:
        self.destroy_timer(self._autostart)
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _open_engine(self) -> None:
        """Start a worker, in the place of the one before; raises what opening the engine raised."""
        if self._worker is not None:
            self._discard(self._worker)  # came in after the network failed
            self._worker.stop()
        self._engine_broken = False
        cameras = self._cameras
        worker: Worker[Frame] = Worker(
            lambda: self._session(cameras, worker), self._on_worker_failure
        )
        self._worker = worker
        worker.start()

    def _engine_is_lost(self) -> bool:
        return self._engine_broken or (self._worker is not None and self._worker.has_ended)

    def _release(self) -> None:
        self._stop_listening()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        cameras, self._cameras = self._cameras, []
        for camera in cameras:
            camera.close()

    def _stop_listening(self) -> None:
        for camera in self._cameras:
            camera.stop_listening()
        if self._worker is not None:
            self._discard(self._worker)
            self._worker.drain()

    # Frames: from the callback to the worker's thread.

    def _on_frame(self, camera: Camera, frame: Frame) -> None:
        if not self._settings.enabled:
            camera.statistics.count("skipped_paused")
        elif self._worker is not None and self._worker.submit(frame, camera.name):
            camera.statistics.count("dropped_busy")

    def _on_time_jump(self, camera: Camera, what: str) -> None:
        """What belongs to the old time is dropped; the next frame is handled like any other."""
        camera.time_jumped()
        if self._worker is not None:
            camera.discard(self._worker)
        of_camera = f"{camera.name}: " if camera.name else ""
        self.get_logger().info(f"{of_camera}{what}", throttle_duration_sec=1.0)

    def _discard(self, worker: Worker[Frame], counter: str = "dropped_busy") -> None:
        for camera in self._cameras:
            camera.discard(worker, counter)

    @contextmanager
    def _session(
        self, cameras: list[Camera], worker: Worker[Frame]
    ) -> Iterator[Callable[[Frame], PublishJob]]:
        """The worker's: the frame paths from open to closed, in the worker's thread."""
        with open_frame_processors(
            {camera.name: (camera.outputs, camera.statistics) for camera in cameras},
            lambda: self._settings,
            self.get_logger(),
            lambda limit: self._on_hang(worker, limit),
        ) as paths:
            mine = [(camera, paths[camera.name]) for camera in cameras]
            for camera, path in mine:
                if not worker.is_abandoned:
                    camera.path = path
            try:
                yield lambda frame: paths[frame.camera].process(frame)
            finally:
                for camera, path in mine:
                    if camera.path is path:  # one that hung may end later than the next one begins
                        camera.path = None

    def _on_worker_failure(self, error: Exception) -> None:
        """In a thread of the worker's: a frame met an error that no frame should."""
        if self._engine_broken:
            return  # said already; this is what its end brought about
        if isinstance(error, EngineError):
            self._engine_broken = True
            self._statistics.bad_frame(str(error))
            self._report("depth estimation stopped, activate the node to try again", error)
            self._engine_failed.trigger()
            raise error  # ends the worker: the engine is closed here, and no frame is tried on it
        self._statistics.bad_frame(f"frame dropped: {error!r}")
        trace = "".join(traceback.format_exception(error))
        self.get_logger().error(f"frame dropped: {trace}", throttle_duration_sec=1.0)

    def _on_hang(self, worker: Worker[Frame], limit: float) -> None:
        """In the watchdog's thread: the network has been at one picture for too long."""
        error = EngineError(
            "the network hangs",
            found=f"no answer in {limit:g} s",
            expected="one within the parameter engine_timeout",
        )
        self._recovery.hung(worker)
        # All is told before the worker is abandoned: whoever waits for it goes on then, perhaps
        # with another network, of which it would not be true.
        if worker.is_open:
            self._statistics.bad_frame(str(error))
            self._report("the frame is lost and the network given up", error)
        for camera in self._cameras:
            camera.path = None
        worker.abandon(error)
        self._discard(worker)
        self._engine_failed.trigger()

    def _on_engine_failed(self) -> None:
        """In the executor's thread: a network that hung is opened anew, one that failed is not."""
        if self._state != "active" or not self._engine_is_lost():
            return  # it comes late: another network is at work already, or is not wanted
        self._publish_diagnostics()  # so that the error is seen, however soon it is over
        hung = self._worker is not None and self._worker.is_abandoned
        if not (hung and self._recovery.worth_it and self._restart()):
            if hung:
                self.get_logger().error("activate the node to try again")
            self.trigger_deactivate()

    def _restart(self) -> bool:
        try:
            self._open_engine()
        except Exception as error:
            self._report("cannot open the network anew", error)
            return False
        self._statistics.count("engine_restarts")
        self._statistics.recovered()
        return True

    # Parameters and diagnostics.

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = declared_parameters.from_ros({change.name: change.value for change in changes})
        wanted = replace(self._settings, **values)
        try:
            wanted.check(values)
            if self._state in ("inactive", "active"):
                # `ros2 param load` sets every parameter of a file, most to what it is already.
                present = self._settings
                changed = [name for name in values if values[name] != getattr(present, name)]
                declared_parameters.check_changes_while(self._state, changed)
            for camera in self._cameras[:1]:  # they share the network
                if (path := camera.path) is not None:  # the worker's thread may take it away
                    check_settings(path.engine.card, wanted.pipeline_settings())
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = wanted
        if not wanted.enabled and self._worker is not None:
            self._discard(self._worker, "skipped_paused")
        for name in values:
            self._refused.pop(name, None)
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = statuses_of(
            self.get_fully_qualified_name(),
            self._statistics,
            self._settings,
            self._cameras,
            state=self._state,
        )
        self._diagnostics.publish(message)
        inputs = [camera.inputs for camera in self._cameras if camera.inputs is not None]
        if silences := [silence for heard in inputs if (silence := heard.silence())]:
            self.get_logger().warning("; ".join(silences), throttle_duration_sec=10.0)
        for camera in self._cameras[:1]:  # they share the clock
            if no_clock := camera.time_jumps.no_clock():
                self.get_logger().warning(no_clock, once=True)

    def _report(self, what: str, error: Exception) -> None:
        # Our own errors say all there is to say; another one needs the place where it came from.
        ours = isinstance(error, DepthEstimationError)
        message = str(error) if ours else "".join(traceback.format_exception(error))
        self._statistics.failed(f"{what}: {message}")
        self.get_logger().error(f"{what}: {message}")

    def give_up(self) -> bool:
        """Wait no longer for a network that hangs; from any thread.

        Returns:
            Whether a thread is left that hangs.
        """
        if (worker := self._worker) is not None:
            self._recovery.hung(worker)
            worker.abandon(EngineError("the node was asked to end while the network was at work"))
        return self._recovery.threads_left

    def destroy_node(self) -> None:
        """End the worker too, whatever state the node is in."""
        self._release()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    # rclpy's own handlers would shut ROS down in the middle of a callback or of the worker's
    # publishing. Here the callback ends, then the worker, then ROS; a second signal is harmless.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(
        args=[*(sys.argv if args is None else args), *log_arguments()],
        signal_handler_options=SignalHandlerOptions.NO,
    )
    node = DepthEstimationNode()
    threading.Thread(target=_hurry, args=(stop, weakref.ref(node)), daemon=True).start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    threads_left = node.give_up()
    rclpy.shutdown()
    if threads_left:
        # A library that still runs in a thread must not see its own end.
        sys.stdout.flush()
        os._exit(0)
    return 0


def _hurry(stop: threading.Event, node: Callable[[], DepthEstimationNode | None]) -> None:
    """See to it that the node ends before `ros2 launch` kills it, whatever the network does.

    A weak reference to the node: a strong one would outlive the process's end, and leave files of
    Fast DDS in /dev/shm.
    """
    stop.wait()
    time.sleep(END_S)
    if (present := node()) is not None:
        present.give_up()
