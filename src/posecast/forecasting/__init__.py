"""Seen frames -> future poses -> future frames."""
