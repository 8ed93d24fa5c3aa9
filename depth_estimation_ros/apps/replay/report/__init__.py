"""A one-page report of a replay: what was played, what came out, what was lost, how it looks."""

from depth_estimation_ros.apps.replay.report.report import REPORT, write_report
from depth_estimation_ros.apps.replay.report.truth import Comparison

__all__ = ["REPORT", "Comparison", "write_report"]
