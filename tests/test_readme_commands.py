"""The commands of README and docs/training.md do what they promise: run one after the other, as
they stand, at toy size.

All but that of Human3.6M, whose videos have the size that they were published in."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from posecast.cli import COMMANDS, main
from posecast.forecasting.forecast_files import read_forecasts
from posecast.media.videos import probe_video
from posecast.store.reading import Store
from test_promises import PAGES, commands_of

SMALL = "--device cpu --steps 2 --batch-size 2 --validate-every 2"
TOY = {
    "prepare penn-action": "--size 16 --workers 1",
    "train pose": f"{SMALL} --model.hidden 8 --model.encoder 4",
    "train image": f"{SMALL} --generator.width 4 --generator.size 16 --discriminator.width 4 "
    "--discriminator.size 16 --validation-pairs 2",
    "train estimator": f"{SMALL} --model.width 8 --model.stacks 1 --model.depth 2 --model.size 16",
    "predict": "--steps 4 --device cpu",
    "evaluate": "--steps 4 --device cpu",
    "forecast": "--steps 4 --device cpu --no-mirror",
}
"""What is added to a command of the README."""


def name_of(words: list[str]) -> str:
    return next(name for name in (" ".join(words[1:3]), words[1]) if name in COMMANDS)


@pytest.mark.slow
def test_the_commands_of_the_readme_run(shared: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(shared / "data" / "sample" / "squats.mp4", "my.mp4")
    drawn = "synthesize Penn_Action --num-clips 36 --num-frames 24 --image-hw 64 96 --workers 1"
    assert main(drawn.split()) == 0
    done = []
    training = next(page for page in PAGES if page.name == "training.md")
    promised = [words for page in (PAGES[0], training) for words in commands_of(page)]
    for words in (each for each in promised if "Human3.6M" not in each):
        name = name_of(words)
        asked = [*words[1:], *shlex.split(TOY.get(name, ""))]
        assert main(asked) == 0, f"{shlex.join(asked)}: {capsys.readouterr().err}"
        done.append(name)
    assert {"prepare penn-action", "train pose", "train image", "predict", "evaluate"} <= set(done)
    clips = Store.open("store").clips
    forecasts = list(read_forecasts("forecasts"))
    assert len(forecasts) == sum(clip.split == "test" for clip in clips) > 0
    assert all(np.isfinite(each.predicted_joints_px).all() for each in forecasts)
    assert "last pose" in Path("report/index.html").read_text()
    assert Path("squats-forecast.mp4").is_file()
    assert "Verdict" in Path("my-compare.html").read_text()
    goes_on = probe_video("my-forecast.mp4")
    seen = probe_video("my.mp4")
    assert (goes_on.width, goes_on.height, goes_on.fps) == (seen.width, seen.height, seen.fps)
    assert goes_on.num_frames == seen.num_frames + 4
