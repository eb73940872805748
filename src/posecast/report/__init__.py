"""Evaluations as a page: tables, curves and moving pictures, readable without a network."""

from posecast.report.page import ReportConfig, write_report

__all__ = ["ReportConfig", "write_report"]
