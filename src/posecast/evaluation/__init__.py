"""Forecasts against truth: one table of clip, method, metric and frame, and what it says."""
