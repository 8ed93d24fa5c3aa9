"""Intervals of means, against what is known of them."""

import math

import numpy as np
import pytest

from training.evaluation.statistics import block_length, mean_interval


def test_frames_that_are_all_the_same_leave_no_doubt():
    assert mean_interval([0.25] * 30) == (0.25, 0.25)


def test_independent_frames_give_the_interval_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(5.0, 2.0, 10_000)
    low, high = mean_interval(values)
    expected = 1.96 * values.std() / math.sqrt(len(values))
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.1 * expected)


def test_frames_that_look_like_their_neighbours_count_for_fewer():
    apart = np.random.default_rng(2).normal(0.0, 1.0, 100)
    low, high = mean_interval(np.repeat(apart, 100))  # each block of 100 says one thing
    alone_low, alone_high = mean_interval(apart)
    assert block_length(100 * 100) == 100
    assert (high - low) == pytest.approx(alone_high - alone_low, rel=0.35)


def test_frames_without_the_number_are_left_out_and_none_gives_none():
    assert mean_interval([math.nan, 0.5, math.nan, 0.5]) == (0.5, 0.5)
    assert all(math.isnan(end) for end in mean_interval([math.nan]))


def test_the_same_frames_give_the_same_interval():
    values = np.random.default_rng(3).random(50)
    assert mean_interval(values) == mean_interval(values)
