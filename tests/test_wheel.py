"""What the wheel installs works in an empty folder, without the repository or a network."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from posecast.media.videos import probe_video

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = """\
import sys
def refuse(event, _):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise PermissionError(f"{event}: no network here")
sys.addaudithook(refuse)
"""


def run(*words: str | Path, **options) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_forecasts_the_sample(tmp_path: Path) -> None:
    """Dependencies are those of this environment; posecast itself is the wheel's."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    offline = ("--no-deps", "--no-index", "--no-cache-dir")
    run(*pip, "wheel", *offline, "--no-build-isolation", "-w", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("posecast-*.whl")
    assert wheel.stat().st_size < 25e6
    names = zipfile.ZipFile(wheel).namelist()
    needed = {"py.typed", "sample/CREDITS.md", "pretrained/LICENSE-Apache-2.0.txt"}
    assert {f"posecast/{name}" for name in needed} <= set(names)
    licences = {name.rpartition("/")[2] for name in names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "LICENSE-Apache-2.0.txt"}
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    run(*pip, "--python", venv / "bin" / "python", "install", *offline, wheel)
    packages = next(venv.glob("lib/python*/site-packages"))
    # A path in a .pth file is searched, but .pth files in it (an editable posecast) are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    (packages / "sitecustomize.py").write_text(NO_NETWORK)
    here = tmp_path / "empty"
    here.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    where = run(
        venv / "bin" / "python", "-c", "import posecast; print(posecast.__file__)", env=plain
    )
    assert Path(where.strip()).is_relative_to(venv)
    said = run(venv / "bin" / "posecast", "forecast", "--sample", cwd=here, env=plain)
    assert said.startswith("squats-forecast.mp4: seen from 0.00 to 3.33 s, 64 frames (2.13 s)")
    assert {path.name for path in here.iterdir()} == {"squats-forecast.mp4", "squats-forecast.npz"}
    info = probe_video(here / "squats-forecast.mp4")
    assert (info.width, info.height, info.num_frames) == (640, 360, 101 + 64)
