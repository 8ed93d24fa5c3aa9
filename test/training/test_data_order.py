"""Which images a run sees, and when."""

import numpy as np
import pytest
import torch

from depth_estimation_ros.errors import DatasetError
from training.data.augment import Augmentation
from training.data.examples import Examples, StepBatches, capped_weights, draw_order, evenly_spaced
from training.data.holdout import Scenes
from training.data.sample import Sample, SampleSet
from training.trainer.loaders import Strips


class Rooms(SampleSet):
    name = "rooms"

    def __init__(self, rooms=200, frames=3):
        self.names = [f"room_{room}/{frame}" for room in range(rooms) for frame in range(frames)]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        rgb = np.random.default_rng(index).integers(0, 256, (12, 16, 3), np.uint8)
        return Sample(rgb, np.full((12, 16), index + 1.0, np.float32), (10.0, 10.0, 7.5, 5.5))

    def frame_name(self, index):
        return self.names[index]


def test_all_frames_of_a_set_come_before_one_comes_again():
    order = draw_order([10], [1.0], 25, seed=5)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10].tolist() != order[10:20].tolist()


def test_a_longer_run_begins_as_a_shorter_one():
    short, long = (draw_order([7, 30], [0.3, 0.7], count, seed=5) for count in (40, 90))
    np.testing.assert_array_equal(short, long[:40])
    assert (draw_order([7, 30], [0.3, 0.7], 40, seed=6) != short).any()


def test_the_parts_of_all_processes_are_the_step():
    def batches(parts, processes, start=0):
        shares = [
            list(StepBatches(5, 8, parts=parts, rank=rank, processes=processes, start=start))
            for rank in range(processes)
        ]
        return np.concatenate([np.concatenate(part) for part in zip(*shares, strict=True)])

    np.testing.assert_array_equal(batches(1, 1), np.arange(40))
    np.testing.assert_array_equal(batches(2, 2), np.arange(40))
    np.testing.assert_array_equal(batches(2, 2, start=3), np.arange(24, 40))


def test_an_example_depends_on_its_position_alone():
    rooms, how = Rooms(4), Augmentation()
    order = draw_order([len(rooms)], [1.0], 30, seed=1)
    row, again = (Examples(rooms, 8, 8, how, None, order=order, seed=1) for _ in range(2))
    for position in (17, 3):
        assert (row[position]["image"] == again[position]["image"]).all()
    positions = np.flatnonzero(order == order[17])  # the same frame later is another view of it
    assert (row[positions[0]]["image"] != row[positions[-1]]["image"]).any()


def test_the_held_out_scenes_are_the_rest_of_the_kept():
    rooms = Rooms()
    kept, held_out = (Scenes(rooms, 0.2, held_out=held_out) for held_out in (False, True))
    assert sorted(kept.indices + held_out.indices) == list(range(600))
    scenes = [{part.scene_name(i) for i in range(len(part))} for part in (kept, held_out)]
    assert not scenes[0] & scenes[1]
    assert len(scenes[1]) == 40
    assert held_out.frame_name(0) == rooms.frame_name(held_out.indices[0])
    assert set(Scenes(rooms, 0.1, held_out=True).indices) < set(held_out.indices)


class Sequence(Rooms):
    """Consecutive frames without names of scenes."""

    def scene_name(self, index):
        return self.frame_name(index)


def test_a_sequence_is_held_out_in_blocks():
    frames = Sequence(100, 2)
    kept, held_out = (Scenes(frames, 0.2, held_out=held_out) for held_out in (False, True))
    assert len(held_out) == 0.2 * len(frames)
    distances = np.abs(np.subtract.outer(kept.indices, held_out.indices))
    assert distances.min() == 4
    assert (np.diff(held_out.indices) > 1).sum() == len(held_out) / 10 - 1


def test_no_set_is_seen_more_often_than_max_passes():
    shares = capped_weights([4, 100, 1000], [0.5, 0.25, 0.25], 1000, max_passes=10)
    assert shares == pytest.approx([0.04, 0.48, 0.48])
    assert capped_weights([4, 100], [1.0, 3.0], 1000, None) == pytest.approx([0.25, 0.75])
    assert capped_weights([4, 12], [1.0, 1.0], 1000, 10) == pytest.approx([0.25, 0.75])


def test_wide_batches_keep_a_strip_of_all_images_and_the_same_again():
    examples = [
        {"image": image, "depth": image[0], "position": torch.tensor(position)}
        for position in range(4)
        for image in torch.arange(192.0).reshape(1, 192, 1).repeat(1, 1, 8).split(1)
    ]

    def heights(share, batches=200):
        for first in range(0, 4 * batches, 4):
            for number, example in enumerate(examples):
                example["position"] = torch.tensor(first + number)
            batch = Strips(share, seed=3)(examples)
            np.testing.assert_array_equal(batch["image"][:, 0], batch["depth"])
            assert (batch["depth"].diff(dim=1) == 1).all()
            yield tuple(batch["depth"].shape)

    wide = list(heights(0.25))
    assert set(wide) == {(4, rows, 8) for rows in (64, 96, 128, 192)}
    assert 0.2 < np.mean([shape[1] < 192 for shape in wide]) < 0.3
    assert list(heights(0.25)) == wide
    assert set(heights(0.0, 20)) == {(4, 192, 8)}


def test_of_few_scenes_one_is_held_out():
    assert len(Scenes(Rooms(2), 0.01, held_out=True)) == len(Scenes(Rooms(2), 0.01, held_out=False))
    with pytest.raises(DatasetError, match=r"holdout 0\.5 leaves nothing: found 3 frame"):
        Scenes(Rooms(1), 0.5, held_out=False)


def test_validation_frames_are_evenly_spaced():
    assert evenly_spaced(10, 4).tolist() == [0, 2, 5, 7]
    assert evenly_spaced(3, 4).tolist() == evenly_spaced(3, None).tolist() == [0, 1, 2]
