"""A checkpoint behind the runtime's engine protocol."""

from pathlib import Path

import numpy as np
import pytest
from training_checkpoints import tiny_checkpoint

from depth_estimation_ros.errors import EngineError
from training.torch_engine import TorchEngine


def test_a_checkpoint_is_an_engine_like_any_other(tmp_path: Path) -> None:
    engine = TorchEngine.from_checkpoint(tiny_checkpoint(tmp_path / "final.ckpt"), "cpu")
    assert engine.card.input.multiple_of == 32
    assert "PyTorch" in engine.description
    batch = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    depth = engine.infer(batch)
    assert (depth.shape, depth.dtype) == ((2, 64, 96), np.float32)
    np.testing.assert_allclose(engine.infer(batch[1:]), depth[1:], rtol=1e-4)
    for wrong in (batch[:, :40], batch.astype(np.float32), batch[..., :2], batch[0]):
        with pytest.raises(EngineError, match=r"multiples of 32, 3\) uint8"):
            engine.infer(wrong)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(batch)
