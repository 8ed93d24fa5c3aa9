# Everything runs in virtual environments of this directory; nothing else on the machine changes.
#
#   INPUT=...     what the demo plays: bag, video file, image or camera (default: the bundled bag)
#   ARGS=...      further arguments for the demo, for pytest or for the bench
#   PYTHON=...    the interpreter, 3.10 to 3.13 (default: the first one found); another one than before
#                 makes the environments again
#   JOBS=...      processes that run the tests (default: 3)
#   TORCH=...     the PyTorch that the tests use. On Linux the package index serves a CUDA build; for
#                 the much smaller CPU build give pip the CPU index named on PyTorch's own
#                 installation page: make test PIP_ARGS="--extra-index-url <that index>"
#   PIP_ARGS=...  further arguments for every `pip install`

TORCH ?= torch==2.13.0 torchvision==0.28.0
PIP_ARGS ?=
INPUT ?=
ARGS ?=
JOBS ?= 3

# A Python of ROS wheels leaves these in the environment of its children (a `make` inside a test,
# say); they would make another environment's Python load the wrong libraries.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport LD_LIBRARY_PATH
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

ifneq ($(ROS_DISTRO),)
ROS := $(shell python3 -c "import rclpy" 2>/dev/null && echo $(ROS_DISTRO))
endif

ifneq ($(ROS),)
# The sourced ROS 2 is used as it is. Its message packages are compiled against the numpy that came
# with it, so that numpy stays; OpenCV stays if there is one.
PYTHON ?= python3
VENV_ARGS := --system-site-packages
KEEP := $(shell python3 -c "import numpy; print('numpy==' + numpy.__version__)" 2>/dev/null)
OPENCV := $(shell python3 -c "import cv2" 2>/dev/null || echo opencv-python-headless)
RUNTIME := $(KEEP) $(OPENCV) onnxruntime pyyaml rosbags mcap rich matplotlib jinja2
TEST_EXTRAS := demo,view,train,test,tensorrt-test,openvino
WITH := ROS 2 $(ROS)
else
# What the wheels exist for.
FITS := "import ensurepip, platform, sys; sys.exit(not ((3, 10) <= sys.version_info[:2] <= (3, 13) \
	and platform.system() == 'Linux' and platform.machine() == 'x86_64'))"
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c $(FITS) 2>/dev/null && { echo $$p; break; }; done)
RUNTIME := ".[ros,demo]"
TEST_EXTRAS := ros,demo,view,train,test,tensorrt-test,openvino
WITH := the ROS 2 wheels
endif

BIN := $(CURDIR)/.venv/bin
TEST_BIN := $(CURDIR)/.venv-test/bin

# An environment made with another interpreter than the one asked for is made again.
ifeq ($(origin PYTHON),command line)
IDENTITY := -c "import sys; print(sys.base_prefix, sys.version)"
$(foreach venv,.venv .venv-test,$(shell test ! -e $(venv)/.ready || \
	test "$$($(venv)/bin/python $(IDENTITY))" = "$$($(PYTHON) $(IDENTITY))" || rm $(venv)/.ready))
endif
# Builds the package without a download each time; colcon does not want a newer one.
SETUPTOOLS := "setuptools>=70.1,<80"
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check $(PIP_ARGS)
SOURCES := $(shell find depth_estimation_ros launch config resource -type f ! -name "*.pyc")

.DEFAULT_GOAL := help
.PHONY: help demo test gpu-check fuzz soak bench bench-peers bench-training lint clean python

help: ## show this list
	@awk -F ":.*## " '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@awk '/^#   [A-Z]/ || /^#                 / {print substr($$0, 2)} /^$$/ {exit}' $(MAKEFILE_LIST)
	@echo "  Examples:"
	@echo "    make demo INPUT=my_bag ARGS=\"--model nano\""
	@echo "    make demo INPUT=video.mp4 ARGS=\"--hfov 70\" PYTHON=python3.12"
	@echo "    make test ARGS=\"test/messages -x\" JOBS=1"

