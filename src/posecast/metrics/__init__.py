"""Metrics: short functions that name their source."""
