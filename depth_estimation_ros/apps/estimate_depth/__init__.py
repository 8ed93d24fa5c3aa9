"""Depth of images, videos and cameras as files, for people without ROS."""
