"""Lets timm, torchmetrics and Lightning import beside a torchvision without its compiled part.

A CUDA build of torchvision beside a CPU build of torch fails while it registers shape functions
for its detection operators (pytorch/vision issue 9077), and all three import torchvision. Nothing
here uses those operators, so it is enough that their names exist.
"""

from __future__ import annotations

import sys

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def name_missing_operators() -> torch.library.Library | None:
    """Defines the operators' names if torchvision cannot be imported for want of them.

    Returns the library that holds the names, to be kept alive; None if nothing was needed.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        names = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _OPERATORS:
            names.define(schema)
        return names
    return None
