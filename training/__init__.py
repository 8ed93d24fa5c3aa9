"""What produces a model: networks, data, training, evaluation and export. Never installed on a robot."""
