"""Depth of pictures, videos and cameras as files, for people without ROS."""
