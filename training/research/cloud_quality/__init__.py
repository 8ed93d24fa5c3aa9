"""Quality of the point cloud: points that hang in the air at depth edges, and planes' flatness."""
