"""Trained networks to and from a model hub, by huggingface_hub (the extra `hub`).

Pulled files pass the same door as all others before they are kept: hashes of the manifest, format
version, kind, and weights that fit their own description. Nothing is unpickled.
"""

import errno
import hashlib
import importlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from posecast.errors import PosecastError
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.networks.kinds import load_network, resolve
from posecast.networks.motion_residual import MotionResidual
from posecast.pretrained import SHIPPED, pulled
from posecast.records.files import PARTIAL, WriteError, make_folder, read_text, writing
from posecast.records.versions import load_extra
from posecast.records.weights import WeightsFacts, read_facts

_WEIGHTS = "weights.safetensors"
_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def pull(name: str, revision: str | None = None, api: Any = None) -> pulled.Pulled:
    """Fetch a model, check it, and keep it, whole or not at all, in place of an earlier one.

    Args:
        name: hf:OWNER/NAME.
        revision: a branch, a tag or a commit; None: the newest.
        api: a huggingface_hub.HfApi; None: that of the public hub, or of $HF_ENDPOINT.

    Raises:
        PosecastError: the extra is not installed, no such model, no network, or not what posecast
            pushes, damaged, of a newer posecast, or of a kind that it does not know.
    """
    repository, kept = pulled.repository_of(name), pulled.folder_of(name)
    api = api or _public_hub()
    make_folder(kept.parent)
    with tempfile.TemporaryDirectory(dir=kept.parent, suffix=PARTIAL) as folder:
        new = Path(folder) / "new"
        fetch = {"repo_id": repository, "revision": revision, "local_dir": new}
        with _speaking(name):
            api.hf_hub_download(filename=pulled.MANIFEST, **fetch)
            for file in pulled.read_manifest(new).hashes:
                api.hf_hub_download(filename=file, **fetch)
        shutil.rmtree(new / ".cache", ignore_errors=True)  # huggingface_hub's own notes
        fetched = pulled.read_manifest(new)
        fetched.check()
        _check_loads(fetched)
        with writing(kept):
            if kept.exists():
                kept.rename(Path(folder) / "old")
            new.rename(kept)
    return pulled.read_manifest(kept)


def push(
    source: str | Path, name: str, card: Path | None = None, private: bool = False, api: Any = None
) -> str:
    """Upload the weights of a run, a file or a shipped name; the address of what came to be.

    Args:
        card: Markdown for the model's page; None: the shipped card, else one of the weights' facts.
        private: for a repository that is made by this.

    Raises:
        PosecastError: no such weights, the extra is not installed, not signed in, no network.
    """
    repository, weights = pulled.repository_of(name), resolve(source)
    loaded = load_network(weights)
    api = api or _public_hub()
    with tempfile.TemporaryDirectory(suffix=PARTIAL) as folder:
        files = {_WEIGHTS: weights}
        if isinstance(loaded.network, MotionResidual):
            files[BASE_FILE] = weights.with_name(BASE_FILE)
        for file, path in files.items():
            if not path.is_file():
                raise PosecastError(f"{path} is missing: {source} cannot be used without it")
            shutil.copyfile(path, Path(folder) / file)
        text = read_text(card) if card else _card(str(source), name, loaded.facts)
        (Path(folder) / pulled.CARD).write_text(text, encoding="utf-8")
        written = {file: (Path(folder) / file).read_bytes() for file in (*files, pulled.CARD)}
        hashes = {file: hashlib.sha256(content).hexdigest() for file, content in written.items()}
        manifest = {
            "format_version": pulled.MANIFEST_VERSION,
            "kind": loaded.facts.kind,
            "files": hashes,
        }
        (Path(folder) / pulled.MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        with _speaking(name):
            api.create_repo(repository, private=private, exist_ok=True)
            message = f"Weights of kind {loaded.facts.kind}, step {loaded.facts.step}"
            done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    return str(done.commit_url)


def _public_hub() -> Any:
    hub = load_extra("huggingface_hub", "hub")
    told = importlib.import_module("huggingface_hub.utils.logging")
    told.disable_propagation()  # it prints itself; all would be said twice
    return hub.HfApi()


def _check_loads(fetched: pulled.Pulled) -> None:
    facts = read_facts(fetched.weights)
    if facts.kind != fetched.kind:
        raise PosecastError(
            f"{fetched.weights.name} holds weights of kind {facts.kind!r}, its manifest says "
            f"{fetched.kind!r}"
        )
    if isinstance(load_network(fetched.weights).network, MotionResidual):
        MotionBase.load(fetched.weights.with_name(BASE_FILE))


def _card(source: str, name: str, facts: WeightsFacts) -> str:
    """The shipped card, else what the weights say of themselves."""
    head = "---\nlibrary_name: posecast\n---\n"
    if source in SHIPPED:
        return head + SHIPPED[source].card
    rows = {
        "Kind": facts.kind,
        "Skeleton": facts.skeleton or "none",
        "Seen frames": facts.num_past,
        "Frames a second": facts.fps or "not recorded",
        "Training step": facts.step,
        "Seed": "not recorded" if facts.seed is None else facts.seed,
    }
    lines = "\n".join(f"- {what}: {value}" for what, value in rows.items())
    use = f"`posecast models pull {name}`, then `{name}` wherever posecast takes weights."
    return f"{head}# {name.removeprefix(pulled.PREFIX)}\n\n{use}\n\n{lines}\n"


@contextmanager
def _speaking(name: str) -> Iterator[None]:
    """What the hub or the network refuses in the block becomes a PosecastError."""
    errors = importlib.import_module("huggingface_hub.errors")
    try:
        yield
    except errors.RepositoryNotFoundError as error:
        raise PosecastError(
            f"{name}: no such model on the hub, or it is private and you are not signed in ('hf "
            "auth login')"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        why = str(error.__cause__ or "").strip().partition("\n")[0]
        raise PosecastError(
            f"{name}: the hub cannot be reached or gives no answer; is there a network? {why}"
        ) from error
    except errors.EntryNotFoundError as error:
        raise PosecastError(
            f"{name}: not a model that posecast pushed: it lacks a file ({error})"
        ) from error
    except (errors.HTTPError, errors.HFValidationError, json.JSONDecodeError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
            raise WriteError(
                f"{name} cannot be kept here: {first}; free some space, mend the rights, or name "
                "another folder (POSECAST_MODELS), and start the same command again"
            ) from error
        raise PosecastError(f"{name}: the hub refused or cannot be reached: {first}") from error
