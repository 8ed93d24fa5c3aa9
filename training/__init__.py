"""What produces a model: networks, data, training, evaluation, export, import. Never on a robot."""

import sys

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError(f'{error}: training needs more, pip install -e ".[train]"') from error

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _define_missing_operators() -> torch.library.Library | None:
    """Define torchvision's operators by name if torchvision cannot be imported without them.

    A CUDA build of torchvision next to a CPU build of torch fails while it registers its detection
    operators (pytorch/vision issue 9077); timm, torchmetrics, Lightning and transformers import
    torchvision. Nothing here calls those operators, so their names are enough.

    Returns:
        The library that holds the names, to be kept alive; None if nothing was needed.
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
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _OPERATORS:
            library.define(schema)
        return library
    return None


_library = _define_missing_operators()