demo: .venv/.package ## the real node on a recording (or on INPUT=...), results in demo_out/
	@$(if $(findstring --view,$(ARGS)),$(BIN)/python $(PIP_INSTALL) "rerun-sdk>=0.41")
	@$(BIN)/depth_estimation_demo $(if $(INPUT),--input "$(INPUT)") $(ARGS)

test: .venv-test/.ready ## all tests, on the CPU
	@$(TEST_BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not openvino" $(ARGS); \
		status=$$?; test $$status -eq 0 || test $$status -eq 5 || exit $$status
	@$(TEST_BIN)/python -m pytest -m openvino $(ARGS); \
		status=$$?; test $$status -eq 0 || test $$status -eq 5 || exit $$status

gpu-check: .venv-test/.ready ## what needs an NVIDIA GPU: tests and a table of times (ARGS=--help)
	@$(TEST_BIN)/python tools/gpu_check/check.py $(ARGS)

fuzz: .venv-test/.ready ## 50,000 cases of noise in all that comes in (ARGS=--help)
	@$(TEST_BIN)/python tools/fuzz/run.py $(ARGS)

soak: .venv-test/.ready ## 20 minutes of faults; memory and handles must not grow (ARGS=--help)
	@$(TEST_BIN)/python tools/soak/soak.py $(ARGS)

bench: .venv-test/.ready ## the speed of node and replay, into docs/benchmarks (ARGS=--help)
	@$(TEST_BIN)/python benchmarks/bench.py $(ARGS)

bench-peers: .venv-test/.ready .venv-peers/.ready ## the same through OpenVINO, Open3D and others
	@$(TEST_BIN)/python benchmarks/bench.py --only peers $(ARGS)

bench-training: .venv-test/.ready ## the speed of training steps (ARGS=--help)
	@$(TEST_BIN)/python benchmarks/training_speed.py $(ARGS)

lint: .venv-test/.ready ## ruff, mypy, and which room may import which
	@$(TEST_BIN)/python -m ruff check .
	@$(TEST_BIN)/python -m ruff format --check .
	@$(TEST_BIN)/python -m mypy
	@$(TEST_BIN)/lint-imports

clean: ## remove the environments, build outputs and caches; keeps demo_out/, soak_out/ and runs/
	@rm -rf .venv .venv-test .venv-peers build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
ifeq ($(ROS),)
	@test -n "$(PYTHON)" && $(PYTHON) -c $(FITS) || { echo "Needed: a sourced ROS 2, or Linux on" \
	"x86-64 with Python 3.10 to 3.13 and its venv module. Found: $$(uname -sm)," \
	"$$($(or $(PYTHON),python3) -V 2>&1). Another Python: make PYTHON=/path/to/python3.12 ..." \
	>&2; exit 1; }
endif

.venv/.ready: setup.py | python
	@echo "Making .venv with $(WITH) ($$($(PYTHON) -V)); once, about a minute ..."
	@$(PYTHON) -m venv --clear $(VENV_ARGS) .venv
	@$(BIN)/python $(PIP_INSTALL) $(SETUPTOOLS) $(RUNTIME)
	@touch $@

.venv/.package: .venv/.ready $(SOURCES)
	@rm -rf build/lib build/bdist.*
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --force-reinstall .
	@touch $@

# One call: pip then keeps to the PyTorch named here when timm asks for some torchvision.
.venv-test/.ready: setup.py | python
	@echo "Making .venv-test with $(WITH) and PyTorch ($$($(PYTHON) -V)); once, some minutes ..."
	@$(PYTHON) -m venv --clear $(VENV_ARGS) .venv-test
	@$(TEST_BIN)/python $(PIP_INSTALL) $(SETUPTOOLS) $(TORCH) $(KEEP) -e ".[$(TEST_EXTRAS)]"
	@touch $@

# Large, and wanted by the bench alone; either may be missing for this Python.
.venv-peers/.ready: setup.py | python
	@$(PYTHON) -m venv --clear .venv-peers
	@.venv-peers/bin/python $(PIP_INSTALL) $(SETUPTOOLS) -e .
	@for peer in openvino open3d; do .venv-peers/bin/python $(PIP_INSTALL) $$peer || true; done
	@touch $@
