"""The command estimate_depth with a network whose answers are known."""

from __future__ import annotations

import pytest
import tiny_models

from depth_estimation_ros.apps.estimate_depth.command import main


@pytest.fixture
def model(tmp_path):
    return tiny_models.red_depth(tmp_path / "red.onnx")


@pytest.fixture
def run(tmp_path, model, capsys):
    """`run(INPUT..., option...)` gives the exit status and what was said; files go to out."""

    def call(*arguments, out="out"):
        options = ["--model", model, "--threads", "1", "--out", tmp_path / out]
        code = main([str(argument) for argument in (*options, *arguments)])
        return code, " ".join(capsys.readouterr().out.split())

    return call


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"
