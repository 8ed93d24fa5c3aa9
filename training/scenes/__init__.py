"""Procedural scenes: RGB, exact metric depth and intrinsics from seeds, on CPU or GPU."""
