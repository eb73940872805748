"""Forecasts against truth: one table of clip, method, metric and frame, and what it says."""

from posecast.evaluation.jobs import EvaluationConfig
from posecast.evaluation.loop import EvaluationReport, evaluate
from posecast.evaluation.methods import (
    Method,
    baseline_methods,
    forecast_method,
    oracle_method,
    stored_method,
    trained_frame_method,
)
from posecast.evaluation.networks import MetricNetworks, NetworkFiles, load_networks
from posecast.evaluation.setup import MethodChoice, load_methods
from posecast.evaluation.summary import Summary, summarise

__all__ = [
    "EvaluationConfig",
    "EvaluationReport",
    "Method",
    "MethodChoice",
    "MetricNetworks",
    "NetworkFiles",
    "Summary",
    "baseline_methods",
    "evaluate",
    "forecast_method",
    "load_methods",
    "load_networks",
    "oracle_method",
    "stored_method",
    "summarise",
    "trained_frame_method",
]
