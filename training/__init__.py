"""What produces a model: networks, data, training, evaluation and export. Never on a robot."""

try:
    from training.torchvision_guard import name_missing_operators
except ModuleNotFoundError as error:
    raise ImportError(f'{error}: training needs more, pip install -e ".[train]"') from error

_operator_names = name_missing_operators()
