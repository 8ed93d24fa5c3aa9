"""Every configuration that the project ships can be trained: its parts exist and fit together."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.config import load_config
from training.data.layouts import LAYOUTS
from training.module import DepthModule, make_optimizer, rate_factor

FOLDER = Path(__file__).resolve().parents[2] / "config" / "training"
FILES = sorted(FOLDER.rglob("*.yaml"))


def test_there_is_one_for_each_data_set_and_for_the_paper():
    assert {"nyu", "nyu_paper", "kitti", "cityscapes", "mixed", "compact"} <= {
        file.stem for file in FILES
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_a_configuration_builds(file):
    config = load_config(file)
    module = DepthModule(replace(config, encoder_weights="none"))
    network = module.network
    height, width = config.data.height, config.data.width
    assert height % network.multiple_of == 0
    assert width % network.multiple_of == 0
    # The head's range is that of the loss: sky beyond it could not be learned.
    assert config.loss.options["max_depth"] == network.head.max_depth
    make_optimizer(network, config.optimizer)
    assert rate_factor(config.optimizer.steps, config.optimizer) == pytest.approx(0.0)
    assert {entry.layout for entry in (*config.data.training, *config.data.validation)} <= set(
        LAYOUTS
    )
    depth = torch.full((1, height, width), 1.0)
    assert torch.isfinite(module.loss(depth, depth, torch.tensor([True]))["loss"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_nothing_is_validated_on_what_it_is_trained_on_or_tested_with(file):
    data = load_config(file).data
    for entry in data.validation:
        assert entry.options.get("split") != "test"
        for trained in data.training:
            if (trained.path, trained.options) == (entry.path, entry.options):
                assert trained.holdout == entry.holdout > 0.0


def test_the_papers_recipe_is_the_papers():
    config = load_config(FOLDER / "nyu_paper.yaml")
    how = config.optimizer
    assert (how.name, how.amsgrad, how.schedule) == ("adam", True, "linear")
    assert (how.lr, how.encoder_lr, how.batch_size, how.warmup_steps) == (1e-4, 1e-4, 16, 0)
    assert rate_factor(how.steps // 2, how) == pytest.approx(0.5)
    assert config.loss.options["weights"] == [1.0, 1.0, 0.3]
    assert (config.data.height, config.data.width) == (240, 320)
    rounds = how.steps * how.batch_size / (0.7 * 50_688)
    assert rounds == pytest.approx(15, rel=0.01)
