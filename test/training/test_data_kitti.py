"""The KITTI layouts, each in a small folder of the same shape, and the recorded ones."""

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.kitti_frames import KittiFrame, SplitEntry, read_split_file
from training.data.layouts import open_dataset

DAY = "2011_09_26"
DRIVE = f"{DAY}_drive_0001_sync"
OTHER = f"{DAY}_drive_0002_sync"
CAM_TO_CAM = """calib_time: 09-Jan-2012 13:57:47
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 20 0 6 1.2 0 20 3 0 0 0 1 0.003
P_rect_03: 20 0 6 -9.6 0 20 3 0 0 0 1 0.002
"""
# The scanner stands at camera 0, its x axis along the camera's z, and so on.
VELO_TO_CAM = "calib_time: 15-Mar-2012 11:37:16\nR: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n"
OBJECT_CALIBRATION = """P2: 20 0 6 1.2 0 20 3 0 0 0 1 0.003
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0
"""
RAW = np.array([[0, 1, 256, 2560, 20480, 65535]], np.uint16).repeat(8, 0).repeat(2, 1)  # (8, 12)


def write_picture(path, size=(8, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), (10, 20, 200), np.uint8))


def write_depth(path, raw=RAW):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), raw)


def write_scan(path, points):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.array([[*point, 0.3] for point in points], np.float32).tofile(path)


def write_drive(root, drive, numbers, cameras=(2, 3)):
    day = root / drive[:10]
    for camera in cameras:
        for number in numbers:
            write_picture(day / drive / f"image_{camera:02d}/data/{number:010d}.png")
    (day / "calib_cam_to_cam.txt").write_text(CAM_TO_CAM)
    (day / "calib_velo_to_cam.txt").write_text(VELO_TO_CAM)


def ground_truth(root, split, drive, camera, number):
    inside = f"proj_depth/groundtruth/image_{camera:02d}/{number:010d}.png"
    return root / split / drive / inside


@pytest.fixture
def benchmark(tmp_path):
    """Five frames of a drive, the middle three with depth, in train; another drive in val."""
    for split, drive in (("train", DRIVE), ("val", OTHER)):
        write_drive(tmp_path / "raw", drive, range(5))
        for camera in (2, 3):
            for number in (1, 2, 3):
                write_depth(ground_truth(tmp_path, split, drive, camera, number))
    return tmp_path


@pytest.fixture
def drives(tmp_path):
    for drive in (DRIVE, OTHER):
        write_drive(tmp_path, drive, range(3))
        for number in range(3):
            scan = tmp_path / DAY / drive / f"velodyne_points/data/{number:010d}.bin"
            write_scan(scan, [(10.0, 0.0, 0.0), (10.0 + number, 0.0, 0.0), (-5.0, 0.0, 0.0)])
    return tmp_path


def test_benchmark_depth_is_value_over_256_and_zero_is_unknown(benchmark):
    data = open_dataset("kitti_depth", benchmark, raw="raw")
    assert [data.frame_name(i) for i in range(len(data))] == [
        f"{DRIVE}/image_{camera:02d}/{number:010d}" for camera in (2, 3) for number in (1, 2, 3)
    ]
    sample = data[0]
    expected = np.array([np.nan, 1 / 256, 1.0, 10.0, 80.0, 65535 / 256], np.float32).repeat(2)
    np.testing.assert_array_equal(sample.depth[3], expected)
    assert sample.intrinsics == (20.0, 20.0, 6.0, 3.0)
    assert sample.rgb[0, 0].tolist() == [200, 20, 10]
    assert sample.depth.shape == (8, 12)  # no crop of 352x1216 or any other here
    assert (data.cap_m, data.crop, data.name) == (80.0, "garg", "kitti_depth_train")


def test_benchmark_has_its_own_split_and_cameras(benchmark):
    data = open_dataset("kitti_depth", benchmark, split="val", raw="raw", cameras=[3])
    assert [data.frame_name(i) for i in range(len(data))] == [
        f"{OTHER}/image_03/{number:010d}" for number in (1, 2, 3)
    ]
    with pytest.raises(ParameterError, match=r"cameras: found \[0\]"):
        open_dataset("kitti_depth", benchmark, raw="raw", cameras=[0])


def test_an_eigen_split_of_bts_takes_frames_of_both_folders_and_skips_none(benchmark):
    (benchmark / "eigen.txt").write_text(
        f"{DAY}/{OTHER}/image_02/data/0000000002.png "
        f"{OTHER}/proj_depth/groundtruth/image_02/0000000002.png 721.5377\n"
        f"{DAY}/{DRIVE}/image_02/data/0000000000.png None 721.5377\n"
        f"{DAY}/{DRIVE}/image_03/data/0000000003.png "
        f"{DRIVE}/proj_depth/groundtruth/image_03/0000000003.png 721.5377\n"
    )
    data = open_dataset("kitti_depth", benchmark, split_file="eigen.txt", raw="raw")
    names = [f"{OTHER}/image_02/0000000002", f"{DRIVE}/image_03/0000000003"]
    assert [data.frame_name(i) for i in range(len(data))] == names
    assert data.name == "kitti_depth_eigen"


