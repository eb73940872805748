"""Seen frames -> future poses -> future frames: of a store, of own videos."""
