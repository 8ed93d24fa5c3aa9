"""The arithmetic of a soak: what counts as growth, and what does not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from result_file import write
from samples import Sampler, Samples, growth, shared_files, slope, verdicts

SECONDS = [float(second) for second in range(1, 1201)]


def test_a_leak_shows_as_its_slope() -> None:
    memory = [300.0 + 2.5 * second / 60.0 for second in SECONDS]
    assert slope(SECONDS, memory) == pytest.approx(2.5)


def test_what_grows_in_the_first_half_alone_is_no_leak() -> None:
    memory = [300.0 + min(second, 600.0) for second in SECONDS]
    assert slope(SECONDS, memory) == 0.0


def test_noise_and_passing_peaks_are_no_leak() -> None:
    chance = np.random.default_rng(0)
    memory = 300.0 + chance.normal(0.0, 5.0, len(SECONDS))
    memory[chance.integers(0, len(SECONDS), 200)] += 80.0
    assert abs(slope(SECONDS, list(memory))) < 0.2


def test_a_small_leak_shows_below_noise() -> None:
    chance = np.random.default_rng(0)
    memory = [300.0 + 1.5 * second / 60.0 + chance.normal(0.0, 5.0) for second in SECONDS]
    assert 1.2 < slope(SECONDS, memory) < 1.8


@pytest.mark.parametrize("phase", [0, 20, 40])
def test_a_saw_of_every_round_is_no_leak_and_hides_none(phase: int) -> None:
    saw = [300.0 + 20.0 * ((second + phase) % 60) / 60 for second in SECONDS]
    assert slope(SECONDS, saw) < 0.5
    leak = [value + 1.5 * second / 60.0 for value, second in zip(saw, SECONDS, strict=True)]
    assert 1.4 < slope(SECONDS, leak) < 2.0


def test_handles_that_come_and_go_have_not_grown() -> None:
    assert growth(SECONDS, [20.0 + int(second) % 7 for second in SECONDS]) == 0.0


def test_one_handle_a_round_has() -> None:
    assert growth(SECONDS, [20.0 + second // 60 for second in SECONDS]) == 10.0


def test_a_process_is_sampled(tmp_path: Path) -> None:
    samples = Samples()
    samples.take(os.getpid(), 1.0)
    with (tmp_path / "file").open("w"):
        samples.take(os.getpid(), 2.0)
    assert samples.handles[1] == samples.handles[0] + 1
    assert 10.0 < samples.private_mb[0] < samples.rss_mb[0]
    assert samples.threads[0] >= 1
    with pytest.raises(OSError, match="status"):
        samples.take(1 << 22, 3.0)


def test_shared_memory_is_found_by_its_files() -> None:
    file = Path("/dev/shm") / f"soak_{os.getpid()}"
    try:
        held = np.memmap(file, np.uint8, "w+", shape=4096)
        assert file.name in shared_files(os.getpid())
        del held
    finally:
        file.unlink(missing_ok=True)


def test_minutes_without_a_sample_are_no_proof() -> None:
    seconds = [*SECONDS[:400], *SECONDS[1000:]]
    flat = [10.0] * len(seconds)
    samples = Samples(seconds, flat, flat, flat, flat, flat)
    assert [(name, value) for name, value, limit in verdicts(samples) if value > limit] == [
        ("longest time without a sample, s", 601.0)
    ]


def test_a_sampler_takes_a_last_sample_of_a_process_that_lives() -> None:
    assert len(Sampler(os.getpid()).stop().seconds) == 1
    assert Sampler(1 << 22).stop().seconds == []


def test_the_verdict_names_what_grows() -> None:
    flat = [10.0] * len(SECONDS)
    growing = [10.0 + second for second in SECONDS]
    samples = Samples(SECONDS, growing, flat, flat, growing, flat)
    assert [name for name, value, limit in verdicts(samples) if value > limit] == [
        "rss_mb a minute, second half",
        "handles more than before",
    ]


def test_a_way_back_that_never_ended_is_null_in_the_file_as_json_has_no_infinity(
    tmp_path: Path,
) -> None:
    verdict = ("longest way back, s", float("inf"), 10.0)
    result = {"recovery_s": {"silent": float("inf"), "past": 0.5}, "verdicts": [verdict]}
    write(result, tmp_path / "soak.json")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    text = (tmp_path / "soak.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {
        "recovery_s": {"silent": None, "past": 0.5},
        "verdicts": [["longest way back, s", None, 10.0]],
    }