def test_a_split_of_monodepth2_skips_frames_near_the_ends_of_a_drive(benchmark):
    lines = [f"{DAY}/{DRIVE} 0 l", f"{DAY}/{DRIVE} 1 l", f"{DAY}/{DRIVE} 0000000002 r"]
    (benchmark / "zhou.txt").write_text("\n".join(lines))
    data = open_dataset("kitti_depth", benchmark, split_file="zhou.txt", raw="raw")
    names = [f"{DRIVE}/image_02/0000000001", f"{DRIVE}/image_03/0000000002"]
    assert [data.frame_name(i) for i in range(len(data))] == names


def test_the_three_forms_of_a_split_file(tmp_path):
    file = tmp_path / "split.txt"
    file.write_text(
        f"{DAY}/{DRIVE}/image_02/data/0000000005.png None 721.5\n\n"
        f"{DAY}/{DRIVE}/image_02/data/0000000006.jpg {DAY}/{DRIVE}/image_03/data/0000000006.jpg\n"
        f"{DAY}/{DRIVE} 7 r\n"
    )
    assert read_split_file(file) == [
        SplitEntry(KittiFrame(DRIVE, 2, 5), False),
        SplitEntry(KittiFrame(DRIVE, 2, 6), None),
        SplitEntry(KittiFrame(DRIVE, 3, 7), None),
    ]
    file.write_text(f"{DAY}/{DRIVE} 7 r\nkitti 7\n")
    with pytest.raises(DatasetError, match=r"split\.txt, line 2: found 'kitti 7', expected"):
        read_split_file(file)
    with pytest.raises(DatasetError, match=r"nowhere\.txt: found no file.*BTS"):
        read_split_file(tmp_path / "nowhere.txt")


def test_a_half_downloaded_benchmark_is_told_by_what_it_lacks(benchmark):
    with pytest.raises(DatasetError, match=r"lacks images .*found 0 of 3 frames.*option raw"):
        open_dataset("kitti_depth", benchmark)
    with pytest.raises(DatasetError, match=r"test: found no such folder.*data_depth_annotated"):
        open_dataset("kitti_depth", benchmark, split="test", raw="raw")
    image = benchmark / "raw" / DAY / DRIVE / "image_03/data/0000000002.png"
    image.unlink()
    with pytest.raises(DatasetError, match=r"found 2 of 3 frames, first .*image_03/0000000002"):
        open_dataset("kitti_depth", benchmark, raw="raw")
    ground_truth(benchmark, "train", DRIVE, 2, 1).unlink()
    (benchmark / "eigen.txt").write_text(f"{DAY}/{DRIVE}/image_02/data/0000000001.png x.png 721\n")
    with pytest.raises(DatasetError, match=r"lacks depth of .*eigen\.txt .*found 0 of 1 frames"):
        open_dataset("kitti_depth", benchmark, split_file="eigen.txt", raw="raw")


def test_benchmark_depth_of_8_bits_is_refused(benchmark):
    write_depth(ground_truth(benchmark, "train", DRIVE, 2, 1), np.full((8, 12), 9, np.uint8))
    with pytest.raises(DatasetError, match="found 8 bits, 1 channel, expected a PNG of 16 bits"):
        open_dataset("kitti_depth", benchmark, raw="raw")[0]


def test_raw_drives_project_their_scans(drives):
    data = open_dataset("kitti_raw", drives)
    assert len(data) == 12  # two drives, two cameras, three frames
    sample = data[0]
    # Camera 2: w = 10 + 0.003, u = (6 * 10 + 1.2) / w = 6.1, v = 30 / w = 3.0
    assert np.argwhere(np.isfinite(sample.depth)).tolist() == [[3, 6]]
    assert sample.depth[3, 6] == pytest.approx(10.003, abs=1e-6)
    assert data[2].depth[3, 6] == pytest.approx(10.003, abs=1e-6)  # not the point behind, at 12 m
    # Camera 3 stands to the right: u = (60 - 9.6) / 10.002 = 5.04
    assert np.argwhere(np.isfinite(data[3].depth)).tolist() == [[3, 5]]
    assert sample.intrinsics == (20.0, 20.0, 6.0, 3.0)
    assert len({data.frame_name(i) for i in range(12)}) == 12


def test_raw_drives_are_chosen_by_name_or_by_a_split_file(drives):
    data = open_dataset("kitti_raw", drives, drives=[OTHER], cameras=[2])
    assert {data.frame_name(i).split("/")[0] for i in range(len(data))} == {OTHER}
    (drives / "some.txt").write_text(f"{DAY}/{OTHER} 1 r\n")
    data = open_dataset("kitti_raw", drives, split_file="some.txt")
    assert [data.frame_name(i) for i in range(len(data))] == [f"{OTHER}/image_03/0000000001"]
    with pytest.raises(DatasetError, match=r"drives: found \['2011_10_03'\], expected drives such"):
        open_dataset("kitti_raw", drives, drives=["2011_10_03"])


