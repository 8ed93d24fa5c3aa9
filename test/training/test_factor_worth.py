"""Small trainings with and without factors of the scenes: the runs, the frames, the table."""

import json

import pytest
import yaml
from training_runs import changed, write_room

from training.__main__ import main
from training.config import load_config

CONFIG = changed(
    data={"training": [{"path": "any"}], "validation": [{"path": "room"}]}, optimizer={"steps": 4}
)


def command(root, *factors):
    (root / "small.yaml").write_text(yaml.safe_dump(CONFIG))
    words = ["factor-worth", "--config", root / "small.yaml", "--data", root, "--out", root / "out"]
    words += ["--count", 4, "--size", "64x32", "--repeat", 2, "--workers", 1]
    return [*map(str, words), "--factors", *factors]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("factor_worth")
    write_room(root / "room")
    assert main(command(root, "clutter", "kind:hall+mirrors")) == 0
    return root


def test_each_run_is_trained_on_frames_of_the_same_seeds_without_its_factor(done):
    out = done / "out"
    for name, without, seed in (
        ("everything_3", [], 3),
        ("everything_4", [], 4),
        ("clutter", ["clutter"], 3),
        ("kind:hall+mirrors", ["kind:hall", "mirrors"], 3),
    ):
        config = load_config(out / "runs" / name / "config.yaml")
        assert config.seed == seed
        (entry,) = config.data.training
        about = json.loads((done / entry.path / "frames.json").read_text())
        assert (about["without"], about["seed"], len(about["frames"])) == (without, 1, 4)


def test_the_table_compares_with_the_mean_of_the_trainings_with_everything(done):
    text = (done / "out" / "factor_worth.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [row[0] for row in rows] == ["nothing (everything)"] * 2 + [
        "clutter",
        "kind:hall+mirrors",
    ]
    table = json.loads((done / "out" / "factor_worth.json").read_text())
    scores = {
        name: [
            next(e["abs_rel"] for e in entries if e["alignment"] == "median") for entries in runs
        ]
        for name, runs in table.items()
    }
    middle = sum(scores["everything"]) / 2
    expected = [*scores["everything"], *scores["clutter"], *scores["kind:hall+mirrors"]]
    for row, value in zip(rows, expected, strict=True):
        score, difference = row[2].rstrip(")").split(" (")
        assert float(score) == pytest.approx(value, abs=6e-4)
        assert float(difference) == pytest.approx(value - middle, abs=6e-4)


def test_an_unknown_factor_is_named_with_the_known_ones(done, capsys):
    with pytest.raises(SystemExit):
        main(command(done, "gravity"))
    assert "'gravity' is no factor; known are shapes, clutter" in capsys.readouterr().err
