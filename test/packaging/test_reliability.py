"""docs/reliability.md: every fault in it has its tests, named here beside them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TEST = Path(__file__).resolve().parents[1]
PAGE = TEST.parent / "docs" / "reliability.md"
HEAD = ["Fault", "What happens", "Recovers after", "Images lost"]
TESTS = {
    "frozen: the same bytes or pixels again": (
        "test_node_watch.py::test_a_frozen_camera_is_an_error_until_it_moves",
        "test_image_monitor.py::test_same_image_with_new_stamps_is_suspected",
    ),
    "covered or saturated": (
        "test_node_watch.py::test_a_covered_lens_is_an_error_until_it_is_open",
    ),
    "stalled, or killed and started again": (
        "test_node_watch.py::test_a_stalled_camera_is_an_error_until_it_goes_on",
        "test_subscriptions.py::test_lost_images_and_a_stalled_camera_differ",
        "test_node_faults_peers.py::test_camera_that_is_killed_and_started_again_is_heard_again",
    ),
    "faster than the network": (
        "test_node_faults_peers.py::test_full_hd_at_sixty_hertz_into_a_slow_network_queues_nothing",
    ),
    "wrong stamps: back, far off, none, all the same": (
        "test_image_monitor.py::test_stamps_that_go_back_are_an_event",
        "test_node_watch.py::test_stamps_of_another_day_are_a_warning_where_ages_are_looked_at",
        "test_image_monitor.py::test_stamps_far_from_the_clock",
        "test_image_monitor.py::test_new_images_with_one_or_no_stamp",
        "test_image_monitor.py::test_clock_jumps_unless_simulated",
    ),
    "time jumps back (a bag in a loop)": (
        "test_node_time.py::test_every_frame_of_three_loops_comes_out_and_jumps_are_counted",
        "test_node_time.py::test_a_frame_of_the_old_time_that_waits_for_the_network_is_dropped",
    ),
    "simulated time without a clock": (
        "test_node_time.py::test_without_any_clock_depth_flows_and_the_log_says_once_that_there_is_none",
        "test_node_time.py::test_a_paused_clock_stops_neither_depth_nor_diagnostics",
    ),
    "image size changes, or differs between cameras on one topic": (
        "test_node_watch.py::test_another_size_is_news_and_a_camera_info_of_the_old_size_an_error",
        "test_node_faults_peers.py::test_five_cameras_of_different_sizes_on_one_topic_each_get_their_depth",
    ),
    "CameraInfo of another size": (
        "test_node_camera_info.py::test_camera_info_of_another_size_is_a_bad_frame_until_it_fits",
    ),
    "CameraInfo of another frame": (
        "test_image_monitor.py::test_camera_info_of_another_camera_disagrees",
    ),
    "CameraInfo missing, zero, or of an unknown lens": (
        "test_node_camera_info.py::test_without_camera_info_depth_goes_on_after_the_timeout_at_the_assumed_view",
        "test_node_camera_info.py::test_camera_info_of_zeros_means_uncalibrated",
        "test_node_camera_info.py::test_lens_model_that_is_not_supported_costs_the_cloud_only",
    ),
    "truncated data, unknown encoding, no size": (
        "test_node_frames.py::test_bad_image_is_dropped_and_told_and_the_next_good_one_is_processed",
    ),
    "an image larger than `max_image_pixels`, or a decompression bomb": (
        "test_images.py::test_a_bomb_is_refused_by_its_declared_size",
        "test_fuzz.py::test_three_hundred_cases_of_noise_end_in_an_answer_or_in_words",
        "test_node_frames.py::test_image_of_more_pixels_than_the_parameter_says_is_dropped_and_told",
        "test_largest_image.py::test_all_that_is_made_of_it_stays_within_half_a_gigabyte",
    ),
    "slower than `diagnostics_min_rate`, later than `diagnostics_max_latency`": (
        "test_node_watch.py::test_a_rate_and_a_latency_that_are_asked_for_and_missed_are_warnings",
    ),
    "one camera of several has any of this": (
        "test_node_cameras.py::test_a_camera_with_bad_images_does_not_disturb_the_other",
    ),
    "only NaN, infinities or zeros": (
        "test_node_faults_engine.py::test_prediction_without_depth_costs_one_frame",
    ),
    "the same number everywhere": (
        "test_image_monitor.py::test_constant_prediction_of_a_varied_image",
    ),
    "raises, or returns a wrong shape": (
        "test_node_faults_engine.py::test_failing_network_deactivates_with_the_reason",
    ),
    "hangs": (
        "test_node_faults_engine.py::test_hanging_network_deactivates_the_node",
        "test_node_faults_engine.py::test_run_that_cannot_be_cancelled_ends_the_process",
        "test_node_faults_engine.py::test_deactivate_returns_although_the_network_hangs",
        "test_watchdog.py::test_time_of_a_stopped_process_does_not_count",
    ),
    "hangs while it is opened": (
        "test_node_faults_engine.py::test_network_that_hangs_at_start_fails_to_configure",
    ),
    "its file is deleted or replaced": (
        "test_node_faults_engine.py::test_model_file_may_change_while_it_runs",
    ),
    "no network, no card, not metric, weights elsewhere": (
        "test_node_lifecycle.py::test_bad_model_is_refused_in_words_and_a_good_one_configures_afterwards",
        "test_onnx_files.py::test_weights_outside_the_folder_are_refused",
        "test_onnx_files.py::test_a_size_unlike_its_data_is_refused",
        "test_schema.py::test_yaml_that_grows_or_acts_is_refused",
        "test_schema.py::test_a_huge_sidecar_is_refused_unread",
    ),
    "a listener that never reads": (
        "test_node_faults_peers.py::test_listener_that_stands_still_delays_nobody_and_costs_no_memory",
    ),
    "incompatible quality of service": (
        "test_node_faults_peers.py::test_publisher_of_a_lesser_quality_of_service_is_named_in_the_log",
        "test_node_faults_peers.py::test_listener_that_asks_for_more_quality_of_service_is_named_in_the_log",
    ),
    "SIGINT or SIGTERM": (
        "test_node_faults_peers.py::test_signal_ends_the_node_while_a_camera_sends_and_nothing_is_left_behind",
        "test_node_faults_engine.py::test_sigint_ends_a_node_whose_network_hangs",
    ),
    "SIGKILL or a crash": (
        "test_launch_without_launch.py::test_the_node_respawns_but_not_rviz",
        "test_launch_files.py::test_a_node_that_was_killed_comes_back_if_that_is_asked_for",
        "test_node_faults_peers.py::test_killed_node_leaves_a_topic_that_the_next_one_takes_over",
    ),
    "transitions in any order, again and again, under load": (
        "test_memory.py::test_threads_that_come_and_go_keep_no_frame_each",
        "test_memory.py::test_all_threads_of_the_node_share_one_heap",
        "test_node_lifecycle_repeats.py::test_every_transition_from_every_state_many_times",
        "test_node_lifecycle_repeats.py::test_shutdown_from_every_state_many_times",
        "test_node_lifecycle.py::test_images_streaming_in_do_not_disturb_transitions",
    ),
    "a wrong parameter": (
        "test_node_services.py::test_set_with_one_bad_value_changes_nothing_of_it",
        "test_node_parameters.py::test_bad_start_values_keep_the_node_unconfigured",
    ),
    "paused by `~/enable`": (
        "test_node_services.py::test_disabled_node_stays_active_and_drops_images_until_it_is_enabled",
    ),
    "a full or read-only disk": (
        "test_node_faults_disk.py::test_log_on_a_full_disk_stops_nothing",
        "test_node_faults_disk.py::test_log_that_cannot_be_made_stops_nothing",
        "test_engine_cache.py::TestBuild::test_a_full_disk_is_known_before_building",
        "test_engine_cache.py::TestBuild::test_a_disk_that_is_full_after_the_build_keeps_the_engine_of_before",
        "test_replay_damage.py::test_full_disk_leaves_what_was_done_for_resume",
    ),
}


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row != HEAD and set("".join(row)) != {"-"}]


def names(path: Path) -> set[str]:
    """Of the tests of a file: test_x, or TestX::test_x."""
    tree = ast.parse(path.read_text())
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for group in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        inner = (node for node in group.body if isinstance(node, ast.FunctionDef))
        found |= {f"{group.name}::{node.name}" for node in inner}
    return found


def test_page_has_the_faults_that_are_tested() -> None:
    assert [row[0] for row in rows()] == list(TESTS)
    assert all(len(row) == len(HEAD) and all(row) for row in rows())


@pytest.mark.parametrize("fault", TESTS)
def test_tests_of_a_fault_are_there(fault: str) -> None:
    assert TESTS[fault]
    for test in TESTS[fault]:
        file, _, name = test.partition("::")
        (path,) = TEST.rglob(file)
        assert not name or name in names(path)
