"""Experiments on what the training learns: ablations, scores of left-out sets, stability."""
