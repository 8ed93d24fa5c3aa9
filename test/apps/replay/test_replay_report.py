"""The report of a replay: its numbers are those of the recording, and every loss is on the page."""

from __future__ import annotations

import base64
import csv
import re
from pathlib import Path
from typing import Any

import cv2
import demo_recordings as recordings
import numpy as np
import pytest
import tiny_models
from html_page import Page
from replay_outputs import camera, report, stamps, write_output

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import write_report
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.bags import Recording


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = report(tmp_path, camera(truths=[recordings.depth(i) for i in range(8)]))
    assert page.root.all("script") == page.root.all("link") == []
    for word in ("http:", "https:", "@import"):
        assert word not in page.source
    assert set(re.findall(r"url\((.)", page.source)) <= {"#"}
    links = [e.attributes["src"] for e in page.root.all("img")]
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    ids = re.findall(r' id="[^"]*"', page.source)
    assert len(ids) == len(set(ids))
    assert len(page.source) < 3_000_000


def test_what_is_drawn_is_also_said(tmp_path: Path) -> None:
    page = report(tmp_path, camera(truths=[recordings.depth(i) for i in range(8)]))
    assert all(image.attributes["alt"] for image in page.root.all("img"))
    assert all(svg.attributes["aria-label"] for svg in page.root.all("svg"))
    assert all(table.all("caption")[0].text for table in page.root.all("table"))
    assert page.headings() == [
        "Sample frames",
        "Against ground truth",
        "Frames in time",
        "Time per frame",
        "Depth over time",
        "Settings",
    ]


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    engine_ms = [80.0, 82.5, 81.0, 95.0, 83.0, 80.5, 81.5, 140.0]
    total_ms = [ms + 7.25 for ms in engine_ms]
    page = report(tmp_path, camera(engine_ms=engine_ms, total_ms=total_ms))
    # 80 80.5 81 81.5 82.5 83 95 140 ms: p50 lies at place 3.5 of 0..7, p90 at 6.3, p99 at 6.93.
    p50, p90, p99 = 82.0, 95 + 0.3 * 45, 95 + 0.93 * 45
    assert page.table("Time per frame") == [
        ["", "p50", "p90", "p99", "max"],
        ["engine", f"{p50:.2f}", f"{p90:.2f}", f"{p99:.2f}", "140.00"],
        ["total", f"{p50 + 7.25:.2f}", f"{p90 + 7.25:.2f}", f"{p99 + 7.25:.2f}", "147.25"],
    ]
    assert page.key_figures()["engine, median"] == "82.0 ms"


def test_frames_in_out_and_bad(tmp_path: Path) -> None:
    depths: list[Any] = [recordings.depth(i) for i in range(8)]
    depths[3] = None
    page = report(tmp_path, camera(depths=depths))
    figures = page.key_figures()
    assert [figures[name] for name in ("frames in", "frames out", "bad")] == ["8", "7", "1"]
    assert figures["of recording"] == "0.7 s"
    assert figures["frames/s"] == "4.0"
    assert page.table("Frames without depth") == [
        ["camera", "second", "cause"],
        ["/front/image", "0.300", "step is 3, expected 192"],
    ]
    assert page.root.all("p", "status")[0].text == "Complete, with loss: 1 frame gave no depth."
    assert ["frames in, out, bad", "8, 7, 1"] in page.table("Topics and frames")


def test_missing_frames_are_found_by_the_stamps(tmp_path: Path) -> None:
    page = report(tmp_path, camera(stamps=stamps(0, 1, 2, 6, 7, 9, 10, 11)))
    assert page.table("The gaps") == [
        ["after second", "length, ms", "frames missing"],
        ["0.20", "400.0", "3"],
        ["0.70", "200.0", "1"],
    ]
    assert "About 4 frames missing in 2 gaps" in page.source
    assert ["median period", "100.0 ms (10.00 Hz)"] in page.table("Topics and frames")


