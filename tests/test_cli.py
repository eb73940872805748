"""The command line: help, names, messages without tracebacks, and the whole chain at toy size."""

import ast
import dataclasses
import io
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import posecast
from posecast import cli, presets
from posecast.cli import COMMANDS, main
from posecast.cli.parsing import parse, plain
from posecast.forecasting import forecast_files
from posecast.pretrained import SHIPPED
from posecast.records.configs import config_from_dict, config_to_dict
from posecast.records.runs import Run
from typed import run

TINY_CLIPS = ("--num-clips", "8", "--image-hw", "64", "64", "--num-frames", "16")


def test_help_comes_without_the_heavy_libraries():
    script = (
        "import sys; from posecast.cli import main; main(['--help']); main(['--version']); "
        "print(sorted({'torch', 'cv2', 'av', 'tyro', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[-1] == "[]"
    assert lines[-2] == f"posecast {posecast.__version__}"
    for name in COMMANDS:
        assert any(line.strip().startswith(name) for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(capsys, name):
    status, out, _ = run(capsys, *name.split(), "--help")
    assert status == 0
    assert f"usage: posecast {name}" in out
    if not name.startswith("train"):
        assert "Examples:" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_that_are_on_show_how_to_say_so_and_how_to_turn_them_off(capsys, name):
    presets_of = {"train pose": ["demo"], "train image": ["demo"], "train estimator": ["demo"]}
    _, out, _ = run(capsys, *name.split(), *presets_of.get(name, []), "--help")
    text = " ".join(out.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())
    for off in re.finditer(r"--((?:[a-z0-9-]+\.)*)no-([a-z0-9-]+)", text):
        before = text[: off.start()]
        assert before.endswith((f"--{off[1]}{off[2]}, ", f"--{off[1]}{off[2]} | ")), off[0]


def test_both_flags_of_a_pair_are_understood():
    kind = dataclasses.make_dataclass("Kind", [("mp4", bool, True), ("final", bool, False)])
    assert parse(kind, ["--no-mp4"], "x") == kind(mp4=False)
    assert parse(kind, ["--mp4", "--final"], "x") == kind(final=True)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("pose", "image") for name in (presets.POSE, presets.IMAGE)[0]],
)
def test_every_preset_has_help_and_can_be_stored(capsys, kind, name):
    status, out, _ = run(capsys, "train", kind, name, "--help")
    assert status == 0
    assert "Examples:" in out
    assert "--learning-rate" in out
    status, out, _ = run(
        capsys, "train", kind, name, "--store", "s", "--run", "r", "--steps", "77", "--dry-run"
    )
    assert status == 0
    stored = json.loads(out)
    config = (presets.POSE if kind == "pose" else presets.IMAGE)[name]
    assert stored == config_to_dict(config.but(steps=77))
    assert config_from_dict(type(config), stored).fit.steps == 77


