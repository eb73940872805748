"""Models from and to a hub, against a stand-in on this machine, with the real huggingface_hub."""

import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from made_runs import make_run
from model_hub import Hub, open_hub
from posecast.cli import main
from posecast.errors import PosecastError
from posecast.estimation.estimator import PoseEstimator
from posecast.estimation.model_files import load_pose_estimator
from posecast.forecasting.forecaster import Forecaster
from posecast.networks import hub as hub_module
from posecast.networks.hub import pull, push
from posecast.networks.kinds import load_network, resolve
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.pretrained import DEFAULT_ESTIMATOR, DEFAULT_FORECASTER
from posecast.pretrained.pulled import MANIFEST, folder_of, pulled_names, repository_of
from posecast.records.files import WriteError
from posecast.skeletons import PENN_ACTION
from posecast.training.pose import PoseTrainingConfig

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
NAME = "hf:anna/walks"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub, and an empty place for what is pulled."""
    monkeypatch.setenv("POSECAST_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with open_hub() as opened:
        yield opened


def api_of(hub: Hub):
    return huggingface_hub.HfApi(endpoint=hub.address, token="a-token-of-the-test")


@pytest.fixture
def run(tmp_path) -> Path:
    config = PoseTrainingConfig(model=PoseLSTMConfig(hidden=8, encoder=4))
    torch.manual_seed(0)
    make_run(tmp_path / "run", config, "pose").save_weights("best", PoseLSTM(config.model), step=7)
    return tmp_path / "run"


def test_what_is_pushed_is_pulled_and_used_by_its_name(hub, run, monkeypatch):
    address = push(run, NAME, private=True, api=api_of(hub))
    assert address == f"{hub.address}/anna/walks/commit/{'0' * 40}"
    assert hub.private == {"anna/walks": True}
    assert set(hub.files["anna/walks"]) == {"weights.safetensors", "README.md", MANIFEST}
    card = hub.files["anna/walks"]["README.md"].decode()
    assert "# anna/walks" in card
    assert "- Training step: 7" in card
    pulled = pull(NAME, api=api_of(hub))
    assert pulled.kind == "pose"
    assert sorted(path.name for path in pulled.folder.iterdir()) == sorted(hub.files["anna/walks"])
    hub.asked.clear()
    monkeypatch.setattr(hub_module, "load_extra", None)  # from here on without a network
    before, after = (load_network(each, PoseLSTM).network for each in (run, NAME))
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(one, other)
    assert resolve(run).read_bytes() == resolve(NAME).read_bytes()
    assert Forecaster.load(NAME).skeleton == PENN_ACTION
    assert Forecaster.load(Path(NAME)).skeleton == PENN_ACTION
    assert pulled_names() == [NAME]
    assert hub.asked == []


def test_a_new_process_asks_the_hub(hub):
    """Nothing else has loaded those parts of huggingface_hub that it loads when asked for."""
    command = [sys.executable, "-m", "posecast", "models", "pull", "hf:nobody/nothing"]
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "hf:nobody/nothing: no such model on the hub" in done.stderr


def test_shipped_weights_bring_what_they_need(hub):
    """The forecaster's database goes with it; an estimator is loaded as one."""
    push(DEFAULT_FORECASTER, NAME, api=api_of(hub))
    pull(NAME, api=api_of(hub))
    assert Forecaster.load(NAME).needs.num_past == 10
    push(DEFAULT_ESTIMATOR, "hf:anna/eyes", api=api_of(hub))
    pull("hf:anna/eyes", api=api_of(hub))
    assert isinstance(load_pose_estimator("hf:anna/eyes", PENN_ACTION), PoseEstimator)
    card = resolve("hf:anna/eyes").with_name("README.md").read_text()
    assert "Apache License 2.0" in card


def test_the_command_line(hub, run, tmp_path, monkeypatch, capsys):
    api = api_of(hub)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    (tmp_path / "card.md").write_text("# Walks\n\nOf Anna. CC0.\n")
    card = str(tmp_path / "card.md")
    assert main(["models", "push", str(run), NAME, "--card", card]) == 0
    assert main(["models", "pull", NAME]) == 0
    assert "weights of kind 'pose', kept in" in capsys.readouterr().out
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{NAME}  pulled; ")
    assert main(["models", NAME]) == 0
    assert capsys.readouterr().out == "# Walks\n\nOf Anna. CC0.\n"


def test_what_the_hub_says_is_said_once(monkeypatch):
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    hub_module._public_hub()
    assert not logging.getLogger("huggingface_hub").propagate


