"""Scoring of depth networks: one pipeline, one set of numbers, reported in several ways."""

from training.evaluation.score import FrameScore, SetResult, evaluate_set

__all__ = ["FrameScore", "SetResult", "evaluate_set"]
