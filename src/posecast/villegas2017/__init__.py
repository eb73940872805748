"""What exists only to read or repeat the code of 2017."""
