"""Several inputs at once, and files that are there already."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from estimate_depth_cases import names, png_texts, steps, summary
from media_files import write


def test_inputs_of_one_name_do_not_collide(run, out, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "k.png", steps())
    code, _ = run(tmp_path / "a" / "k.png", tmp_path / "b" / "k.png", "--save", "depth16")
    assert code == 0
    assert names(out) == ["k_2_depth_mm.png", "k_depth_mm.png", "summary.json"]


def test_images_of_one_stem_keep_their_suffix(run, out, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("1.png", "1.bmp", "2.png"):
        write(folder / name, steps())
    code, _ = run(folder, "--save", "depth16")
    assert code == 0
    files = ["1.bmp_depth_mm.png", "1.png_depth_mm.png", "2_depth_mm.png", "summary.json"]
    assert names(out) == files
    run(folder, write(tmp_path / "k.png", steps()), "--save", "depth16", out="two")
    in_folder = [f"in/{name}" for name in files[:-1]]
    assert names(tmp_path / "two") == [*in_folder, "k_depth_mm.png", "summary.json"]


def test_colors_mean_the_same_in_all_images(run, out, tmp_path):
    near = write(tmp_path / "near.png", steps((0, 0)))
    far = write(tmp_path / "far.png", steps((128, 255)))
    run(near, far, "--hfov", "70")
    texts = [png_texts(out / f"{name}_depth_color.png")["Colors"] for name in ("near", "far")]
    assert texts == ["1 m to 9 m, spectral"] * 2


def test_unreadable_inputs_are_counted_and_skipped(run, out, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "1.png", steps())
    (folder / "2.png").write_bytes(b"broken")
    write(folder / "3.png", steps())
    (tmp_path / "also.png").write_bytes(b"broken")
    missing = tmp_path / "missing.png"
    code, text = run(tmp_path / "also.png", folder, missing, "--hfov", "70", "--save", "color")
    assert code == 2
    assert "3 could not be read" in text
    assert names(out) == ["in/1_depth_color.png", "in/3_depth_color.png", "summary.json"]
    told = summary(out)
    assert (told["complete"], told["frames"], told["unreadable"]) == (True, 2, 3)
    assert "also.png" in told["inputs"][0]["unreadable"][0]
    assert "2.png" in told["inputs"][1]["unreadable"][0]
    assert "nothing there" in told["left_out"][str(tmp_path / "missing.png")]


@pytest.mark.parametrize("name", ["missing.png", "broken.png", "clip.bag"])
def test_no_readable_input_is_an_error(run, out, tmp_path, name):
    if name != "missing.png":
        (tmp_path / name).write_bytes(b"broken")
    code, text = run(tmp_path / name)
    assert code == 1
    assert name in text
    assert ("Use the command replay: replay" in text) == (name == "clip.bag")
    assert not out.exists() or names(out) == []


def test_earlier_files_stay_unless_they_may_be_replaced(run, out, tmp_path):
    image = write(tmp_path / "k.png", steps())
    assert run(image, "--save", "depth16")[0] == 0
    (out / "k_depth_mm.png").write_text("mine")
    (out / "summary.json").unlink()
    code, text = run(image, "--save", "depth16")
    assert code == 1
    assert "k_depth_mm.png, from an earlier run, expected no file of that name" in text
    assert (out / "k_depth_mm.png").read_text() == "mine"
    assert run(image, "--save", "depth16", "--overwrite")[0] == 0
    assert cv2.imread(str(out / "k_depth_mm.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_depth_next_to_images_is_skipped(run, tmp_path):
    (tmp_path / "rooms").mkdir()
    write(tmp_path / "rooms" / "a.png", steps())
    kinds = ["--save", "color", "side-by-side", "depth16", "--hfov", 70]
    assert run(tmp_path / "rooms", *kinds, out="rooms")[0] == 0
    before = sorted(path.name for path in (tmp_path / "rooms").iterdir())
    assert len(before) == 5
    code, said = run(tmp_path / "rooms", *kinds, "--overwrite", out="rooms")
    assert code == 0
    assert "3 depth maps were skipped" in said
    assert sorted(path.name for path in (tmp_path / "rooms").iterdir()) == before


def test_an_unwritable_folder_is_an_error(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    code, text = run(write(tmp_path / "k.png", steps()))
    assert code == 1
    assert "error:" in text
    assert (tmp_path / "out").read_text() == "a file"


def test_an_output_that_is_a_file_is_an_error(run, tmp_path):
    image = write(tmp_path / "a.png", steps())
    (tmp_path / "taken").write_text("mine")
    code, text = run(image, "--hfov", "70", out="taken")
    assert code == 1
    assert "cannot be written" in text
    assert "give another --out" in text
    assert (tmp_path / "taken").read_text() == "mine"
