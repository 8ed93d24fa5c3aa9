"""Camera models, lens distortion, calibration files and point clouds."""
