"""Checkpoints come from strangers too: reading one runs nothing."""

import io
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from training_checkpoints import CONFIG, tiny_checkpoint
from training_runs import arguments, changed, train, write_room

from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.errors import ModelError
from training.__main__ import main
from training.checkpoint import load_checkpoint, load_weights
from training.config import load_config
from training.module import DepthModule
from training.trainer import fit
from training.trainer.launch import Launch


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.fixture
def trapped(tmp_path):
    """A checkpoint that works, with a trap in it; the marker tells that it went off."""
    file, marker = tiny_checkpoint(tmp_path / "trapped.ckpt"), tmp_path / "marker"
    state = torch.load(file, weights_only=True)
    torch.save({**state, "callbacks": {"harmless": Trap(marker)}}, file)
    return file, marker


def test_the_trap_would_go_off(trapped):
    file, marker = trapped
    with zipfile.ZipFile(file) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("data.pkl"))
        content = archive.read(name)

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, _):
            return torch.FloatStorage(10**6)

    Unpickler(io.BytesIO(content)).load()
    assert marker.exists()


def test_a_checkpoint_with_python_objects_is_refused(trapped):
    file, marker = trapped
    with pytest.raises(ModelError, match=r"trapped\.ckpt is refused: found Python objects in it"):
        load_checkpoint(file)
    assert not marker.exists()


def test_commands_refuse_it_too(trapped, tmp_path, capsys):
    file, marker = trapped
    assert main(["export", "--checkpoint", str(file), "--out", str(tmp_path / "m.onnx")]) == 1
    assert "is refused" in capsys.readouterr().err
    assert not marker.exists()


def test_resuming_refuses_it_too(trapped, tmp_path, capsys):
    file, marker = trapped
    write_room(tmp_path / "room")
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    file.rename(folder / "last.ckpt")
    assert main([*arguments(tmp_path, "run", changed()), "--resume"]) == 1
    assert "is refused" in capsys.readouterr().err
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_checkpoint_says_so(tmp_path, content):
    file = tiny_checkpoint(tmp_path / "cut.ckpt")
    file.write_bytes(file.read_bytes()[:5000] if content is None else content)
    with pytest.raises(ModelError, match=r"cut\.ckpt"):
        load_checkpoint(file)


def test_a_checkpoint_without_a_run_in_it_says_so(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match=r"other\.ckpt is not a checkpoint of this training"):
        load_checkpoint(tmp_path / "other.ckpt")


def test_all_files_of_a_run_can_be_read(tmp_path):
    write_room(tmp_path / "room")
    short = changed(optimizer={"steps": 2}, trainer={"validate_every": 1, "batch_norm": "frozen"})
    run = train(tmp_path, "run", short)
    for name in ("last", "best", "final"):
        config, network = load_checkpoint(run / "checkpoints" / f"{name}.ckpt")
        assert (config.name, network.training) == ("tiny", False)


@pytest.mark.parametrize("model", ["compact", "nano"])
def test_a_bundled_model_gives_its_weights_back(model):
    config = load_config(CONFIG.with_name(f"{model}.yaml"))
    module = DepthModule(config, with_encoder_weights=False).eval()
    load_weights(module, model)
    rgb = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), np.uint8)
    with torch.no_grad():
        depth = module(torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255.0)
    session = onnxruntime.InferenceSession(resolve_model(model))
    np.testing.assert_allclose(depth.numpy(), session.run(None, {"image": rgb})[0], rtol=2e-3)


def test_an_onnx_file_of_another_network_is_refused():
    module = DepthModule(load_config(CONFIG), with_encoder_weights=False)
    with pytest.raises(ModelError, match=r"nano\.onnx is of another network"):
        load_weights(module, "nano")


def test_depthwise_convolutions_stay_float32_under_bf16_on_a_cpu():
    config = at_precision(load_config(CONFIG), "bf16-mixed")
    module = DepthModule(config, with_encoder_weights=False)
    plain = DepthModule(at_precision(config, "32-true"), with_encoder_weights=False)
    assert list(module.state_dict()) == list(plain.state_dict())
    x = torch.rand(1, 32, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        types = [m.network.encoder.blocks[0][0].conv_dw(x).dtype for m in (module, plain)]
    assert types == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_cpu_without_bf16_trains_in_float32(tmp_path, monkeypatch, bf16, precision):
    monkeypatch.setattr(fit, "has_bf16", lambda: bf16)
    config = at_precision(load_config(CONFIG), "bf16-mixed")
    assert fit.make_trainer(config, tmp_path, Launch(1, 1, True, "command")).precision == precision


def at_precision(config, precision):
    return replace(config, trainer=replace(config.trainer, precision=precision))
