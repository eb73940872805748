"""Run by a test in two processes: OUT."""

import sys
from pathlib import Path

import torch

from posecast.computing.devices import Share
from posecast.evaluation.loop import EvaluationReport, evaluate
from posecast.evaluation.methods import baseline_methods
from posecast.evaluation.record import EvaluationConfig
from small_store import a_clip, a_store


def evaluate_clips(out: Path, share: Share) -> EvaluationReport:
    clips = [a_clip(name, speed=ord(name) - 96, has_frames=name < "d") for name in "abcde"]
    clips.append(a_clip("short", 1.0, frames=4))
    # All processes write the same bytes to the same place.
    store = a_store(out.with_name("store"), *clips)
    share.wait()
    methods = baseline_methods(["last pose", "last frame"])
    return evaluate(methods, store, out, EvaluationConfig(num_past=4, steps=6), share=share)


def main(out: Path) -> None:
    torch.set_num_threads(1)
    report = evaluate_clips(out, Share.join("cpu", 2, 1))
    # In one write: lines of two processes must not mix.
    sys.stdout.write(f"report: {report.num_clips} {sorted(report.left_out)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
