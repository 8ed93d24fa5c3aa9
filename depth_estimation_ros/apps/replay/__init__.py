"""Recordings in, recordings with depth and clouds out: every frame, offline, without ROS."""