def test_the_paper_is_in_the_presets():
    pose, image = presets.POSE["penn-action"], presets.IMAGE["penn-action"]
    assert (pose.model.hidden, pose.model.encoder, pose.model.layers) == (1024, 32, 1)
    fit = pose.fit
    assert (fit.batch_size, fit.steps, fit.learning_rate, fit.clip_norm) == (
        *(256, 37_500, 1e-3, 25.0),
    )
    assert (fit.optimizer, fit.schedule) == ("rmsprop", "constant")
    assert (pose.windows.num_past, pose.windows.num_future) == (10, 32)
    fit = image.fit
    assert (fit.batch_size, fit.steps, fit.learning_rate, fit.beta1) == (8, 100_000, 1e-4, 0.5)
    assert (fit.optimizer, fit.schedule, fit.clip_norm) == ("adam-2017", "constant", 0)
    assert (image.generator.width, image.generator.size, image.sigma_px) == (64, 128, 8.0)
    for preset in (presets.POSE["human36m"], presets.IMAGE["human36m"]):
        assert preset.skeleton == "human36m"
    pose = presets.POSE["human36m"]
    assert (pose.model.num_joints, pose.model.hidden, pose.model.encoder) == (32, 1024, 32)
    assert (pose.windows.num_past, pose.windows.num_future, pose.windows.stride) == (10, 32, 1)
    assert (pose.fit.batch_size, pose.fit.steps, pose.validation_future) == (256, 37_500, 128)
    assert presets.IMAGE["human36m"].generator.num_heatmaps == 32
    assert presets.IMAGE["human36m"].pairs.max_gap == 249
    pose = presets.POSE["penn-action"]
    assert (len(pose.clips.actions), len(pose.clips.without)) == (8, 31)
    assert (image.clips.actions, image.clips.without) == ((), ())
    assert pose.validation.split == image.validation.split == "validation"
    assert presets.POSE.keys() == presets.IMAGE.keys()
    sets = (presets.POSE, presets.ESTIMATOR, presets.MOTION, presets.CARRYING, presets.OUTLINE)
    assert set().union(*(each.keys() for each in sets)) == presets.NOTES.keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predic"], "unknown command 'predic'; did you mean 'predict'?"),
        (["prepare", "pen-action"], "'prepare pen-action'; did you mean 'penn-action'?"),
        (["prepare", "bananas"], "'prepare bananas'. Known: penn-action, "),
        (["bananas"], "unknown command 'bananas'. Known: demo, "),
        (["train", "poses", "tiny"], "did you mean 'pose'?"),
        (["train", "pose", "pen-action"], "unknown preset 'pen-action'; did you mean"),
        (["forecast", f"{'a' * 300}.mp4"], "File name too long: aaa"),
        (["train", "pose"], "needs the name of a preset first: penn-action, "),
        (["train", "pose", "tiny", "--store", "s", "--run", "r", "--steps", "0"], "steps is 0"),
        (["train", "pose", "tiny", "--store", "nowhere", "--run", "r"], "nowhere"),
        (["prepare", "penn-action", "nowhere", "store"], "nowhere is not a folder"),
        (["prepare", "human36m", "nowhere", "store"], "nowhere is not a folder"),
        (["predict", "--store", "s", "--out", "o"], "no pose run given"),
        (["import-2017", "nowhere.npz", "run"], "nowhere.npz: no such file"),
        (["forecast", ""], "a word is empty after forecast: is a variable of the shell not set?"),
        (["forecast", "--sample", "--json", ""], "a word is empty after --json: is a variable"),
        (["forecast", "--sample", "--out", ""], "a word is empty after --out: is a variable"),
        (["forecast", "--sample", "--out="], "a word is empty: --out=: is a variable"),
        (["forecast", "--poses=a=", "b.mp4"], "b.mp4: no such video file"),
        (["forecast", "--sample", "--out=~/b.mp4"], "~/b.mp4 would be in a folder called ~"),
        (["forecast", "https://a.org/b.mp4"], "https://a.org/b.mp4 is an address; expected a path"),
        (["forecast", "--sample", "--out=s3://b/c.mp4"], "s3://b/c.mp4 is an address"),
        (["forecast", "C://nowhere/b.mp4"], "b.mp4: no such video file"),  # a disk of Windows
    ],
)
def test_wrong_input_ends_in_one_message(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert status == 2
    assert err.startswith("posecast: error: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_wrong_flags_name_the_nearest(capsys):
    words = ("train", "pose", "tiny", "--store", "s", "--run", "r", "--stepz", "3")
    status, out, err = run(capsys, *words)
    assert status == 2
    assert "--steps" in out + err
    status, out, err = run(capsys, "prepare", "penn-action", "raw", "store", "--crop", "squar")
    assert status == 2
    assert "union" in out + err


def test_a_group_lists_its_commands(capsys):
    status, out, _ = run(capsys, "train")
    assert (status, "train image" in out, "predict  " in out) == (2, True, False)
    assert run(capsys, "train", "--help")[0] == 0


def test_help_names_a_command_as_people_do(capsys):
    status, out, _ = run(capsys, "help", "models")
    assert (status, out.splitlines()[0].startswith("usage: posecast models")) == (0, True)
    assert "unknown command 'nothing'" in run(capsys, "help", "nothing")[2]


def test_names_that_the_output_cannot_spell_are_printed(monkeypatch):
    """As into a log file on Windows, where the command failed after all its work."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252"))
    monkeypatch.setattr(cli, "_run", lambda words: print("caf\u00e9 \u8df3.mp4") or 0)
    assert main(["forecast"]) == 0
    assert written.getvalue().splitlines() == [b"caf\xe9 \\u8df3.mp4"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np.linalg.LinAlgError("SVD: out of memory"),
        BlockingIOError(11, "Resource temporarily unavailable"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("can't start new thread"),
    ],
)
def test_where_memory_is_used_up_it_is_said(capsys, monkeypatch, error):
    def fails(words):
        raise error

    monkeypatch.setattr(cli, "_run", fails)
    status, _, err = run(capsys, "predict")
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith("posecast: error: memory is used up (")


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
        BlockingIOError(11, "write could not complete without blocking", 0),
    ],
)
def test_what_only_sounds_like_it_is_not_said_to_be_memory(monkeypatch, error):
    def fails(words):
        raise error

    monkeypatch.setattr(cli, "_run", fails)
    with pytest.raises(type(error)):
        main(["predict"])


def test_a_video_too_large_for_the_memory_is_left_out(capsys, monkeypatch, tmp_path):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr("posecast.cli.forecast.forecast_video", fails)
    status, _, err = run(capsys, "forecast", "a.mp4", "b.mp4", "--out", str(tmp_path))
    assert status == 2
    assert "left out: b.mp4: memory is used up (MemoryError): close other programs" in err


def test_ctrl_c(capsys, monkeypatch):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    status, _, err = run(capsys, "predict")
    assert status == 130
    assert "stopped" in err


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
@pytest.mark.parametrize("words", ["--help", "forecast --help", "models"])
def test_whoever_reads_may_stop_reading(words):
    late = f"(sleep 0.5; exec {sys.executable} -m posecast {words})"  # whoever reads is gone
    command = f"{late} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("141", "")


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_what_went_wrong_is_said_though_nobody_reads_the_rest():
    code = "from posecast import cli; print('so far'); raise SystemExit(cli.main(['nonsense']))"
    command = f'{sys.executable} -c "{code}" | true; echo ${{PIPESTATUS[0]}}'
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "2"
    assert "unknown command 'nonsense'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="others keep it")
def test_the_folder_one_is_in_was_removed(tmp_path):
    (tmp_path / "gone").mkdir()
    command = f"cd {tmp_path}/gone; rmdir ../gone; {sys.executable} -P -m posecast models"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "posecast: error: the folder that you are in was removed: go to another one\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="closed by a shell")
def test_what_is_printed_may_be_closed():
    command = f"{sys.executable} -m posecast models >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("words", ["models", "--help"])
def test_what_is_printed_onto_a_full_disk_is_missed(words):
    command = f"{sys.executable} -m posecast {words} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    said = "posecast: error: No space left on device: free some space, and start again\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_broken_pipes_of_the_program_are_not_hidden(monkeypatch):
    def break_a_pipe(name):
        raise BrokenPipeError

    monkeypatch.setattr(cli, "load_command", break_a_pipe)
    with pytest.raises(BrokenPipeError):
        main(["models"])


def test_errors_of_the_program_are_not_hidden(monkeypatch):
    def broken(words):
        raise KeyError("a mistake in the code")

    monkeypatch.setattr(cli, "_run", broken)
    with pytest.raises(KeyError):
        main(["predict"])


def test_from_nothing_to_a_forecast(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chain = [
        ("synthesize", "data", *TINY_CLIPS, "--actions", "jump_rope", "tennis_serve"),
        ("prepare", "penn-action", "data", "store", "--size", "16", "--workers", "1"),
        ("train", "pose", "tiny", "--store", "store", "--run", "pose", "--device", "cpu"),
        ("train", "image", "tiny", "--store", "store", "--run", "image", "--device", "cpu"),
        (
            *("predict", "--store", "store", "--pose-run", "pose", "--image-run", "image"),
            *("--out", "out", "--steps", "5", "--device", "cpu", "--view-scale", "1"),
        ),
    ]
    for words in chain:
        status, out, err = run(capsys, *words)
        assert status == 0, (words, out, err)
        assert "steps already" not in out
    words = ("evaluate", "--store", "store", "--pose-run", "pose", "--image-run", "image")
    words += ("--num-past", "4", "--steps", "5", "--device", "cpu")
    status, out, err = run(capsys, *words, "--out", "numbers")
    assert status == 0, err
    assert "Mean joint distance (% of box)" in out
    assert "PSNR (dB)" in out
    assert re.search(r"^  last pose( +\d+\.\d){2}$", out, re.MULTILINE)
    assert "All numbers: numbers/rows.csv" in out
    shown = float(re.findall(r"^  last pose +(\S+)", out, re.MULTILINE)[0])
    said = json.loads(run(capsys, *words, "--out", "numbers", "--json")[1])
    curves = {(each["method"], each["metric"]): each for each in said["curves"]}
    curve = curves["last pose", "distance"]
    assert said["report"]["num_clips"] == curve["num_clips"][0]
    assert curve["values"][0] * 100 == pytest.approx(shown, abs=0.06)
    for kind in ("pose", "image"):
        words = ("train", kind, "tiny", "--store", "store", "--run", kind, "--steps", "1")
        status, out, err = run(capsys, *words, "--device", "cpu")
        assert status == 0, err
        assert re.search(r"has made [2-9]\d* steps already, and 1 are asked for", out)
        assert "--fresh to start over" in out
    facts = forecast_files.read_index(tmp_path / "out")
    assert len(facts) == 2
    for entry in facts:
        folder = tmp_path / "out" / "clips" / entry.clip_id
        assert forecast_files.read_frames(folder).shape == (1, 5, 16, 16, 3)
        assert (folder / "forecast.gif").is_file()
    assert run(capsys, *chain[-1])[1].startswith("out: 0 clips forecast, 2 were there already")
    said = json.loads(run(capsys, *chain[-1], "--json")[1])
    assert said == {"num_forecast": 0, "num_kept": 2, "left_out": {}}


def test_models_are_listed_for_programs(capsys):
    status, out, _ = run(capsys, "models", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert set(SHIPPED) <= set(rows)
    assert rows["movenet-lightning"]["bytes"] == SHIPPED["movenet-lightning"].path.stat().st_size


def test_what_programs_read_is_plain():
    value = {"a": np.array([1.5, np.nan]), "b": (Path("c"), np.int64(2)), "d": None}
    assert plain(value) == {"a": [1.5, None], "b": ["c", 2], "d": None}


def test_left_out_clips_count_under_strict(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(capsys, "synthesize", "data", *TINY_CLIPS)
    labels = sorted((tmp_path / "data" / "labels").glob("*.mat"))
    labels[0].write_bytes(b"cut off")
    words = ("prepare", "penn-action", "data", "other", "--size", "16", "--workers", "1")
    status, out, _ = run(capsys, *words, "--strict")
    assert (status, "1 left out" in out) == (1, True)


def test_weights_of_2017_become_runs(capsys, tmp_path, golden):
    lstm, generator = golden("lstm_predict"), golden("generator_48")
    for name, arrays in (("pose", lstm), ("image", generator)):
        variables = {
            key.removeprefix("w0/"): value for key, value in arrays.items() if key[:3] == "w0/"
        }
        np.savez(tmp_path / f"{name}.npz", **variables)
        words = (str(tmp_path / f"{name}.npz"), str(tmp_path / name))
        status, out, err = run(capsys, "import-2017", *words)
        assert (status, f"run of the {name} model" in out) == (0, True), err
        assert Run.open(tmp_path / name).kind == name
    forecaster = posecast.Forecaster.load(tmp_path / "pose", tmp_path / "image")
    assert forecaster.skeleton.name == "penn_action"


def test_imported_image_model_reads_and_draws_rgb(golden):
    from posecast.villegas2017 import conversion
    from posecast.villegas2017.conversion import to_rgb

    arrays = golden("generator_48")
    variables = {key[3:]: value for key, value in arrays.items() if key[:3] == "w0/"}
    bgr = conversion.generator(variables)
    rgb = to_rgb(conversion.generator(variables))
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    source, target = torch.rand(2, 1, 48, 64, 64)
    with torch.no_grad():
        expected = bgr(image.flip(1), source, target).flip(1)
        torch.testing.assert_close(rgb(image, source, target), expected)
        assert (rgb(image, source, target) - bgr(image, source, target)).abs().max() > 1e-3


def test_public_names_are_there():
    for name in posecast.__all__:
        assert getattr(posecast, name) is not None
    assert sorted([*posecast._HOMES, "__version__"]) == sorted(posecast.__all__) == dir(posecast)
    with pytest.raises(AttributeError, match="no attribute 'Forcaster'"):
        _ = posecast.Forcaster


def test_public_names_are_told_to_type_checkers():
    tree = ast.parse(Path(posecast.__file__).read_text())
    imported = {
        (alias.name, node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("posecast.")
        for alias in node.names
    }
    assert imported == {(name, f"posecast.{home}") for name, home in posecast._HOMES.items()}


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_help_breaks_where_the_terminal_ends_alone(capsys, monkeypatch, columns):
    """Not where lines of the source do."""
    monkeypatch.setenv("COLUMNS", columns)
    _, out, _ = run(capsys, "forecast", "--help")
    about, _, options = out.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").partition("Examples:")
    assert max(map(len, about.splitlines())) <= int(columns)
    lines = options.splitlines()
    first = next(n for n, line in enumerate(lines) if "Poses of another" in line)
    left = lines[first].index("Poses")
    column = [line[left:].rstrip() for line in lines]
    room = max(len(text) for text, line in zip(column, lines, strict=True) if line[:left].isspace())
    last = next(n for n, line in enumerate(lines) if "--out PATH" in line)
    for line, after in itertools.pairwise(column[first:last]):
        assert len(f"{line} {after.split()[0]}") > room
