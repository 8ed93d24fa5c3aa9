"""Each data set left out of training once and scored on: the runs, and the table."""

import json

import pytest
import yaml
from training_runs import changed, write_room

from training.__main__ import main
from training.config import load_config

SETS = ["room", "hall"]
RECIPE = changed(
    data={"training": [{"path": name} for name in SETS], "validation": [{"path": "room"}]},
    optimizer={"steps": 4},
)


def command(root, *words, config=RECIPE):
    (root / "recipe.yaml").write_text(yaml.safe_dump(config))
    options = ["--config", root / "recipe.yaml", "--data", root, "--out", root / "out"]
    return ["leave-one-out", *map(str, [*options, *words])]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("leave_one_out")
    write_room(root / "room")
    write_room(root / "hall", frames=5)
    assert main(command(root, "--leave-out", *SETS)) == 0
    return root


def test_each_run_is_trained_without_the_set_that_it_is_scored_on(done):
    for left_out, kept in (("room", "hall"), ("hall", "room")):
        config = load_config(done / "out" / "recipe" / left_out / "config.yaml")
        assert [entry.path for entry in config.data.training] == [kept]
    table = json.loads((done / "out" / "leave_one_out.json").read_text())
    scored = [(e["dataset"], e["frames"]) for e in table["recipe"] if e["alignment"] == "median"]
    assert scored == [("room", 8)] * 2 + [("hall", 5)] * 2  # the model and a constant


def test_the_means_are_those_of_the_lines(done):
    lines = (done / "out" / "leave_one_out.md").read_text().splitlines()
    for who in ("recipe", "a constant"):
        rows = [
            [c.strip() for c in line.split("|")[1:-1]] for line in lines if f"| {who} |" in line
        ]
        *sets, mean = [row for row in rows if row[4] == who]
        assert [row[0] for row in (*sets, mean)] == ["room", "hall", "mean"]
        for column in range(5, 9):
            expected = sum(float(row[column]) for row in sets) / 2
            assert float(mean[column]) == pytest.approx(expected, abs=1e-3)


def test_what_is_trained_is_not_trained_again_unless_the_recipe_changed(done, capsys):
    final = done / "out" / "recipe" / "room" / "checkpoints" / "final.ckpt"
    before = final.stat().st_mtime_ns
    assert main(command(done, "--leave-out", *SETS)) == 0
    assert final.stat().st_mtime_ns == before
    other = changed(data=RECIPE["data"], optimizer={"steps": 4, "lr": 1e-4})
    assert main(command(done, "--leave-out", *SETS, config=other)) == 1
    assert "holds a run of another configuration" in capsys.readouterr().err


def test_a_set_that_is_not_trained_on_cannot_be_left_out(done, capsys):
    assert main(command(done, "--leave-out", "cellar")) == 1
    message = capsys.readouterr().err
    assert "found cellar, expected one of several data sets of data.training: room, hall" in message
