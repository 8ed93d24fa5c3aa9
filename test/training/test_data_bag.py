"""Frames of any recording: images paired with depth of the same moment, in any order."""

import json
import pickle

import cv2
import demo_recordings as made
import numpy as np
import pytest
from torch.utils.data import DataLoader

from depth_estimation_ros.errors import BagError, DatasetError
from training.bags import folder_bag
from training.data.bag import pair_by_time
from training.data.bag_pack import packed
from training.data.layouts import open_dataset

MS = 1_000_000


def frames(count=4, depth=made.png_depth, late_ns=0, **header):
    """Messages of a recording by topic; depth comes `late_ns` after its image."""
    times = made.stamps(count)
    depths = [depth(made.depth(i), t + late_ns, **header) for i, t in enumerate(times)]
    return {
        "/camera/image": [made.raw_image(made.picture(i), t) for i, t in enumerate(times)],
        "/camera/camera_info": [made.camera_info(t) for t in times],
        "/camera/depth": depths,
    }


def depth_in_frame(frame_id):
    def message(metres, stamp):
        image = made.float_depth(metres, stamp)
        image.header = made.header(stamp, frame_id)
        return image

    return message


def opened(bag, tmp_path, **options):
    return open_dataset("bag", bag, cache=tmp_path / "cache", **options)


def ros1_topics():
    """As `frames`, in messages of ROS 1."""
    store = made.STORE1
    depths = []
    for index, stamp in enumerate(made.stamps(4)):
        metres = made.depth(index)
        depths.append(
            store.types["sensor_msgs/msg/Image"](
                header=made.header(stamp, store=store),
                height=made.HEIGHT,
                width=made.WIDTH,
                encoding="16UC1",
                is_bigendian=0,
                step=2 * made.WIDTH,
                data=np.rint(1000 * metres).astype(np.uint16).reshape(-1).view(np.uint8),
            )
        )
    return {
        "/camera/image": [
            made.raw_image(made.picture(i), t, store) for i, t in enumerate(made.stamps(4))
        ],
        "/camera/camera_info": [made.camera_info(t, store) for t in made.stamps(4)],
        "/camera/depth": depths,
    }


@pytest.mark.parametrize("storage", ["mcap", "sqlite3", "ros1"])
def test_pictures_and_depth_of_a_moment_come_together(tmp_path, storage):
    ros1 = storage == "ros1"
    topics = ros1_topics() if ros1 else frames(depth=made.float_depth)
    bag = made.write_bag(tmp_path / ("run.bag" if ros1 else "run"), topics, storage)
    samples = opened(bag, tmp_path)
    assert len(samples) == 4
    assert (samples.name, samples.cap_m, samples.crop) == ("run", 10.0, "none")
    for index in (3, 0, 2):
        sample = samples[index]
        np.testing.assert_array_equal(sample.rgb, made.picture(index))
        np.testing.assert_allclose(sample.depth, made.depth(index), atol=0.0006)
        assert sample.depth.dtype == np.float32
        assert sample.intrinsics == (60.0, 60.0, 31.5, 23.5)
        assert samples.frame_name(index) == str(made.stamps(4)[index])
        assert sample.rgb.flags.writeable


def test_compressed_pictures_and_depth(tmp_path):
    samples = opened(made.standard_bag(tmp_path / "run"), tmp_path)
    np.testing.assert_array_equal(samples[1].rgb, made.picture(1))
    np.testing.assert_allclose(samples[1].depth, made.depth(1), atol=0.0006)


def test_a_pair_is_the_nearest_to_each_other_within_the_tolerance():
    images = [0, 33, 66, 100, 133]
    # Depth at half the rate: an image between two depth images has none of its own.
    assert pair_by_time(images, [2, 64, 131], 20).tolist() == [[0, 0], [2, 1], [4, 2]]
    assert pair_by_time(images, [2, 64, 131], 1).tolist() == []
    assert pair_by_time([50], [10, 45, 90], 20).tolist() == [[0, 1]]


def test_a_picture_whose_depth_is_late_has_none(tmp_path):
    topics = frames()
    for message in topics["/camera/depth"][1:]:
        message.header.stamp.nanosec += 15 * MS
    del topics["/camera/depth"][2]
    bag = made.write_bag(tmp_path / "run", topics)
    samples = opened(bag, tmp_path)
    assert [samples.frame_name(i) for i in range(3)] == [str(made.stamps(4)[i]) for i in (0, 1, 3)]
    np.testing.assert_allclose(samples[2].depth, made.depth(3), atol=0.0006)
    assert len(opened(bag, tmp_path, tolerance_s=0.01)) == 1


