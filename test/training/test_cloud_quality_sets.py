"""Quality of clouds over sets of views, through the pipeline; and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import red_pipeline

from depth_estimation_ros.errors import DatasetError, ParameterError
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.__main__ import main
from training.evaluation.tables import replace_block
from training.research.cloud_quality.candidates import CANDIDATES
from training.research.cloud_quality.command import as_entries, cloud_row
from training.research.cloud_quality.measure import measure_set
from training.research.cloud_quality.views import FIRST_SEED, Faces, TrueView, ViewSet, render_view

HEIGHT, WIDTH, EDGE = 24, 40, 16  # as the network takes it; the radius is 1, the median far
CAMERA = CameraModel.from_intrinsics(50.0, 50.0, 20.0, 12.0, WIDTH, HEIGHT)


def made_view(*, scale: int = 10, known: float = 1.0) -> TrueView:
    """A wall at 1 m left of one at 2 m, with six pixels of the estimate halfway between them.

    The network reads depth off the red channel, 0.1 m for a unit at a scale of 10.
    """
    truth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    truth[:, :EDGE] = 1.0
    estimate = truth.copy()
    estimate[:6, EDGE - 1] = 1.5
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = np.rint(estimate * scale)
    surface = (truth > 1.5).astype(np.int64)
    faces = Faces(surface, np.ones(truth.shape, bool), surface == 0)
    truth[round(known * HEIGHT) :] = np.nan
    return TrueView(f"made_{known:g}", rgb, truth, CAMERA, faces)


def views(*some: TrueView) -> ViewSet:
    return ViewSet("made", len(some), lambda index: some[index])


def test_a_known_set_gives_exactly_its_numbers_with_and_without_the_filter() -> None:
    result = measure_set(red_pipeline(), views(made_view(), made_view()), (0.0, 0.1))
    bare, filtered = result.tallies["0"], result.tallies["0.1"]
    assert (bare.known, bare.kept) == (2 * 960, 2 * 960)
    # Windows of 3 x 3 see the edge from columns 15 and 16.
    assert (bare.edge, bare.flying, bare.flying_kept) == (2 * 48, 2 * 6, 2 * 6)
    assert cloud_row(bare)["flying_at_edges"] == 6 / 48
    # The filter removes both columns, and column 14 where it is beside a flying point.
    assert filtered.kept == 2 * (960 - 48 - 7)
    assert (filtered.flying, filtered.flying_kept, filtered.edge_kept) == (2 * 6, 0, 0)
    row = cloud_row(filtered)
    assert row["removed"] == pytest.approx(55 / 960)
    assert row["flying_caught"] == 1.0
    assert row["removed_flying"] == pytest.approx(6 / 55)
    assert (row["abs_rel_kept"], row["right"]) == (0.0, 1.0)
    assert row["abs_rel_removed"] == pytest.approx(6 * 0.5 / 55, rel=1e-5)


def test_a_wrong_scale_changes_nothing() -> None:
    right, double = (
        measure_set(red_pipeline(), views(made_view(scale=scale)), (0.0, 0.1)) for scale in (10, 20)
    )
    for value in ("0", "0.1"):
        assert cloud_row(right.tallies[value]) == pytest.approx(
            cloud_row(double.tallies[value]), abs=1e-6, nan_ok=True
        )


def test_flat_walls_are_flat_and_face_the_camera() -> None:
    tally = measure_set(red_pipeline(), views(made_view()), (0.0,)).tallies["0"]
    assert [plane.level for plane in tally.planes] == [True, False]
    for plane in tally.planes:
        assert plane.residual < 1e-6
        assert plane.angle < 1e-3
        assert plane.blind < 1e-3


def test_other_ways_of_resizing_are_measured_beside_the_nodes() -> None:
    # The image has the network's size, so resizing changes nothing.
    result = measure_set(red_pipeline(), views(made_view()), (0.0, 0.07), candidates=True)
    bare = cloud_row(result.tallies["0"])
    for name in ("nearest", "nearest at edges", "bilinear log"):
        assert cloud_row(result.tallies[name]) == pytest.approx(bare, abs=1e-6, nan_ok=True)
    before, after = (cloud_row(result.tallies[name]) for name in ("0.07", "0.07, after"))
    assert before == pytest.approx(after, abs=1e-6, nan_ok=True)
    # The six points go to one of the walls.
    assert result.tallies["sharpened"].flying_kept == 0
    assert cloud_row(result.tallies["sharpened"])["removed"] == 0.0


def test_views_with_little_truth_are_left_out_by_name() -> None:
    result = measure_set(red_pipeline(), views(made_view(), made_view(known=0.5)), (0.0,))
    assert result.views == 1
    assert as_entries(result)["left_out"] == ["made_0.5"]
    with pytest.raises(DatasetError, match="truth is too sparse for edges"):
        measure_set(red_pipeline(), views(made_view(known=0.5)), (0.0,))


def test_there_is_no_comparison_without_the_bare_pipeline() -> None:
    with pytest.raises(ParameterError, match="0 among them"):
        measure_set(red_pipeline(), views(made_view()), (0.1,))


def test_a_rendered_view_knows_its_faces() -> None:
    view = render_view(FIRST_SEED + 2, 120, 160)
    assert view.faces is not None
    assert view.camera is not None
    # A flat face's true points lie on a plane, to float32.
    from training.research.cloud_quality.measure import fit_plane

    numbers, counts = np.unique(view.faces.surface[view.faces.flat], return_counts=True)
    assert counts.max() > 1000
    rays = view.camera.rays().reshape(-1, 2)
    for number in numbers[counts > 200]:
        pixels = np.flatnonzero(view.faces.surface == number)
        plane = fit_plane(view.truth.reshape(-1)[pixels], rays[pixels])
        assert plane is not None
        assert plane.residual < 1e-4


def test_the_command_writes_tables_for_people_and_programs(tmp_path: Path) -> None:
    page, numbers = tmp_path / "page.md", tmp_path / "numbers.json"
    page.write_text("a\n<!-- cloud-quality: how -->\nold\n<!-- end cloud-quality -->\nb\n")
    arguments = ["--scenes", "1", "--edge-filter", "0.1", "--candidates", "--json", str(numbers)]
    assert main(["cloud-quality", *arguments, "--docs", str(page)]) == 0
    (measured,) = json.loads(numbers.read_text())["sets"]
    names = [setting["edge_filter"] for setting in measured["settings"]]
    assert names == ["0", "0.1", *CANDIDATES]
    bare, filtered = measured["settings"][:2]
    assert bare["removed"] == 0.0
    assert 0.0 < filtered["removed"] < 0.5
    text = page.read_text()
    assert text.startswith("a\n<!-- cloud-quality: how -->\nModel: compact")
    assert text.endswith("<!-- end cloud-quality -->\nb\n")
    assert f"| {100 * filtered['removed']:.2f} |" in text


def test_nothing_to_measure_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cloud-quality", "--scenes", "0"]) == 1
    assert "Give --scenes or --data" in capsys.readouterr().err
    assert main(["stability", "--scenes", "0"]) == 1
    assert "Give --scenes or --recording" in capsys.readouterr().err


def test_a_page_without_the_block_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no block\n")
    with pytest.raises(ParameterError, match="<!-- end numbers -->"):
        replace_block(page, "numbers", "1")
    assert page.read_text() == "no block\n"
    with pytest.raises(ParameterError, match="no page"):
        replace_block(tmp_path / "missing.md", "numbers", "1")
