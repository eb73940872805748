"""The prepared store: its format, reading, writing, preparation."""