def test_no_pair_at_all_says_how_far_apart_they_are(tmp_path):
    bag = made.write_bag(tmp_path / "run", frames(late_ns=60 * MS))
    with pytest.raises(
        DatasetError,
        match=r"found 0\.060 s between .*expected less than 0\.02 s .*image and /camera/depth",
    ):
        opened(bag, tmp_path)


def test_what_was_not_measured_is_unknown(tmp_path):
    metres = made.depth(0)
    metres[0, :5] = [np.nan, 0.0, -1.0, -np.inf, np.inf]
    topics = frames(1, depth=made.float_depth)
    topics["/camera/depth"] = [made.float_depth(metres, made.stamps(1)[0])]
    depth = opened(made.write_bag(tmp_path / "run", topics), tmp_path)[0].depth
    np.testing.assert_array_equal(depth[0, :5], [np.nan] * 4 + [np.inf])
    assert np.isnan(depth).sum() == 4


def test_depth_of_half_the_resolution_is_spread_and_of_another_shape_refused(tmp_path):
    small = frames(1, depth=lambda metres, t: made.float_depth(metres[::2, ::2].copy(), t))
    depth = opened(made.write_bag(tmp_path / "small", small), tmp_path)[0].depth
    np.testing.assert_array_equal(depth, made.depth(0)[::2, ::2].repeat(2, 0).repeat(2, 1))
    other = frames(1, depth=lambda metres, t: made.float_depth(metres[:, :48].copy(), t))
    samples = opened(made.write_bag(tmp_path / "other", other), tmp_path)
    with pytest.raises(DatasetError, match=r"frame 13\d+: .* found 48x48 for 64x48, .*ratio"):
        samples[0]


def test_depth_in_the_frame_of_the_pictures_is_chosen(tmp_path):
    topics = frames(2, depth=made.float_depth)
    topics["/camera/depth_raw"] = [
        depth_in_frame("depth_optical")(made.depth(i) + 1.0, t)
        for i, t in enumerate(made.stamps(2))
    ]
    bag = made.write_bag(tmp_path / "run", topics)
    np.testing.assert_array_equal(opened(bag, tmp_path)[0].depth, made.depth(0))
    named = opened(bag, tmp_path, depth_topic="/camera/depth_raw")
    np.testing.assert_array_equal(named[0].depth, made.depth(0) + np.float32(1.0))


def test_ambiguous_topics_are_listed(tmp_path):
    topics = frames(2, depth=depth_in_frame("depth_optical"))
    bag = made.write_bag(tmp_path / "unregistered", topics)
    with pytest.raises(
        DatasetError,
        match=r"0 depth topics in its frame 'cam_optical', of: /camera/depth .*'depth_optical'.*"
        r"option depth_topic",
    ):
        opened(bag, tmp_path)
    topics = frames(2)
    topics["/second/image"] = topics["/camera/image"]
    topics["/second/depth"] = topics["/camera/depth"]
    bag = made.write_bag(tmp_path / "two", topics)
    with pytest.raises(
        DatasetError, match=r"2 topics with images.*/camera/image .*/second/image .*image_topic"
    ):
        opened(bag, tmp_path)
    with pytest.raises(DatasetError, match=r"found 2 depth topics in its frame 'cam_optical'"):
        opened(bag, tmp_path, image_topic="/camera/image")
    with pytest.raises(BagError, match=r"depth_topic of .*found /d, expected one of: /camera/dep"):
        opened(bag, tmp_path, image_topic="/camera/image", depth_topic="/d")
    samples = opened(bag, tmp_path, image_topic="/second/image", depth_topic="/second/depth")
    assert len(samples) == 2


def test_without_camera_info_the_camera_is_unknown(tmp_path, caplog):
    topics = frames(1)
    del topics["/camera/camera_info"]
    assert opened(made.write_bag(tmp_path / "run", topics), tmp_path)[0].intrinsics is None
    assert "no CameraInfo that surely belongs to /camera/image" in caplog.text
    topics = frames(1)
    topics["/camera/camera_info"][0].k[:] = 0.0
    bag = made.write_bag(tmp_path / "uncalibrated", topics)
    assert opened(bag, tmp_path)[0].intrinsics is None


def test_the_camera_of_rectified_pictures_is_p(tmp_path):
    topics = frames(1)
    topics["/camera/camera_info"][0].p[0] = 55.0
    topics["/camera/image_rect"] = topics.pop("/camera/image")
    bag = made.write_bag(tmp_path / "run", topics)
    assert opened(bag, tmp_path)[0].intrinsics[0] == 55.0
    assert opened(bag, tmp_path, image_is_rectified=False)[0].intrinsics[0] == 60.0


