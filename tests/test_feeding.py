"""Batches made by other processes."""

import subprocess
import sys

import torch

from posecast.computing.feeding import prepared


def batch(number: int) -> torch.Tensor:
    return torch.full((2,), number)


def test_an_error_ends_the_program_while_workers_make_batches():
    """Its traceback holds what they are made by."""
    command = [sys.executable, __file__]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("RuntimeError: out of memory at 1")


def fail() -> None:
    batches = iter(prepared(batch, range(1000), workers=2, ahead=8))
    first, second = next(batches), next(batches)
    assert not first.any()
    raise RuntimeError(f"out of memory at {second[0]}")


if __name__ == "__main__":
    fail()
