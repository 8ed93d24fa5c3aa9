"""Several configurations side by side: what is trained, what is not trained again, the table."""

import json
import logging

import pytest
import yaml
from torch import nn
from training_runs import changed, write_room

from training.__main__ import main
from training.networks import build_network
from training.research.runs import count_macs

NARROW = changed(network={"widths": [4, 4, 8]}, optimizer={"steps": 4})
WIDE = changed(network={"widths": [8, 8, 8]}, optimizer={"steps": 4})


def command(root, **configs):
    """The words of the command for configurations written as NAME.yaml."""
    files = [root / f"{name}.yaml" for name in configs]
    for file, config in zip(files, configs.values(), strict=True):
        file.write_text(yaml.safe_dump(config))
    words = ["ablation", "--configs", *files, "--data", root, "--out", root / "out"]
    return list(map(str, words))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("ablation")
    write_room(root / "room")
    assert main(command(root, narrow=NARROW, wide=WIDE)) == 0
    return root


def test_the_table_has_a_line_for_each_and_says_how_it_was_measured(done):
    text = (done / "out" / "ablation.md").read_text()
    assert "room, validation: 8 frames, crop none, cap 10 m, camera known" in text
    for alignment in ("none", "median"):
        assert f"Alignment: {alignment}." in text
    for name in ("narrow", "wide"):
        lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        assert [line.count("|") for line in lines] == [11, 11, 11]
        assert f"| {name} | basic | none | log_depth | 4 x 4 | 3 | 32 x 64 |" in lines[0]


def test_programs_get_the_same_numbers_and_the_whole_configuration(done):
    table = json.loads((done / "out" / "ablation.json").read_text())
    narrow, wide = table["candidates"]
    for candidate, config in ((narrow, NARROW), (wide, WIDE)):
        network = build_network(**config["network"])
        assert candidate["cost"]["parameters"] == sum(p.numel() for p in network.parameters())
        assert candidate["cost"]["macs"] == count_macs(network, 32, 64)
        assert candidate["cost"]["cpu_ms"] > 0.0
        assert candidate["config"]["optimizer"]["steps"] == 4
        entries = candidate["metrics"]
        assert [e["alignment"] for e in entries] == ["none", "none", "median", "median"]
        assert {(e["path"], e["frames"], e["cap_m"]) for e in entries} == {("room", 8, 10.0)}


def test_what_is_done_is_not_done_again(done, caplog):
    files = [done / "out" / name / "checkpoints" / "final.ckpt" for name in ("narrow", "wide")]
    before = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    with caplog.at_level(logging.INFO):
        assert main(command(done, narrow=NARROW, wide=WIDE)) == 0
    assert files[0].stat().st_mtime_ns == before[0]
    assert files[1].is_file()
    assert [m for m in caplog.messages if m.startswith("trained already")] == [
        f"trained already: {files[0]}"
    ]


def test_a_run_of_another_configuration_is_not_taken_for_this_one(done, capsys):
    other = changed(network={"widths": [4, 4, 8]}, optimizer={"steps": 4, "lr": 1e-4})
    assert main(command(done, narrow=other)) == 1
    assert "holds a run of another configuration" in capsys.readouterr().err


def test_how_a_run_is_watched_and_scored_does_not_make_it_another(done):
    sections = {
        "data": {"validation": [{"path": "room", "cap_m": 3.0}]},
        "trainer": {"validate_every": 2},
    }
    again = changed(network={"widths": [4, 4, 8]}, optimizer={"steps": 4}, **sections)
    assert main(command(done, narrow=again)) == 0
    assert "cap 3 m" in (done / "out" / "ablation.md").read_text()


def test_only_what_is_scored_on_the_same_frames_is_compared(tmp_path, capsys):
    other = changed(data={"validation": [{"path": "hall"}]})
    assert main(command(tmp_path, narrow=NARROW, wide=other)) == 1
    message = capsys.readouterr().err
    assert "wide.yaml: data.validation: found hall, expected the same as in" in message
    assert "narrow.yaml: room" in message


class Attention(nn.Module):
    """The rows of an image attend to each other; its colours are the heads."""

    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_multiplications_are_those_counted_by_hand():
    # 10 rows of 8 values: 10 x 10 x 8 for the weights, as many to apply them, for 3 colours.
    assert count_macs(Attention(), 10, 8) == 3 * 2 * 10 * 10 * 8
    conv = 9 * 4 * 4  # of a 3x3 convolution with 4 channels before and after, a pixel
    encoder = (9 * 3 * 4 + conv) * 16**2 + 2 * conv * 8**2 + 2 * conv * 4**2
    decoder = (conv + 2 * conv + conv) * (8**2 + 16**2)
    head = 9 * 4 * 16**2
    assert count_macs(build_network("basic", widths=(4, 4, 4)), 16, 16) == encoder + decoder + head