def test_a_new_version_takes_the_place_of_the_old_one(hub, run):
    push(run, NAME, api=api_of(hub))
    pull(NAME, api=api_of(hub))
    push(DEFAULT_ESTIMATOR, NAME, api=api_of(hub))
    assert pull(NAME, api=api_of(hub)).kind == "movenet"
    folder = resolve(NAME).parent
    assert [path.name for path in folder.parent.iterdir()] == ["walks"]


def spoil(repository: dict[str, bytes], **changes) -> None:
    repository[MANIFEST] = json.dumps(json.loads(repository[MANIFEST]) | changes).encode()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("damaged", r"is damaged \(SHA-256 .*pull the model again"),
        ("newer", "format version 99"),
        ("other kind", "weights of kind 'pose', its manifest says 'image'"),
        ("no manifest", "not a model that posecast pushed"),
        ("path", "expected names of .safetensors"),
        ("pickle", "expected names of .safetensors"),
        ("lacks a file", "lacks a file"),
        ("not JSON", "not a model that posecast pushed"),
    ],
)
def test_nothing_wrong_is_kept(hub, run, what, message):
    push(run, NAME, api=api_of(hub))
    pull(NAME, api=api_of(hub))
    files = hub.files["anna/walks"]
    sha256 = json.loads(files[MANIFEST])["files"]["weights.safetensors"]
    if what == "damaged":
        files["weights.safetensors"] = files["weights.safetensors"][:-1] + b"!"
    elif what == "newer":
        spoil(files, format_version=99)
    elif what == "other kind":
        spoil(files, kind="image")
    elif what == "no manifest":
        del files[MANIFEST]
    elif what == "path":
        spoil(files, files={"../../weights.safetensors": sha256})
    elif what == "pickle":
        spoil(files, files={"weights.pt": sha256})
    elif what == "lacks a file":
        del files["weights.safetensors"]
    else:
        files[MANIFEST] = b"<html>"
    with pytest.raises(PosecastError, match=message):
        pull(NAME, api=api_of(hub))
    assert load_network(NAME).facts.step == 7  # what was pulled before goes on
    assert [path.name for path in resolve(NAME).parent.parent.iterdir()] == ["walks"]


def test_what_is_kept_is_looked_at_again(hub, run):
    push(run, NAME, api=api_of(hub))
    path = pull(NAME, api=api_of(hub)).weights
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(PosecastError, match="is damaged"):
        resolve(NAME)
    path.unlink()
    with pytest.raises(PosecastError, match="is missing: pull the model again"):
        resolve(NAME)


def test_a_full_disk_is_not_taken_for_the_hub(hub, run, monkeypatch):
    push(run, NAME, api=api_of(hub))

    def full(self, **asked):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub.HfApi, "hf_hub_download", full)
    with pytest.raises(WriteError, match=r"cannot be kept here: .*No space.*; free some space"):
        pull(NAME, api=api_of(hub))
    assert not folder_of(NAME).exists()
    assert not list(folder_of(NAME).parent.iterdir())


def test_errors_say_what_to_do(hub, run, monkeypatch):
    with pytest.raises(PosecastError, match=f"fetch it once with 'posecast models pull {NAME}'"):
        Forecaster.load(NAME)
    with pytest.raises(PosecastError, match="no such model on the hub"):
        pull(NAME, api=api_of(hub))
    hub.is_closed = True
    with pytest.raises(PosecastError, match=r"the hub refused or cannot be reached: .*403"):
        push(run, NAME, api=api_of(hub))
    for name in ("hf:anna", "hf:a/b/c", "hf:../b", "hf:a/.."):
        with pytest.raises(PosecastError, match="write hf:OWNER/NAME"):
            repository_of(name)
    for name in ("hf:a--b/c", "hf:a/b.git", f"hf:a/{'b' * 120}"):
        with pytest.raises(PosecastError, match=f"{name}: the hub refused"):
            pull(name, api=api_of(hub))
    hub.page = b"<html>Room number?</html>"
    with pytest.raises(PosecastError, match="the hub refused or cannot be reached: Expecting"):
        push(run, NAME, api=api_of(hub))
    nobody = huggingface_hub.HfApi(endpoint="http://127.0.0.1:9")
    with pytest.raises(PosecastError, match=r"cannot be reached or .* refused"):
        pull(NAME, api=nobody)

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(PosecastError, match=r"pip install 'posecast\[hub\]'"):
        pull(NAME)
