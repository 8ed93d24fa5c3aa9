"""Quality of the point cloud: flying points at depth edges, and planes' flatness."""
