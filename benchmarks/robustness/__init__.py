"""How much worse forecasts get when the seen poses do: `python -m benchmarks.robustness --help`."""
