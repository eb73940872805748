"""Lines of progress, and a stop where the loss is no longer a number."""

import math
import time
from collections.abc import Mapping

from posecast.errors import PosecastError


class DivergedError(PosecastError):
    """The loss is no longer a number."""


def check_finite(metrics: Mapping[str, float], step: int, batch: str) -> None:
    """DivergedError with step and batch if a metric is NaN or infinite."""
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise DivergedError(
            f"{', '.join(bad)} of step {step} is not a finite number; batch: {batch}. "
            "Training stopped, the last checkpoint is kept. Start the command again to go on from "
            "it; if it fails at the same step, try a lower learning rate or --precision 32-true"
        )


class Progress:
    """Prints a line every few seconds: step, speed, time left, metrics.

    Steps `first` to `last` are to be made; where there are none, it says so at once.
    """

    def __init__(self, first: int, last: int, every_s: float = 10.0, shown: bool = True) -> None:
        self._first, self._last, self._every_s, self._shown = first, last, every_s, shown
        self._start = self._printed = time.monotonic()
        if shown and first > last:
            print(
                f"The run has made {first - 1} steps already, and {last} are asked for: nothing is "
                "trained. Ask for more steps to train on (with a cosine schedule in a new run, by "
                "--init-from this one), or give --fresh to start over.",
                flush=True,
            )

    def is_due(self, step: int) -> bool:
        """Whether the last line is old enough, or this is the last step."""
        waited = time.monotonic() - self._printed
        return self._shown and (waited >= self._every_s or step >= self._last)

    def say(self, step: int, metrics: Mapping[str, float]) -> None:
        now = self._printed = time.monotonic()
        speed = (step - self._first + 1) / max(now - self._start, 1e-9)
        left_s = (self._last - step) / speed
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        print(
            f"step {step}/{self._last}  {speed:.2f} steps/s  {_duration(left_s)} left  {numbers}",
            flush=True,
        )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
