"""`python -m training evaluate`: any model, any data set, and what it writes."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml
from tiny_models import red_depth
from training_checkpoints import CONFIG, tiny_checkpoint

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.model_card import METADATA_KEY
from training.__main__ import main
from training.config import load_config
from training.evaluation.inputs import parse_options
from training.trainer.loaders import open_sets

HEIGHT, WIDTH = 48, 64


def write_frame(folder: Path, name: str, red: np.ndarray, depth: np.ndarray) -> None:
    bgr = np.zeros((*red.shape, 3), np.uint8)
    bgr[..., 2] = red
    cv2.imwrite(str(folder / f"{name}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 100])
    cv2.imwrite(str(folder / f"{name}.png"), np.rint(1000 * depth).astype(np.uint16))


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Three walls at 2, 4 and 6 m, with intrinsics; the redder the farther."""
    folder = tmp_path / "room"
    folder.mkdir()
    for index, metres in enumerate((2.0, 4.0, 6.0)):
        red = np.full((HEIGHT, WIDTH), round(255 * (metres - 1.0) / 8.0), np.uint8)
        write_frame(folder, f"{index:05}", red, np.full((HEIGHT, WIDTH), metres))
    camera = {"fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5}
    (folder / "info.json").write_text(json.dumps({"intrinsics_px": camera}))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Its depth is 1 + 8 * red / 255 metres: right in that room."""
    return red_depth(tmp_path / "red.onnx")


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments)])


def test_the_report_is_a_folder_of_numbers_and_images(room: Path, model: Path) -> None:
    out = room.parent / "report"
    assert evaluate("--model", model, "--data", room, "--out", out, "--split", "unseen") == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "01_room.png",
        "per_image.csv",
        "report.json",
        "report.md",
    ]
    report = json.loads((out / "report.json").read_text())
    assert report["model"] == str(model)
    assert len(report["sha256"]) == 64
    (scored,) = report["sets"]
    said = {key: scored[key] for key in ("dataset", "split", "crop", "cap_m", "camera", "frames")}
    assert said == {
        "dataset": "room",
        "split": "unseen",
        "crop": "none",
        "cap_m": 10.0,
        "camera": "known",
        "frames": 3,
    }
    rows = {(row["predictor"], row["alignment"]): row for row in scored["rows"]}
    assert rows["model", "none"]["delta1"] == 1.0
    assert rows["model", "none"]["abs_rel"] < 0.01
    assert rows["data set's median", "none"]["abs_rel"] == pytest.approx(4 / 9, abs=0.01)
    assert [b["to_m"] for b in scored["by_distance"]] == [1, 2, 4, 7, 10] * 2
    assert [b["frames"] for b in scored["by_distance"]] == [0, 0, 1, 2, 0] * 2
    assert scored["by_distance"][0]["rmse"] is None  # nothing nearer than 1 m

    text = (out / "report.md").read_text()
    assert "room, unseen: 3 frames, crop none, cap 10 m, camera known." in text
    assert "| model | none |" in text
    assert "| model | median |" in text
    assert "![best, median and worst frame of room](01_room.png)" in text
    image = cv2.imread(str(out / "01_room.png"))
    assert image.shape[1] > 4 * 320  # camera, depth, truth, error


def test_every_frame_is_in_the_csv_with_both_alignments(room: Path, model: Path) -> None:
    out = room.parent / "frames.csv"
    assert evaluate("--model", model, "--data", room, "--csv", out, "--crop", "eigen_nyu") == 0
    lines = list(csv.DictReader(out.open()))
    assert [(line["frame"], line["alignment"]) for line in lines] == [
        (frame, alignment)
        for frame in ("00000", "00001", "00002")
        for alignment in ("none", "median")
    ]
    assert {line["crop"] for line in lines} == {"eigen_nyu"}
    # Rows 4 to 46 and columns 4 to 59 of 48x64.
    assert {int(line["valid_pixels"]) for line in lines} == {(47 - 4) * (60 - 4)}
    assert all(float(line["delta1"]) == 1.0 for line in lines)


def test_entries_for_a_card_say_the_crop_and_the_split(room: Path, model: Path) -> None:
    out = room.parent / "card.json"
    assert (
        evaluate("--model", model, "--data", room, "--json", out, "--crop", "garg", "--flip") == 0
    )
    entries = json.loads(out.read_text())
    assert {entry["crop"] for entry in entries} == {"garg"}
    assert {entry["split"] for entry in entries} == {"all frames"}
    assert all(entry["flip_averaged"] for entry in entries)


def test_a_broken_frame_is_named_and_the_exit_code_says_so(
    room: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "00001.png").write_bytes(b"not an image")
    out = room.parent / "report"
    assert evaluate("--model", model, "--data", room, "--out", out) == 1
    printed = capsys.readouterr()
    assert "room: 1 of 3 frames cannot be read; the numbers are of the others" in printed.err
    assert "00001" in printed.err
    (scored,) = json.loads((out / "report.json").read_text())["sets"]
    assert (scored["frames"], [bad["frame"] for bad in scored["unreadable"]]) == (2, ["00001"])
    assert "Not scored, because they could not be read (1):" in (out / "report.md").read_text()


def test_a_network_of_another_house_is_judged_by_its_card(room: Path) -> None:
    foreign = red_depth(room.parent / "foreign.onnx")
    card = strip_card(foreign)
    (room.parent / "foreign.card.yaml").write_text(yaml.safe_dump(card))
    out = room.parent / "card.json"
    assert evaluate("--model", foreign, "--data", room, "--json", out) == 0
    assert json.loads(out.read_text())[0]["delta1"] == 1.0


def strip_card(path: Path) -> dict:
    """Take the card out of an ONNX file and returns it."""
    network = onnx.load(path)
    (card,) = (
        json.loads(entry.value) for entry in network.metadata_props if entry.key == METADATA_KEY
    )
    del network.metadata_props[:]
    onnx.save(network, path)
    return card


def test_the_validation_sets_of_a_configuration(room: Path, model: Path) -> None:
    """Checked on a shipped configuration, whose only validation set is synthetic/val."""
    root = room.parent / "data"
    (root / "synthetic").mkdir(parents=True)
    room.rename(root / "synthetic" / "val")
    out = root / "card.json"
    config = CONFIG.with_name("compact_scenes.yaml")
    assert evaluate("--model", model, "--config", config, "--data", root, "--json", out) == 0
    (entry, *_) = json.loads(out.read_text())
    assert (entry["dataset"], entry["split"]) == ("val", "validation")


def test_of_a_set_with_holdout_no_frame_that_was_trained_on_is_scored(
    tmp_path: Path, model: Path
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    flat = np.full((HEIGHT, WIDTH), 2.0)
    for index in range(12):
        write_frame(room, f"{index:05}", np.full(flat.shape, 32, np.uint8), flat)
    (room / "info.json").write_text("{}")
    values = yaml.safe_load(CONFIG.read_text())
    values["data"]["training"] = [{"path": "room", "weight": 1.0, "holdout": 0.5}]
    values["data"]["validation"] = [{"path": "room", "holdout": 0.5}]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(values))
    out = tmp_path / "frames.csv"
    assert evaluate("--model", model, "--config", config, "--data", tmp_path, "--csv", out) == 0
    scored = {line["frame"] for line in csv.DictReader(out.open())}
    (trained,) = open_sets(load_config(config).data.training, tmp_path, validation=False)
    trained_on = {trained.frame_name(index) for index in range(len(trained))}
    assert (len(scored), len(trained_on)) == (6, 2)  # the other four are the gap between them
    assert scored.isdisjoint(trained_on)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "split"], r"--option: found 'split', expected name=value"),
        (["--option", "nonsense=1"], r"data set folder: .*unexpected keyword argument 'nonsense'"),
        (["--distances", "4", "2"], r"rising numbers"),
        (["--cap", "0"], r"cap: found 0 m, expected more than 0\.001 m"),
        (["--assumed-hfov", "200"], r"--assumed-hfov: found 200, expected degrees"),
        (["--model", "missing.ckpt"], r"no checkpoint missing\.ckpt"),
        (
            ["--model", "a.ckpt", "--backend", "openvino"],
            r"found openvino for a checkpoint\. Leave",
        ),
        (["--model", "a.ckpt", "--precision", "fp32"], r"found fp32 for a checkpoint\. Leave"),
        (["--config", "x.yaml", "--layout", "folder"], r"--config with --layout or --option"),
        (["--config", "x.yaml"], r"no training config x\.yaml"),
    ],
)
def test_wrong_arguments_are_errors_with_a_next_step(
    room: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert evaluate("--data", room, *arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_values_of_options_are_json_or_else_text() -> None:
    words = ["split=test", "height=352", "share=0.5", "mirror=true", "drives=[1, 2]", "day=2011_09"]
    assert parse_options(words) == {
        "split": "test",
        "height": 352,
        "share": 0.5,
        "mirror": True,
        "drives": [1, 2],
        "day": "2011_09",
    }


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate("--help")
    text = capsys.readouterr().out
    for word in ("examples:", "--option split=test", "metres", "default: the data set's own"):
        assert word in " ".join(text.split())


@pytest.mark.openvino
def test_a_checkpoint_scores_as_its_export(room: Path, tmp_path: Path) -> None:
    checkpoint, exported = tiny_checkpoint(tmp_path / "final.ckpt"), tmp_path / "exported.onnx"
    assert main(["export", "--checkpoint", str(checkpoint), "--out", str(exported)]) == 0
    numbers = []
    for model in (checkpoint, exported):
        out = tmp_path / "card.json"
        assert evaluate("--model", model, "--data", room, "--json", out) == 0
        numbers.append([entry["abs_rel"] for entry in json.loads(out.read_text())])
    # The export keeps its weights in half precision.
    assert numbers[0] == pytest.approx(numbers[1], rel=2e-3)


def test_each_backend_scores_alike(room: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO")
    out, numbers = tmp_path / "card.json", []
    for how in (["onnxruntime"], ["openvino", "--precision", "fp32"]):
        words = ("--model", "compact", "--backend", *how, "--data", room, "--json", out)
        assert evaluate(*words) == 0
        numbers.append([entry["abs_rel"] for entry in json.loads(out.read_text())])
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4)


def test_the_bundled_model_by_its_name(room: Path, tmp_path: Path) -> None:
    out = tmp_path / "card.json"
    assert evaluate("--model", "compact", "--data", room, "--json", out) == 0
    assert json.loads(out.read_text())[0]["predictor"] == "model"
    assert open_engine("compact").card.name == "compact"