def test_frames_without_a_scan_are_left_out_but_not_whole_drives(drives, caplog):
    scans = drives / DAY / DRIVE / "velodyne_points/data"
    (scans / "0000000001.bin").unlink()
    data = open_dataset("kitti_raw", drives, drives=[DRIVE], cameras=[2])
    assert [data.frame_name(i)[-1] for i in range(len(data))] == ["0", "2"]
    assert "1 frames without a velodyne scan are left out" in caplog.text
    for file in scans.iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match=r"0001_sync, camera 2: found no velodyne scans.*synced"):
        open_dataset("kitti_raw", drives)


def test_wrong_paths_of_raw_data_say_what_is_expected(tmp_path, drives):
    with pytest.raises(DatasetError, match=r"nowhere: found no such folder, expected .*drive_0001"):
        open_dataset("kitti_raw", tmp_path / "nowhere")
    (drives / DAY / "calib_velo_to_cam.txt").unlink()
    with pytest.raises(DatasetError, match=r"calib_velo_to_cam\.txt: found no file.*calib\.zip"):
        open_dataset("kitti_raw", drives)


def test_object_frames_have_their_own_calibration(tmp_path):
    folder = tmp_path / "training"
    write_picture(folder / "image_2/000000.png")
    write_scan(folder / "velodyne/000000.bin", [(10.0, 0.0, 0.0)])
    (folder / "calib").mkdir()
    (folder / "calib/000000.txt").write_text(OBJECT_CALIBRATION)
    sample = open_dataset("kitti_object", tmp_path)[0]
    assert np.argwhere(np.isfinite(sample.depth)).tolist() == [[3, 6]]
    assert sample.depth[3, 6] == pytest.approx(10.003, abs=1e-6)
    write_picture(folder / "image_2/000001.png")
    with pytest.raises(DatasetError, match=r"found 2 images in image_2, 1 scans in velodyne"):
        open_dataset("kitti_object", tmp_path)


@pytest.fixture
def twise(tmp_path):
    for number in range(205):
        write_picture(tmp_path / f"training/image_2/{number:06d}.png", (4, 12))
        raw = np.zeros((4, 12), np.uint16)
        raw[2:] = 256 * 5 + number
        write_depth(tmp_path / f"training/depth_dense_twise/{number:06d}.png", raw)
    return tmp_path


def test_twise_keeps_its_last_200_frames_for_the_test(twise):
    train, test = (open_dataset("kitti_twise", twise, split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (5, 200)
    assert (train.frame_name(4), test.frame_name(0)) == ("000004", "000005")
    depth = train[3].depth
    assert np.isnan(depth[:2]).all()
    np.testing.assert_array_equal(depth[2:], np.float32(5.0 + 3 / 256))
    assert train[3].intrinsics is None  # this copy has no calib folder
    with pytest.raises(ParameterError, match="split: found 'val', expected train or test"):
        open_dataset("kitti_twise", twise, split="val")


def test_twise_takes_intrinsics_from_calib_and_depth_from_beside(twise):
    calib = twise / "training/calib"
    calib.mkdir()
    (calib / "000000.txt").write_text(OBJECT_CALIBRATION)
    (twise / "depth_dense_twise").mkdir()
    depth = twise / "training/depth_dense_twise"
    depth.rename(twise / "depth_dense_twise/training")
    assert open_dataset("kitti_twise", twise)[0].intrinsics == (20.0, 20.0, 6.0, 3.0)


def test_twise_needs_all_depth_files(twise):
    (twise / "training/depth_dense_twise/000007.png").unlink()
    with pytest.raises(DatasetError, match="205 images in image_2, 204 in depth_dense_twise"):
        open_dataset("kitti_twise", twise)


def test_recorded_drive_has_the_depth_that_came_with_it(shared_data):
    data = open_dataset("kitti_raw", shared_data("kitti_raw_tiny"))
    assert len(data) == 14
    sample = data[0]
    assert sample.rgb.shape == (375, 1242, 3)
    assert sample.intrinsics == (721.5377, 721.5377, 609.5593, 172.854)
    valid = np.isfinite(sample.depth)
    assert valid.mean() == pytest.approx(0.041, abs=0.002)
    assert np.median(sample.depth[valid]) == pytest.approx(12.2, abs=0.5)
    assert not valid[:100].any()  # the scanner looks no higher


def test_recorded_object_frames_project_to_plausible_depth(shared_data):
    data = open_dataset("kitti_object", shared_data("kitti_object_3"))
    sizes = [data[i].rgb.shape[:2] for i in range(len(data))]
    assert sizes == [(370, 1224), (375, 1242), (375, 1242)]  # drives differ in width
    for i in range(3):
        depth = data[i].depth
        assert 0.03 < np.isfinite(depth).mean() < 0.06
        assert 5.0 < np.nanmedian(depth) < 20.0
        assert np.nanmax(depth) < 90.0
    # The pedestrian of frame 000000 is labelled 8.41 m ahead; the scanner, higher than the camera,
    # also sees the wall behind.
    person = data[0].depth[160:290, 740:790]
    assert np.nanpercentile(person, 10) == pytest.approx(8.41, abs=0.3)
    assert np.nanmin(person) > 8.0
