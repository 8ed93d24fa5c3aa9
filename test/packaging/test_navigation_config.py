"""The recipes for navigation in config/: parameters and topics that the node has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from depth_estimation_ros.node.parameters import Parameters

CONFIG = Path(__file__).resolve().parents[2] / "config"


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONFIG / name).read_text())


def test_the_node_takes_its_navigation_file() -> None:
    values = read("navigation_node.yaml")["/**"]["ros__parameters"]
    parameters = Parameters(**values)
    parameters.check()
    assert 0 < parameters.cloud_min_height < parameters.cloud_max_height


def test_nav2_listens_to_the_cloud_within_its_limits() -> None:
    node = read("navigation_node.yaml")["/**"]["ros__parameters"]
    layers = read("nav2_costmap.yaml")["local_costmap"]["local_costmap"]["ros__parameters"]
    for name in ("voxel_layer", "obstacle_layer"):
        source = layers[name]["camera_depth"]
        assert source["topic"] == "/depth_estimation/points"
        assert source["data_type"] == "PointCloud2"
        assert source["obstacle_max_range"] <= node["cloud_max_range"]
        assert source["min_obstacle_height"] >= node["cloud_min_height"]
        assert layers[name]["observation_sources"] == "camera_depth"
    voxels = layers["voxel_layer"]
    assert voxels["z_voxels"] <= 16
    assert voxels["z_voxels"] * voxels["z_resolution"] >= node["cloud_max_height"]
