"""Drawn people: as hard to forecast as real footage, labelled exactly, free to share."""