def test_damage_of_the_recording(tmp_path: Path) -> None:
    damage = {"what": "ends in a chunk", "where": "a.mcap", "lost_messages": None, "lost_bytes": 7}
    page = report(tmp_path, camera(), damage=[damage], complete=True)
    assert page.table("Damage of the recording")[1] == ["a.mcap", "ends in a chunk", "unknown", "7"]
    assert "Losses" in page.headings()
    words = page.root.all("p", "status")[0].text
    assert words == "Complete, with loss: the recording is damaged."


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Complete: every frame gave depth."),
        ({"complete": False, "interrupted": True}, "Interrupted: this is how far it got"),
        ({"complete": False, "problem": "the disk is full"}, "Ended early: the disk is full"),
        ({"complete": False}, "Not finished: this is how far it got."),
    ],
)
def test_how_the_replay_ended(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    page = report(tmp_path, camera(frames=2), **fields)
    assert page.root.all("p", "status")[0].text.startswith(words)


def test_six_frames_are_shown_evenly(tmp_path: Path) -> None:
    page = report(tmp_path, camera(frames=51, points=True))
    rows = page.root.all("div", "row")
    captions = [[c.text for c in row.all("figcaption")] for row in rows]
    assert [row[0] for row in captions] == [f"{second:.2f} s" for second in range(6)]
    medians = [np.median(recordings.depth(i % 8)[::4, ::4]) for i in (0, 10, 20, 30, 40, 50)]
    assert [row[1] for row in captions] == [f"Depth, median {m:.2f} m" for m in medians]
    assert [row[2] for row in captions] == ["Points"] * 6
    picture = decoded(rows[1].all("img")[0].attributes["src"])
    expected = recordings.picture(10 % 8)[24, 32]
    assert np.abs(picture[135, 180].astype(int) - expected).max() <= 4  # JPEG
    assert decoded(rows[1].all("img")[2].attributes["src"]).shape == (360, 540, 3)


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)


def test_only_some_messages_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = write_output(tmp_path, [camera(frames=300, points=True)])
    read = 0
    messages = Recording.messages

    def counted(self: Recording, *args: Any) -> Any:
        nonlocal read
        for message in messages(self, *args):
            read += 1
            yield message

    monkeypatch.setattr(Recording, "messages", counted)
    write_report(output)
    # 6 frames of 3 messages, their depths before, for the range of the colours, and the first
    # of each image topic, to tell colour from depth.
    assert read <= 6 * 4 + 2


def test_several_cameras(tmp_path: Path) -> None:
    left, right = camera("left", points=True), camera("right", engine_ms=[50.0] * 8)
    page = report(tmp_path, left, right)
    names = [heading.text for heading in page.root.all("h3")]
    assert names == ["/left/image", "/right/image"] * 2  # sample frames, frames in time
    assert len(page.root.all("figure", "strip")) == 2
    assert page.table("Time per frame")[1][0:2] == ["engine", "33.50"]  # 10 to 17, and 50
    assert [row[0] for row in page.table("Time per frame")][3:] == [
        "engine, /left/image",
        "total, /left/image",
        "engine, /right/image",
        "total, /right/image",
    ]
    figures = [len(row.all("figure")) for row in page.root.all("div", "row")]
    assert figures == [3] * 6 + [2] * 6


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    name = 'a<b>&"c"'
    page = report(tmp_path, camera(name), notes=["<script>alert(1)</script>"])
    assert page.root.all("script") == []
    assert ["images", f"/{name}/image"] in page.table("Topics and frames")


def test_settings_that_are_not_the_default_come_first(tmp_path: Path) -> None:
    options = ReplayOptions(inputs=("a.mcap",), model="big.onnx", every=3, max_depth=4.0)
    page = report(tmp_path, camera(frames=2), options=options.to_json(), model="big 2.0")
    settings = page.table("What was replayed, and how")
    assert settings[-2:] == [["max_depth", "4.0"], ["every", "3"]]
    assert ["model", "big 2.0 (big.onnx)"] in settings
    defaults = page.table("Settings at their defaults")
    assert ["cloud_stride", "2"] in defaults
    assert "every" not in [row[0] for row in defaults]


def test_of_a_real_replay(tmp_path: Path) -> None:
    source = recordings.standard_bag(tmp_path / "in", 6)
    model = tiny_models.red_depth(tmp_path / "red.onnx")
    output = tmp_path / "out"
    replay(ReplayOptions(inputs=(str(source),), output=str(output), model=str(model)))
    page = Page(write_report(output))
    assert page.root.all("p", "status")[0].text == "Complete: every frame gave depth."
    assert page.key_figures()["frames out"] == "6"
    rows = list(csv.DictReader((output / "frames.csv").open()))
    times = [float(row["engine_ms"]) for row in rows]
    assert page.table("Time per frame")[1][1:] == [
        f"{value:.2f}" for value in (*np.percentile(times, (50, 90, 99)), max(times))
    ]
    scores = page.table("in: 6 frames against /ground_truth/depth/compressed")
    assert scores[1][1] == "0.000"  # this network reads the truth off the image
    truths = [np.rint(1000 * recordings.depth(i)) / 1000 for i in range(6)]
    constant = np.median(np.stack(truths))
    abs_rel = np.mean([np.mean(np.abs(constant - t) / t) for t in truths])
    assert scores[3][:2] == [f"one constant, {constant:.2f} m", f"{abs_rel:.3f}"]
    figures = [len(row.all("img")) for row in page.root.all("div", "row")]
    assert figures == [3] * 6 + [4]
