"""Data sets: pictures with metric depth, its invalid pixels marked, and intrinsics."""
