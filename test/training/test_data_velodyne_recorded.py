"""Recorded scans and calibrations agree with depth that others projected, and with labels."""

import cv2
import numpy as np

from training.data.image_files import read_depth_png
from training.data.kitti_frames import object_camera, project, raw_camera, read_scan
from training.data.kitti_raw import read_projected

DAY = "kitti_raw_tiny/2011_09_26"
STORED = f"{DAY}/2011_09_26_drive_0023_sync/proj_depth/velodyne/image_{{:02d}}/{{:010d}}.npz"


def unproject(depth, velo_to_image, row_shift=0.0):
    """The points of a depth image in the scanner's frame; rows lie ``row_shift`` lower."""
    v, u = np.nonzero(np.isfinite(depth))
    w = depth[v, u].astype(np.float64)
    image = np.stack([u * w, (v + row_shift) * w, w]) - velo_to_image[:, 3:]
    return np.linalg.solve(velo_to_image[:, :3], image).T


def test_stored_depth_of_one_camera_projects_onto_that_of_the_other(shared_data):
    """The recording has no scans, but both cameras' depth of the same scans.

    Left depth goes to the scanner's frame and by `project` to the right camera. The pixels of a
    depth image are whole, so a point may land beside its stored place; compared is where both
    have depth.
    """
    left, right = (raw_camera(shared_data(DAY), camera).velo_to_image for camera in (2, 3))
    errors, seen, stored_count = [], 0, 0
    for frame in range(7):
        points = unproject(read_projected(shared_data(STORED.format(2, frame))), left)
        stored = read_projected(shared_data(STORED.format(3, frame)))
        ours = project(points, right, *stored.shape)
        both = np.isfinite(ours) & np.isfinite(stored)
        errors.append(np.abs(ours - stored)[both])
        seen, stored_count = seen + both.sum(), stored_count + np.isfinite(stored).sum()
    error = np.concatenate(errors)
    assert seen / stored_count > 0.6  # chance would be 4 %
    assert np.median(error) < 1e-6  # metres: it is 0, the same points with the same depth
    assert np.mean(error < 0.02) > 0.99


def scan_lines(points):
    """How many points there are at each elevation, in bins of 0.02 degrees."""
    x, y, z = points[:, :3].T
    distance = np.hypot(x, y)
    ahead = (x > 0) & (np.abs(y) < 0.8 * x) & (distance > 5.0) & (distance < 40.0)
    elevation = np.degrees(np.arctan2(z[ahead], distance[ahead]))
    counts = np.histogram(elevation, np.arange(-9.0, 0.0, 0.02))[0]
    return np.convolve(counts, np.ones(3) / 3.0, "same")


def read_drive_0005(folder):
    return [read_depth_png(path, metres_per_unit=1.0 / 256.0) for path in sorted(folder.iterdir())]


def row_shift_of(depths, velo_to_image, lines):
    """By how many rows the depth must move so that its scan lines are those of a real scan."""
    shifts = np.arange(-0.5, 1.1, 0.125)
    likeness = []
    for shift in shifts:
        points = [unproject(depth, velo_to_image, shift) for depth in depths]
        likeness.append(np.corrcoef(scan_lines(np.concatenate(points)), lines)[0, 1])
    return shifts[np.argmax(likeness)], max(likeness)


def test_the_calibration_puts_stored_depth_back_onto_the_lines_of_the_scanner(shared_data):
    """Scans of the same car show at which elevations its lasers look.

    Depth of drive 0005 was projected to the nearest pixel, as `project` does. In kitti_raw_tiny
    the fraction of a pixel was cut off, so its points lie half a row lower on average.
    """
    scans = sorted(shared_data("kitti_object_3/training/velodyne").glob("*.bin"))
    lines = scan_lines(np.concatenate([read_scan(path) for path in scans]))
    camera = raw_camera(shared_data(DAY), 2).velo_to_image
    rounded = read_drive_0005(shared_data("kitti_drive_0005/depth"))[::3]
    shift, likeness = row_shift_of(rounded, camera, lines)
    assert abs(shift) <= 0.125
    assert likeness > 0.7
    cut = [read_projected(shared_data(STORED.format(2, frame))) for frame in range(7)]
    shift, likeness = row_shift_of(cut, camera, lines)
    assert 0.375 <= shift <= 0.75
    assert likeness > 0.7
    # The same with the scanner's height wrong by 8 cm.
    wrong = camera.copy()
    wrong[:, 3] += camera[:, :3] @ [0.0, 0.0, 0.08]
    assert row_shift_of(rounded, wrong, lines)[1] < 0.5


