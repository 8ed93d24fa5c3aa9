"""What several tests of the training package need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from training_runs import SHORT_BATCH_NORM_PASS

from training.trainer import loaders


@pytest.fixture(scope="module", autouse=True)
def short_batch_norm_pass() -> Iterator[None]:
    """Runs of a few images do not measure batch normalisation over a thousand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "BATCH_NORM_PASS", SHORT_BATCH_NORM_PASS)
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch computes on one thread: small tensors only wait for more of them on a busy machine,
    and sums over another number of threads round differently."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
