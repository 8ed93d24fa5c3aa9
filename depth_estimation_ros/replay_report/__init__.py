"""A one-page report of a replay: what was played, what came out, what was lost, how it looks."""

from depth_estimation_ros.replay_report.report import REPORT, write_report

__all__ = ["REPORT", "write_report"]
