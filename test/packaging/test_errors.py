"""Messages of the package's errors: for people, whatever was found."""

from __future__ import annotations

from depth_estimation_ros.errors import ImageError


def test_a_message_says_what_was_found_what_was_expected_and_what_to_do() -> None:
    error = ImageError("It is wrong", found=1, expected=2, fix="Fix it.")
    assert str(error) == "It is wrong: found 1, expected 2. Fix it."


def test_a_megabyte_that_some_field_had_does_not_reach_the_log() -> None:
    message = str(ImageError("encoding", found="x" * 1_000_000, expected="rgb8"))
    assert len(message) < 1000
    assert "(1000000 characters), expected rgb8" in message


def test_half_characters_which_no_log_can_write_are_spelled_out() -> None:
    message = str(ImageError("name \ud800", found="\udfff"))
    assert message.encode() == rb"name \ud800: found \udfff"
