"""The networks, one a file, each below its config."""