def test_a_scan_projects_as_by_opencv(shared_data):
    training = shared_data("kitti_object_3/training")
    scan = read_scan(training / "velodyne/000001.bin")
    scan = scan[scan[:, 0] > 3.0]
    camera = object_camera(training / "calib/000001.txt")
    fx, fy, cx, cy = camera.intrinsics
    k = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    motion = np.linalg.solve(k, camera.velo_to_image)
    pixels = cv2.projectPoints(
        scan[:, :3].astype(np.float64), motion[:, :3], motion[:, 3], k, None
    )[0].reshape(-1, 2)
    depth = project(scan, camera.velo_to_image, 375, 1242)
    u, v = np.rint(pixels).astype(int).T
    inside = (u >= 0) & (u < 1242) & (v >= 0) & (v < 375)
    z = (scan[:, :3] @ motion[:, :3].T + motion[:, 3])[:, 2]
    assert inside.sum() > 15000
    np.testing.assert_array_equal(
        np.isfinite(depth).sum(), len(set(zip(u[inside], v[inside], strict=True)))
    )
    assert (depth[v[inside], u[inside]] <= z[inside] + 1e-5).all()


def read_labels(path):
    """Boxes of cars and people: (2-D box in pixels, sizes h w l, middle of the floor, turn)."""
    for line in path.read_text().splitlines():
        kind, *numbers = line.split()
        if kind != "DontCare":
            n = np.array(numbers, float)
            yield kind, n[3:7], n[7:10], n[10:13], n[13]


def test_points_in_the_labelled_boxes_fall_into_the_boxes_drawn_on_the_picture(shared_data):
    training = shared_data("kitti_object_3/training")
    compared = 0
    for frame in ("000000", "000001", "000002"):
        scan = read_scan(training / f"velodyne/{frame}.bin")
        camera = object_camera(training / f"calib/{frame}.txt")
        fx, fy, cx, cy = camera.intrinsics
        k = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        # Boxes are in the frame of camera 0; camera 2 stands 6 cm to its side.
        p2 = next(
            np.array(line.split()[1:], float).reshape(3, 4)
            for line in (training / f"calib/{frame}.txt").read_text().splitlines()
            if line.startswith("P2:")
        )
        to_camera = np.linalg.solve(k, camera.velo_to_image)
        seen = scan[:, :3] @ to_camera[:, :3].T + to_camera[:, 3] - np.linalg.solve(k, p2[:, 3])
        for kind, box, (h, w, length), floor, turn in read_labels(
            training / f"label_2/{frame}.txt"
        ):
            offset = seen - floor
            along = offset @ [np.cos(turn), 0.0, -np.sin(turn)]
            across = offset @ [np.sin(turn), 0.0, np.cos(turn)]
            inside = (np.abs(along) < length / 2) & (np.abs(across) < w / 2)
            inside &= (offset[:, 1] < -0.1) & (offset[:, 1] > -h)
            if inside.sum() < 30:
                continue
            v, u = np.nonzero(np.isfinite(project(scan[inside], camera.velo_to_image, 375, 1242)))
            within = (u >= box[0] - 2) & (u <= box[2] + 2) & (v >= box[1] - 2) & (v <= box[3] + 2)
            assert within.mean() > 0.98, (frame, kind)
            compared += 1
    assert compared >= 3
