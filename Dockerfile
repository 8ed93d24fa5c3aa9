# The node, replay and estimate_depth on a processor, x86-64 and aarch64.
#   docker build -t depth_estimation_ros .
#   docker run --rm --net=host --ipc=host --shm-size=512m depth_estimation_ros depth_camera:=/front
FROM ros:jazzy-ros-base

RUN apt-get update && apt-get install -y --no-install-recommends \
        python3-pip python3-numpy python3-opencv python3-yaml python3-rich python3-pil \
        python3-matplotlib python3-jinja2 ros-jazzy-cv-bridge ros-jazzy-diagnostic-msgs \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --break-system-packages onnxruntime rosbags mcap "numpy<2"

COPY . /workspace/src/depth_estimation_ros
RUN . /opt/ros/jazzy/setup.sh && cd /workspace \
    && colcon build --packages-select depth_estimation_ros

RUN printf '#!/bin/sh\n. /workspace/install/setup.sh\nexec "$@"\n' > /entrypoint.sh \
    && chmod +x /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh", "ros2", "launch", "depth_estimation_ros", "depth_estimation.launch.py"]
