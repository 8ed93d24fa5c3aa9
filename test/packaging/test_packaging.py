"""pip and colcon put everything where ROS 2 looks for it, and robots get no training code."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

NAME = "depth_estimation_ros"
REPOSITORY = Path(__file__).resolve().parents[2]
EXECUTABLES = ("depth_estimation_node", "depth_estimation_demo", "build_engine", "view")
# What ROS 2 brings; each of these that the runtime imports has to be named in package.xml.
ROS_PACKAGES = ("rclpy", "launch", "launch_ros", "cv_bridge", "tf2_ros", "message_filters")

needs_colcon = pytest.mark.skipif(find_spec("colcon_core") is None, reason="needs colcon")


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def libraries(prefix: Path) -> Path:
    """The directory for Python packages below a prefix."""
    return Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(prefix)}))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout: building leaves build/ and *.egg-info in it."""
    copy = tmp_path_factory.mktemp("workspace") / "src" / NAME
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "runs", "demo_out")
    shutil.copytree(REPOSITORY, copy, ignore=ignored)
    return copy


@pytest.fixture(scope="module")
def pip_prefix(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("prefix")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    run(*pip, "--no-build-isolation", "--ignore-installed", "--prefix", prefix, ".", cwd=source)
    return prefix


@pytest.fixture(scope="module")
def colcon_prefix(source: Path) -> Path:
    workspace = source.parent.parent
    colcon = [sys.executable, "-m", "colcon", "--log-base", workspace / "log"]
    listed = run(*colcon, "list", "--base-paths", "src", cwd=workspace)
    # A package.xml that is not valid would make it a plain Python package, with a mere warning.
    assert listed.split() == [NAME, f"src/{NAME}", "(ros.ament_python)"]
    run(*colcon, "build", "--base-paths", "src", cwd=workspace)
    return workspace / "install" / NAME


@pytest.fixture(params=["pip_prefix", pytest.param("colcon_prefix", marks=needs_colcon)])
def prefix(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_the_ament_index_knows_the_package(prefix: Path) -> None:
    packages = pytest.importorskip("ament_index_python.packages")
    shown = run(
        sys.executable,
        "-c",
        f"from {packages.__name__} import *;"
        f"print(get_package_prefix('{NAME}'), get_package_share_directory('{NAME}'))",
        cwd=prefix,
        AMENT_PREFIX_PATH=str(prefix),
    )
    assert shown.split() == [str(prefix), str(prefix / "share" / NAME)]


def test_ros2_run_and_launch_find_the_executables(prefix: Path) -> None:
    for name in EXECUTABLES:
        executable = prefix / "lib" / NAME / name
        assert os.access(executable, os.X_OK), executable
    run(
        prefix / "lib" / NAME / "depth_estimation_demo",
        "--help",
        cwd=prefix,
        PYTHONPATH=str(libraries(prefix)),
    )


def test_ros2_launch_finds_launch_files_and_their_configuration(prefix: Path) -> None:
    share = prefix / "share" / NAME
    for folder, patterns in (
        ("launch", ["*.launch.py"]),
        ("config", ["*.yaml", "*.rviz", "*.xml", "*.json"]),
    ):
        expected = {
            file.name for pattern in patterns for file in (REPOSITORY / folder).glob(pattern)
        }
        assert expected
        assert {file.name for file in (share / folder).iterdir() if file.is_file()} == expected
    assert (share / "package.xml").is_file()


def test_data_of_the_runtime_comes_along(prefix: Path) -> None:
    for folder in ("models", "apps/demo/bag"):
        expected = {file.name for file in (REPOSITORY / NAME / folder).iterdir()}
        assert {file.name for file in (libraries(prefix) / NAME / folder).iterdir()} == expected


def test_type_checkers_see_the_types_of_the_installed_package(prefix: Path) -> None:
    assert (libraries(prefix) / NAME / "py.typed").is_file()


def test_training_and_tests_stay_at_home(prefix: Path) -> None:
    installed = {path.name for path in libraries(prefix).iterdir()}
    assert NAME in installed
    assert not {"training", "test", "tests"} & installed


def test_the_runtime_imports_no_training_library() -> None:
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in (REPOSITORY / NAME).rglob("*.py")
        if path.name != "__main__.py"
    ]
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    code = (
        "import importlib, json, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    loaded = json.loads(run(sys.executable, "-c", code, cwd=REPOSITORY).splitlines()[-1])
    assert NAME in loaded
    assert not {"torch", "timm", "onnx", "lightning", "training"} & set(loaded)


def test_package_xml_names_the_ros_packages_that_are_imported() -> None:
    imported = set()
    for file in [*(REPOSITORY / NAME).rglob("*.py"), *(REPOSITORY / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    ros = {
        name
        for name in imported
        if name in ROS_PACKAGES or name.endswith(("_msgs", "_interfaces")) or "ament" in name
    }
    declared = {
        element.text
        for element in ElementTree.parse(REPOSITORY / "package.xml").iter("exec_depend")
    }
    assert ros
    assert ros <= declared


def test_make_says_what_it_can_do() -> None:
    shown = run("make", cwd=REPOSITORY)
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")} >= {
        "demo",
        "test",
        "bench",
        "lint",
    }


def test_make_says_what_the_machine_lacks_before_it_installs_anything(source: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DISTRO"}
    for python in ("", "/nothing/python3", "false"):
        done = subprocess.run(
            ["make", "demo", f"PYTHON={python}"],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "Needed: a sourced ROS 2, or Linux on x86-64 with Python 3.10" in done.stderr
        assert not (source / ".venv").exists()


def test_versions_agree() -> None:
    import depth_estimation_ros

    version = ElementTree.parse(REPOSITORY / "package.xml").findtext("version")
    assert depth_estimation_ros.__version__ == version
    shown = run(sys.executable, "setup.py", "--version", cwd=REPOSITORY)
    assert shown.split()[-1] == version
    assert f"## [{version}]" in (REPOSITORY / "CHANGELOG.md").read_text()
