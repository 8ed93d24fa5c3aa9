"""Pictures, folders, videos and cameras as streams of colour pictures. No ROS here."""

from depth_estimation_ros.media.exif import focal_px
from depth_estimation_ros.media.inputs import is_camera, open_media
from depth_estimation_ros.media.media import Media, MediaFrame
from depth_estimation_ros.media.pictures import (
    DEPTH_TITLE,
    PICTURES,
    Folder,
    Picture,
    read_picture,
    spread,
)
from depth_estimation_ros.media.videos import VIDEOS, Camera, Video

__all__ = [
    "DEPTH_TITLE",
    "PICTURES",
    "VIDEOS",
    "Camera",
    "Folder",
    "Media",
    "MediaFrame",
    "Picture",
    "Video",
    "focal_px",
    "is_camera",
    "open_media",
    "read_picture",
    "spread",
]
