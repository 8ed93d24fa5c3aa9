"""ImageMonitor: issues with the images of a camera, by numbers; no ROS."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from depth_estimation_ros.node.diagnostics.image_monitor import (
    EVENT_S,
    SAMPLES,
    ClockReading,
    ImageMonitor,
    is_black,
    is_saturated,
    sample,
    value_range,
)
from depth_estimation_ros.node.diagnostics.statistics import (
    CONSECUTIVE_COUNT,
    RATE_S,
    SILENCE_S,
    ConsecutiveCounter,
    Rate,
)

RANDOM = np.random.default_rng(1)
BASE = 1_700_000_000.0  # seconds of the node's clock when the camera's time.monotonic() is 0


def noise(low: int = 0, high: int = 256, height: int = 48, width: int = 64) -> np.ndarray:
    return RANDOM.integers(low, high, (height, width, 3), np.uint8)


def message(rgb: np.ndarray, stamp: float, frame_id: str = "camera") -> Any:
    sec = int(stamp)
    time = SimpleNamespace(sec=sec, nanosec=round((stamp - sec) * 1e9))
    header = SimpleNamespace(stamp=time, frame_id=frame_id)
    return SimpleNamespace(
        header=header, data=rgb.tobytes(), height=rgb.shape[0], width=rgb.shape[1]
    )


class Camera:
    """Shows images to a monitor, ten a second; `now` is time.monotonic()."""

    def __init__(self, max_age: float = 60.0) -> None:
        self.now = 100.0
        self.monitor = ImageMonitor(self.now, lambda: max_age)

    def show(
        self,
        rgb: np.ndarray | None = None,
        *,
        stamp: float | None = None,
        clock: ClockReading | None = None,
        period: float = 0.1,
    ) -> float | None:
        self.now += period
        rgb = noise() if rgb is None else rgb
        stamp = BASE + self.now - 0.02 if stamp is None else stamp
        clock = clock or ClockReading(BASE + self.now)
        age = self.monitor.received(message(rgb, stamp), self.now, clock)
        self.monitor.decoded(rgb, self.now)
        return age

    @property
    def texts(self) -> list[str]:
        return [issue.text for issue in self.monitor.issues(self.now)]

    @property
    def errors(self) -> list[str]:
        return [f.text for f in self.monitor.issues(self.now) if f.is_error]


def test_good_camera_has_no_issues() -> None:
    camera = Camera()
    for _ in range(60):
        assert camera.show() == pytest.approx(0.02, abs=1e-5)
    assert camera.texts == []
    values = camera.monitor.values(camera.now + 0.5)
    assert float(values["input_rate_hz"]) == pytest.approx(9.0, abs=0.3)  # 45 in the last 5 s
    assert values["seconds_since_last_image"] == "0.50"
    assert values["stamp_age_s"] == "0.020"
    assert values["image_size"] == "64x48"
    assert values["size_changes"] == values["clock_jumps"] == values["stamps_went_back"] == "0"


def test_same_image_and_stamp_is_a_frozen_camera() -> None:
    camera, rgb = Camera(), noise()
    stamp = BASE + camera.now
    for _ in range(CONSECUTIVE_COUNT + 1):
        assert camera.texts == []
        camera.show(rgb, stamp=stamp, period=0.12)
    assert camera.errors == [
        "the camera is frozen: the same image, with the same stamp, 11 times in a row"
    ]
    camera.show()
    assert camera.texts == []


def test_same_image_with_new_stamps_is_suspected() -> None:
    camera, simulated, rgb = Camera(), Camera(), noise()
    for _ in range(20):
        camera.show(rgb)
        simulated.show(rgb, clock=ClockReading(BASE + simulated.now, simulated=True))
    assert camera.errors == []
    assert camera.texts == [
        "the camera may be frozen: 20 images in a row, with new stamps, are identical"
    ]
    assert simulated.texts == []


def test_new_images_with_one_or_no_stamp() -> None:
    standing, without = Camera(), Camera()
    for _ in range(15):
        standing.show(stamp=BASE + 99.0)
        without.show(stamp=0.0)
    assert standing.texts == ["the stamp of the images does not change: 15 images with one stamp"]
    assert without.texts == ["the images have no stamp (0): 15 in a row"]
    assert without.monitor.values(without.now)["stamp_age_s"] == ""


def test_frozen_takes_ten_images_and_one_second() -> None:
    slow, fast, rgb = Camera(), Camera(), noise()
    for _ in range(10):
        slow.show(rgb, stamp=BASE, period=1.0)
    assert slow.errors == []
    slow.show(rgb, stamp=BASE, period=1.0)
    assert len(slow.errors) == 1
    for _ in range(100):
        fast.show(rgb, stamp=BASE, period=0.01)
    assert fast.errors == []
    for _ in range(3):
        fast.show(rgb, stamp=BASE, period=0.01)
    assert len(fast.errors) == 1


@pytest.mark.parametrize(
    ("rgb", "text"),
    [
        (noise(0, 10), "the images are black: 15 in a row. Is the lens covered?"),
        (noise(251, 256), "the images are saturated: 15 in a row. Is the exposure too long?"),
    ],
)
def test_black_and_saturated_images_are_errors(rgb: np.ndarray, text: str) -> None:
    camera = Camera()
    for number in range(15):
        camera.show(np.roll(rgb, number))
    assert camera.errors == [text]
    # When nobody asks for depth any more, no image is decoded, and the old ones are no news.
    for number in range(60):
        camera.now += 0.1
        image = message(np.roll(rgb, number), BASE + camera.now)
        camera.monitor.received(image, camera.now, ClockReading(BASE + camera.now))
    assert camera.texts == []


def test_night_lamps_and_day_windows_are_neither() -> None:
    night, day = noise(0, 10, 480, 640), noise(251, 256, 480, 640)
    night[:100, :100] = 200
    day[:100, :100] = 100
    assert not is_black(sample(night.data))
    assert not is_saturated(sample(day.data))


def test_stamps_that_go_back_are_an_event() -> None:
    camera = Camera()
    camera.show()
    camera.show(stamp=BASE + camera.now - 3.02)  # 0.1 s later
    assert camera.texts == ["the stamps of the images went back by 3.000 s"]
    for _ in range(int(EVENT_S / 0.1) + 1):
        camera.show()
    assert camera.texts == []
    assert camera.monitor.values(camera.now)["stamps_went_back"] == "1"


def test_looping_bag_goes_back_without_an_issue() -> None:
    camera = Camera()
    for stamp in (5.0, 5.1, 5.2, 5.0, 5.1):
        camera.show(stamp=stamp, clock=ClockReading(stamp, simulated=True))
    assert camera.texts == []
    assert camera.monitor.values(camera.now)["stamps_went_back"] == "1"


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (-3600.0, "the stamps of the images are 60 minutes behind the clock of the node"),
        (-61.0, "the stamps of the images are 61.0 s behind the clock of the node"),
        (2.0, "the stamps of the images are 2.0 s ahead of the clock of the node"),
    ],
)
def test_stamps_far_from_the_clock(offset: float, text: str) -> None:
    camera, not_asked = Camera(), Camera(max_age=0.0)
    for _ in range(15):
        assert camera.show(stamp=BASE + camera.now + 0.1 + offset) is None  # no latency to tell
        not_asked.show(stamp=BASE + not_asked.now + 0.1 + offset)
    assert len(camera.texts) == 1
    assert camera.texts[0].startswith(text)
    assert camera.errors == []
    assert not_asked.texts == []


def test_clock_jumps_unless_simulated() -> None:
    camera = Camera(max_age=0.0)
    camera.show()
    camera.show(clock=ClockReading(BASE + camera.now + 0.1 - 3600.0))
    assert camera.texts == ["the clock of this machine jumped by -3600.000 s"]
    simulated = Camera(max_age=0.0)
    for seconds in (1.0, 2.0, 100.0, 50.0):
        simulated.show(clock=ClockReading(seconds, simulated=True))
    assert simulated.texts == []


def test_changed_size_is_an_event() -> None:
    camera = Camera()
    camera.show(noise(height=48, width=64))
    camera.show(noise(height=24, width=32))
    assert camera.texts == ["the size of the images changed from 64x48 to 32x24"]
    camera.show(noise(height=48, width=64))
    assert camera.monitor.values(camera.now)["size_changes"] == "2"


def test_camera_stalls_only_after_an_image() -> None:
    camera = Camera()
    assert camera.monitor.issues(camera.now + SILENCE_S) == []
    (silent,) = camera.monitor.issues(camera.now + SILENCE_S + 1.0)
    assert (silent.text, silent.is_error) == ("no image for 6 s", False)
    camera.show()
    (stalled,) = camera.monitor.issues(camera.now + SILENCE_S + 3.0)
    assert stalled.text == "no image for 8 s: the camera has stalled"
    assert stalled.is_error


def test_slow_camera_is_an_issue_below_min_rate() -> None:
    camera = Camera()
    for _ in range(10):
        camera.show(period=0.5)
    assert camera.monitor.issues(camera.now) == []
    (slow,) = camera.monitor.issues(camera.now, min_rate=10.0)
    assert slow.text == "images come at 2.0 Hz, less than 10"
    assert camera.monitor.issues(camera.now, min_rate=1.5) == []
    assert Camera().monitor.issues(100.0 + RATE_S - 0.1, min_rate=10.0) == []  # too early to say


def test_camera_info_of_another_camera_disagrees() -> None:
    camera = Camera()
    info = message(noise(), 1.0, frame_id="lidar")
    for _ in range(15):
        camera.show()
        camera.monitor.camera_info(message(noise(), 1.0), info, False, camera.now)
    assert camera.texts == [
        "CameraInfo disagrees with the image: its frame_id is 'lidar', that of the image 'camera'"
    ]
    camera.monitor.camera_info(message(noise(), 1.0), None, False, camera.now)
    camera.monitor.calibration_failed("The CameraInfo belongs to another image size", camera.now)
    assert camera.errors == ["The CameraInfo belongs to another image size"]
    camera.show()
    assert camera.texts == []


def test_distortion_removed_twice_is_a_warning() -> None:
    camera = Camera()
    for _ in range(15):
        camera.show()
        camera.monitor.camera_info(message(noise(), 1.0), None, True, camera.now)
    assert camera.errors == []
    (text,) = camera.texts
    assert "looks rectified, but image_is_rectified is false" in text


def test_constant_prediction_of_a_varied_image() -> None:
    camera = Camera()
    flat, deep = np.full((24, 32), 80.0, np.float32), np.ones((24, 32), np.float32)
    deep[:, 16:] = 2.0
    for _ in range(15):
        camera.show()
        camera.monitor.predicted(flat, camera.now)
    assert camera.texts == ["the network predicts one value for the whole image: 15 times in a row"]
    camera.monitor.predicted(deep, camera.now)
    assert camera.texts == []
    for _ in range(15):  # of a wall of one colour, one number is no wonder
        camera.show(np.full((48, 64, 3), (90, 60, 30), np.uint8), stamp=BASE + camera.now)
        camera.monitor.predicted(flat, camera.now)
    assert not any("network" in text for text in camera.texts)


def test_compressed_images_get_their_size_when_decoded() -> None:
    monitor = ImageMonitor(0.0)
    header = message(noise(), 1.0).header
    image = SimpleNamespace(header=header, data=b"\xff\xd8 a JPEG", format="jpeg")
    monitor.received(image, 1.0, ClockReading(0.0))
    assert monitor.values(1.0)["image_size"] == ""
    monitor.decoded(noise(), 1.0)
    assert monitor.values(1.0)["image_size"] == "64x48"


@pytest.mark.parametrize("data", [b"", b"\x07", b"ab", bytes(5000)])
def test_images_of_any_length_are_accepted(data: bytes) -> None:
    monitor = ImageMonitor(0.0)
    for at in (1.0, 2.0):
        image = message(noise(), at)
        image.data = data
        monitor.received(image, at, ClockReading(at))
    assert monitor.issues(2.0) == []


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (1080, 1920), (719, 1283)])
def test_sample_is_small_and_covers_the_image(size: tuple[int, int]) -> None:
    height, width = size
    rows, columns, channels = np.indices((height, width, 3), np.uint16)
    for places, different in ((rows, height), (columns, width), (channels, 3)):
        low, high = (
            sample((places & 255).astype(np.uint8)),
            sample((places >> 8).astype(np.uint8)),
        )
        seen = high.astype(int) << 8 | low
        assert SAMPLES * 0.8 <= len(seen) <= SAMPLES * 2
        assert len(set(seen)) >= different / 8
        assert (len(set(seen)) == 3) == (different == 3)


def test_value_range_has_minimum_and_maximum() -> None:
    assert value_range(np.full((224, 320), 3.5, np.float32)) == (3.5, 3.5)
    smallest, largest = value_range(np.linspace(1.0, 9.0, 224 * 320).reshape(224, 320))
    assert (smallest, largest) == (pytest.approx(1.0, abs=0.02), pytest.approx(9.0, abs=0.02))


def test_rate_is_over_its_window_or_since_start() -> None:
    rate = Rate(since=10.0)
    for number in range(100):
        rate.add(10.0 + 0.1 * (number + 1))
    assert rate.hz(20.0) == pytest.approx(10.0, abs=0.2)
    assert rate.hz(20.0 + RATE_S) == 0.0
    young = Rate(since=0.0)
    young.add(0.5)
    assert young.hz(1.0) == 1.0
    assert [young.is_settled(at) for at in (RATE_S - 0.1, RATE_S)] == [False, True]


def test_counter_ends_with_the_first_exception() -> None:
    counter = ConsecutiveCounter()
    for at in range(12):
        counter.add(True, float(at))
    assert (counter.count, counter.seconds, counter.is_long) == (12, 11.0, True)
    counter.add(False, 12.0)
    assert (counter.count, counter.is_long) == (0, False)


def test_needs_no_ros() -> None:
    code = (
        "import sys; sys.modules['rclpy'] = sys.modules['sensor_msgs'] = None\n"
        "import depth_estimation_ros.node.frame_processor"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
