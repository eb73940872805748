"""Video and picture files in and out; drawing on pictures."""
