"""The two threads of the node: one runs the network, one publishes.

A camera is often faster than the network. Images must not queue up, or each would wait longer than
the one before: there is one slot per camera, and a newer image replaces one that is not yet begun.
The slots are served in the order in which they were filled. A fast camera renews its image without
overtaking, so a slow one waits for at most one image of each other camera.

While one frame is published, the network works on the next; it then waits until the publisher is
free, so what waits in front of the network is always the newest image.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Generic, TypeVar

from depth_estimation_ros.errors import EngineError
from depth_estimation_ros.node.frame_processor import FrameProcessor, PublishJob

if TYPE_CHECKING:
    from depth_estimation_ros.node.subscriptions import ImageInput

Item = TypeVar("Item")


class LatestSlots(Generic[Item]):
    """One slot per name, each with the newest item, between threads that put and one that takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, Item] = {}  # by slot, in the order in which they were filled
        self._busy = False
        self._closed = False

    def put(self, item: Item, slot: str = "") -> bool:
        """Put an item; return True if one is dropped: the older one of the slot, or, if the slots
        are closed, this one.
        """
        with self._changed:
            if self._closed:
                return True
            replaced = slot in self._items
            self._items[slot] = item
            self._changed.notify_all()
        return replaced

    def take(self) -> Item | None:
        """Wait for an item and return it; None once closed. Work on the last item is then done."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or bool(self._items))
            if self._closed:
                return None
            self._busy = True
            return self._items.pop(next(iter(self._items)))

    def discard(self, slot: str = "") -> bool:
        """Drop the waiting item of a slot; return whether there was one."""
        with self._changed:
            return self._items.pop(slot, None) is not None

    def wait_until_idle(self) -> None:
        """Drop the waiting items, and wait until the work on the last one is done."""
        with self._changed:
            self._items.clear()
            self._changed.wait_for(lambda: not self._busy)

    def close(self) -> None:
        """Make `take` return None; waiting items stay until they are discarded."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Worker:
    """Opens the frame processors in a thread of its own, and processes and publishes images.

    The engine is opened, used and closed in one thread, because GPU contexts belong to a thread.

    Args:
        open_processors: makes a context manager that opens the engine and yields the processor of
            each camera by its name; entered and left in the engine's thread.
        on_failure: called with any exception of a frame, in the thread where it happened. After an
            EngineError the worker ends: it closes the engine and processes no other frame.
    """

    def __init__(
        self,
        open_processors: Callable[[], AbstractContextManager[Mapping[str, FrameProcessor]]],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._open_processors = open_processors
        self._on_failure = on_failure
        self._images: LatestSlots[ImageInput] = LatestSlots()
        self._jobs: queue.Queue[tuple[FrameProcessor, PublishJob] | None] = queue.Queue()
        self._opened: Future[None] = Future()
        self._engine_failed = False
        self._thread = threading.Thread(target=self._run, name="depth_worker", daemon=True)
        self._publisher = threading.Thread(target=self._publish, name="depth_publisher")
        self._publisher.daemon = True
        self.processors: Mapping[str, FrameProcessor] = {}
        """By the name of the camera, while the engine is open."""

    def start(self) -> None:
        """Wait until the engine is open; raise what opening it raised."""
        self._thread.start()
        try:
            self._opened.result()
        except BaseException:
            self._thread.join()
            raise

    @property
    def has_ended(self) -> bool:
        """Whether no image will be processed any more."""
        return not self.processors

    def submit(self, image: ImageInput) -> bool:
        """Put the newest image of its camera; return True if one is dropped: an older one that is
        not yet begun, or this one if the worker has ended.
        """
        return self._images.put(image, image.camera)

    def discard(self, camera: str = "") -> bool:
        """Drop the waiting image of a camera; return whether there was one."""
        return self._images.discard(camera)

    def drain(self) -> None:
        """Drop the waiting images, and wait until the frames at work are published."""
        self._images.wait_until_idle()
        self._jobs.join()

    def stop(self) -> None:
        """Finish the frames at work, close the engine and end both threads."""
        self._images.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._open_processors() as processors:
                self.processors = processors
                self._publisher.start()
                self._opened.set_result(None)
                try:
                    self._process_images(processors)
                finally:
                    self.processors = {}
                    self._jobs.put(None)
                    self._publisher.join()
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            elif isinstance(error, Exception) and not self._engine_failed:
                self._on_failure(error)
        finally:
            self._images.close()
            self._images.take()  # the last image is no longer at work

    def _process_images(self, processors: Mapping[str, FrameProcessor]) -> None:
        while (image := self._images.take()) is not None:
            processor = processors[image.camera]
            try:
                job = processor.process(image)
            except Exception as error:
                self._engine_failed = isinstance(error, EngineError)
                self._on_failure(error)
                if self._engine_failed:
                    return
            else:
                if job is not None:
                    self._jobs.join()  # until the frame before is published
                    self._jobs.put((processor, job))

    def _publish(self) -> None:
        while (work := self._jobs.get()) is not None:
            processor, job = work
            try:
                processor.publish(job)
            except Exception as error:
                self._on_failure(error)
            finally:
                self._jobs.task_done()
        self._jobs.task_done()