def test_a_camera_info_of_another_size_is_refused(tmp_path):
    topics = frames(1)
    topics["/camera/camera_info"][0].width = 640
    samples = opened(made.write_bag(tmp_path / "run", topics), tmp_path)
    with pytest.raises(DatasetError, match=r"run, frame 13\d+: .*CameraInfo.*640 x 48"):
        samples[0]


def test_workers_of_a_loader_read_it_in_any_order(tmp_path):
    samples = opened(made.write_bag(tmp_path / "run", frames()), tmp_path)
    assert samples[0].rgb[0, 0, 0] == 10
    loader = DataLoader(samples, batch_size=None, sampler=[3, 1, 2], num_workers=1)
    there = [sample.rgb[0, 0, 0] for sample in loader]
    assert there == [made.picture(i)[0, 0, 0] for i in (3, 1, 2)]
    again = pickle.loads(pickle.dumps(samples))
    np.testing.assert_array_equal(again[2].depth, samples[2].depth)


def test_frames_are_unpacked_once_and_anew_for_a_changed_recording(tmp_path):
    cache = tmp_path / "cache"
    bag = made.write_bag(tmp_path / "run", frames())
    opened(bag, tmp_path)
    first = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    opened(bag, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == first
    (bag / "run.mcap").touch()
    opened(bag, tmp_path)
    assert len(list(cache.iterdir())) == 2
    assert not list(cache.glob(".*"))  # nothing half made is left


def test_a_pack_that_another_process_finished_first_is_taken(tmp_path):
    bag = made.write_bag(tmp_path / "run", frames())
    topics = {"image": ("/camera/image", "sensor_msgs/msg/Image")}

    def choose_late(reader):
        packed(bag, tmp_path / "cache", {}, lambda reader: topics)
        return topics

    pack = packed(bag, tmp_path / "cache", {}, choose_late)
    assert pack.stamps == {"image": made.stamps(4)}
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_damaged_recording_leaves_no_part_of_itself(tmp_path):
    bag = made.broken_off_bag(tmp_path / "run", 3)
    with pytest.raises(DatasetError, match="images on /image and no depth topic"):
        opened(bag, tmp_path)
    bag = made.write_bag(tmp_path / "cut", frames())
    whole = (bag / "cut.mcap").read_bytes()
    (bag / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BagError, match=r"cut.* cannot be read.*mcap recover"):
        opened(bag, tmp_path)
    assert not list((tmp_path / "cache").glob("*/*"))
    with pytest.raises(DatasetError, match=r"no recording .*nowhere"):
        opened(tmp_path / "nowhere", tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    bag = made.write_bag(tmp_path / "run", frames())
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"cannot be unpacked to .*file/cache.*option cache"):
        open_dataset("bag", bag, cache=tmp_path / "file" / "cache")


def test_a_bag_of_a_recorded_sequence_gives_what_its_folder_gives(tmp_path, shared_data):
    source = shared_data("tum_fr1_rpy_sequence")
    part = tmp_path / "part"
    stamps = (source / "timestamps.txt").read_text().split()
    for kind in ("rgb", "depth"):
        (part / kind).mkdir(parents=True)
        for file in sorted((source / kind).iterdir())[:5]:
            (part / kind / file.name).symlink_to(file)
    (part / "timestamps.txt").write_text("\n".join(stamps[:5]))
    (part / "info.json").write_text((source / "info.json").read_text())
    folder = open_dataset("folder", part)
    bag = opened(folder_bag(part, tmp_path / "bag"), tmp_path)
    assert len(bag) == len(folder) == 5
    camera = json.loads((source / "info.json").read_text())["intrinsics_px"]
    for index in (4, 0):
        np.testing.assert_array_equal(bag[index].rgb, folder[index].rgb)
        np.testing.assert_allclose(bag[index].depth, folder[index].depth, rtol=1e-6)
        assert bag[index].intrinsics == tuple(camera[key] for key in ("fx", "fy", "cx", "cy"))


def test_a_recording_without_depth_says_so(tmp_path, shared_data):
    bag = shared_data("bags/fiducials_compressed.ros1.bag")
    with pytest.raises(DatasetError, match=r"No depth in .*found images on /.*32FC1 or 16UC1"):
        opened(bag, tmp_path)


def test_transported_depth_is_read(tmp_path):
    """compressedDepth of image_transport: twelve bytes before the PNG."""
    topics = frames(2)
    for index, message in enumerate(topics["/camera/depth"]):
        png = cv2.imencode(".png", np.rint(1000 * made.depth(index)).astype(np.uint16))[1]
        message.format = "16UC1; compressedDepth"
        message.data = np.concatenate([np.zeros(12, np.uint8), png.reshape(-1)])
    samples = opened(made.write_bag(tmp_path / "run", topics), tmp_path)
    np.testing.assert_allclose(samples[1].depth, made.depth(1), atol=0.0006)
