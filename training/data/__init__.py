"""Data sets: images with metric depth, its invalid pixels marked, and intrinsics."""
