"""What the watch of images names, by numbers; no ROS."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from depth_estimation_ros.node.diagnostics.image_monitor import (
    EVENT_S,
    STALLED_S,
    Clock,
    ImageMonitor,
)
from depth_estimation_ros.node.diagnostics.image_samples import (
    SAMPLES,
    is_black,
    is_saturated,
    sample,
    spread,
)
from depth_estimation_ros.node.diagnostics.rates import (
    RATE_S,
    STREAK_COUNT,
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
    """Shows images to a watch, ten a second; `now` is time.monotonic()."""

    def __init__(self, max_age: float = 60.0) -> None:
        self.now = 100.0
        self.watch = ImageMonitor(self.now, lambda: max_age)

    def show(
        self,
        rgb: np.ndarray | None = None,
        *,
        stamp: float | None = None,
        clock: Clock | None = None,
        period: float = 0.1,
    ) -> float | None:
        self.now += period
        rgb = noise() if rgb is None else rgb
        stamp = BASE + self.now - 0.02 if stamp is None else stamp
        clock = clock or Clock(BASE + self.now)
        age = self.watch.image(message(rgb, stamp), self.now, clock)
        self.watch.picture(rgb, self.now)
        return age

    @property
    def texts(self) -> list[str]:
        return [finding.text for finding in self.watch.findings(self.now)]

    @property
    def errors(self) -> list[str]:
        return [f.text for f in self.watch.findings(self.now) if f.is_error]


def test_a_good_camera_is_given_no_word() -> None:
    camera = Camera()
    for _ in range(60):
        assert camera.show() == pytest.approx(0.02, abs=1e-5)
    assert camera.texts == []
    values = camera.watch.values(camera.now + 0.5)
    assert float(values["input_rate_hz"]) == pytest.approx(9.0, abs=0.3)  # 45 in the last 5 s
    assert values["seconds_since_last_image"] == "0.50"
    assert values["stamp_age_s"] == "0.020"
    assert values["image_size"] == "64x48"
    assert values["size_changes"] == values["clock_jumps"] == values["stamps_went_back"] == "0"


def test_the_same_image_with_the_same_stamp_is_a_frozen_camera_until_a_new_one() -> None:
    camera, rgb = Camera(), noise()
    stamp = BASE + camera.now
    for _ in range(STREAK_COUNT + 1):
        assert camera.texts == []
        camera.show(rgb, stamp=stamp, period=0.12)
    assert camera.errors == [
        "the camera is frozen: the same image, with the same stamp, 11 times in a row"
    ]
    camera.show()
    assert camera.texts == []


def test_the_same_image_with_new_stamps_is_only_suspected_and_not_in_a_simulation() -> None:
    camera, simulated, rgb = Camera(), Camera(), noise()
    for _ in range(20):
        camera.show(rgb)
        simulated.show(rgb, clock=Clock(BASE + simulated.now, simulated=True))
    assert camera.errors == []
    assert camera.texts == [
        "the camera may be frozen: 20 images in a row, with new stamps, show exactly the same"
    ]
    assert simulated.texts == []


def test_new_images_with_one_stamp_or_with_none_are_named() -> None:
    standing, without = Camera(), Camera()
    for _ in range(15):
        standing.show(stamp=BASE + 99.0)
        without.show(stamp=0.0)
    assert standing.texts == ["the stamp of the images stands still: 15 images with one stamp"]
    assert without.texts == ["the images have no stamp (0): 15 in a row"]
    assert without.watch.values(without.now)["stamp_age_s"] == ""


def test_frozen_at_one_image_a_second_takes_ten_of_them_and_at_a_hundred_a_second_one() -> None:
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
    # When nobody asks for depth any more, no picture is decoded, and the old ones are no news.
    for number in range(60):
        camera.now += 0.1
        image = message(np.roll(rgb, number), BASE + camera.now)
        camera.watch.image(image, camera.now, Clock(BASE + camera.now))
    assert camera.texts == []


def test_lamps_at_night_and_a_window_by_day_are_neither() -> None:
    night, day = noise(0, 10, 480, 640), noise(251, 256, 480, 640)
    night[:100, :100] = 200
    day[:100, :100] = 100
    assert not is_black(sample(night.data))
    assert not is_saturated(sample(day.data))


def test_stamps_that_go_back_are_news_for_a_while() -> None:
    camera = Camera()
    camera.show()
    camera.show(stamp=BASE + camera.now - 3.02)  # 0.1 s later
    assert camera.texts == ["the stamps of the images went back by 3.000 s"]
    for _ in range(int(EVENT_S / 0.1) + 1):
        camera.show()
    assert camera.texts == []
    assert camera.watch.values(camera.now)["stamps_went_back"] == "1"


def test_a_recording_in_a_loop_goes_back_without_a_word() -> None:
    camera = Camera()
    for stamp in (5.0, 5.1, 5.2, 5.0, 5.1):
        camera.show(stamp=stamp, clock=Clock(stamp, simulated=True))
    assert camera.texts == []
    assert camera.watch.values(camera.now)["stamps_went_back"] == "1"


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


def test_a_clock_that_is_set_is_named_but_not_a_simulated_one() -> None:
    camera = Camera(max_age=0.0)
    camera.show()
    camera.show(clock=Clock(BASE + camera.now + 0.1 - 3600.0))
    assert camera.texts == ["the clock of this machine jumped by -3600.000 s"]
    simulated = Camera(max_age=0.0)
    for seconds in (1.0, 2.0, 100.0, 50.0):
        simulated.show(clock=Clock(seconds, simulated=True))
    assert simulated.texts == []


def test_another_size_in_mid_stream_is_news() -> None:
    camera = Camera()
    camera.show(noise(height=48, width=64))
    camera.show(noise(height=24, width=32))
    assert camera.texts == ["the size of the images changed from 64x48 to 32x24"]
    camera.show(noise(height=48, width=64))
    assert camera.watch.values(camera.now)["size_changes"] == "2"


def test_a_camera_that_stops_has_stalled_and_one_that_never_came_has_not() -> None:
    camera = Camera()
    assert camera.watch.findings(camera.now + STALLED_S) == []
    (silent,) = camera.watch.findings(camera.now + STALLED_S + 1.0)
    assert (silent.text, silent.is_error) == ("no image for 6 s", False)
    camera.show()
    (stalled,) = camera.watch.findings(camera.now + STALLED_S + 3.0)
    assert stalled.text == "no image for 8 s: the camera has stalled"
    assert stalled.is_error


def test_a_slow_camera_is_named_when_a_rate_is_asked_for() -> None:
    camera = Camera()
    for _ in range(10):
        camera.show(period=0.5)
    assert camera.watch.findings(camera.now) == []
    (slow,) = camera.watch.findings(camera.now, min_rate=10.0)
    assert slow.text == "images come at 2.0 Hz, less than 10"
    assert camera.watch.findings(camera.now, min_rate=1.5) == []
    assert Camera().watch.findings(100.0 + RATE_S - 0.1, min_rate=10.0) == []  # too early to say


def test_a_camera_info_of_another_frame_or_camera_disagrees() -> None:
    camera = Camera()
    info = message(noise(), 1.0, frame_id="lidar")
    for _ in range(15):
        camera.show()
        camera.watch.camera_info(message(noise(), 1.0), info, camera.now)
    assert camera.texts == [
        "CameraInfo disagrees with the image: its frame_id is 'lidar', that of the image 'camera'"
    ]
    camera.watch.camera_info(message(noise(), 1.0), None, camera.now)
    camera.watch.camera_disagrees("The CameraInfo belongs to another image size", camera.now)
    assert camera.errors == ["The CameraInfo belongs to another image size"]
    camera.show()
    assert camera.texts == []


def test_one_number_for_a_picture_of_many_colours_is_named() -> None:
    camera = Camera()
    flat, deep = np.full((24, 32), 80.0, np.float32), np.ones((24, 32), np.float32)
    deep[:, 16:] = 2.0
    for _ in range(15):
        camera.show()
        camera.watch.answer(flat, camera.now)
    assert camera.texts == [
        "the network answers one number for the whole picture: 15 times in a row"
    ]
    camera.watch.answer(deep, camera.now)
    assert camera.texts == []
    for _ in range(15):  # of a wall of one colour, one number is no wonder
        camera.show(np.full((48, 64, 3), (90, 60, 30), np.uint8), stamp=BASE + camera.now)
        camera.watch.answer(flat, camera.now)
    assert not any("network" in text for text in camera.texts)


def test_compressed_images_get_their_size_when_decoded() -> None:
    watch = ImageMonitor(0.0)
    header = message(noise(), 1.0).header
    image = SimpleNamespace(header=header, data=b"\xff\xd8 a JPEG", format="jpeg")
    watch.image(image, 1.0, Clock(0.0))
    assert watch.values(1.0)["image_size"] == ""
    watch.picture(noise(), 1.0)
    assert watch.values(1.0)["image_size"] == "64x48"


@pytest.mark.parametrize("data", [b"", b"\x07", b"ab", bytes(5000)])
def test_images_of_any_length_are_seen(data: bytes) -> None:
    watch = ImageMonitor(0.0)
    for at in (1.0, 2.0):
        image = message(noise(), at)
        image.data = data
        watch.image(image, at, Clock(at))
    assert watch.findings(2.0) == []


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (1080, 1920), (719, 1283)])
def test_a_sample_is_small_and_of_all_colours_rows_and_columns(size: tuple[int, int]) -> None:
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


def test_spread_sees_the_least_and_the_largest() -> None:
    assert spread(np.full((224, 320), 3.5, np.float32)) == (3.5, 3.5)
    least, largest = spread(np.linspace(1.0, 9.0, 224 * 320).reshape(224, 320))
    assert (least, largest) == (pytest.approx(1.0, abs=0.02), pytest.approx(9.0, abs=0.02))


def test_a_rate_is_over_its_window_or_since_the_start() -> None:
    rate = Rate(since=10.0)
    for number in range(100):
        rate.note(10.0 + 0.1 * (number + 1))
    assert rate.hz(20.0) == pytest.approx(10.0, abs=0.2)
    assert rate.hz(20.0 + RATE_S) == 0.0
    young = Rate(since=0.0)
    young.note(0.5)
    assert young.hz(1.0) == 1.0
    assert [young.is_settled(at) for at in (RATE_S - 0.1, RATE_S)] == [False, True]


def test_a_streak_ends_with_the_first_that_is_otherwise() -> None:
    streak = ConsecutiveCounter()
    for at in range(12):
        streak.note(True, float(at))
    assert (streak.count, streak.seconds, streak.is_long) == (12, 11.0, True)
    streak.note(False, 12.0)
    assert (streak.count, streak.is_long) == (0, False)


def test_needs_no_ros() -> None:
    code = (
        "import sys; sys.modules['rclpy'] = sys.modules['sensor_msgs'] = None\n"
        "import depth_estimation_ros.node.diagnostics.image_monitor\n"
        "import depth_estimation_ros.node.diagnostics.stage_times"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
