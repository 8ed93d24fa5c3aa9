"""What produces a model: networks, data, training, evaluation and export. Never on a robot."""

from training.torchvision_guard import name_missing_operators

_operator_names = name_missing_operators()
