"""Images, folders, videos and cameras as streams of color images. No ROS here."""
