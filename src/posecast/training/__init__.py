"""Training loops, one visible loop a file."""
