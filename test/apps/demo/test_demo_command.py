"""The demo's command line refuses what cannot work before it starts anything."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from depth_estimation_ros.apps.demo import command


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("--hfov", "0", "a number, 1 to 179"),
        ("--hfov", "180", "a number, 1 to 179"),
        ("--hfov", "nan", "a number, 1 to 179"),
        ("--hfov", "wide", "a number, 1 to 179"),
        ("--frames", "-1", "a whole number, 0 or more"),
        ("--frames", "2.5", "a whole number, 0 or more"),
        ("--cloud-stride", "0", "a whole number, 1 to 64"),
        ("--cloud-stride", "65", "a whole number, 1 to 64"),
        ("--frame-timeout", "0", "a number, 0.1 to 86400"),
        ("--frame-timeout", "inf", "a number, 0.1 to 86400"),
        ("--domain-id", "-1", "a whole number, 0 to 101"),
        ("--domain-id", "102", "a whole number, 0 to 101"),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    argument: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([f"{argument}={value}"])
    assert ended.value.code == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"error: argument {argument}: found {value}, expected {expected}"
    assert second == "depth_estimation_demo --help shows all arguments and examples"
