"""What the machine is and what runs on it: the numbers mean nothing without that."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "openvino", "ros-rclpy")


def facts() -> dict[str, object]:
    """Processor, memory, system, versions, the commit, and the load before anything is measured."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "caches_kb": _caches(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "load_1min_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    lines = _read("/proc/cpuinfo").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _caches() -> dict[str, int]:
    """Kilobytes of each level of the first core's caches."""
    sizes = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level = _read(folder / "type"), _read(folder / "level")
        if kind != "Instruction":
            sizes[f"L{level}"] = int(_read(folder / "size").rstrip("K") or 0)
    return sizes


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not by pip"


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
