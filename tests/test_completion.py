"""What the shell offers: commands, presets, flags and choices, asked of the shell itself."""

import shutil
import subprocess

import pytest

from posecast.cli import COMMANDS, main

OFFERED = {
    "posecast fore": {"forecast", "forecast-poses"},
    "posecast forecast --comp": {"--compare", "--compile"},
    "posecast forecast --device c": {"cpu", "cuda"},
    "posecast models pu": {"pull", "push"},
    "posecast models pull --rev": {"--revision"},
    "posecast train po": {"pose", "pose-action"},
    "posecast train pose penn-": {"penn-action", "penn-action-plus"},
    "posecast benchmark p": {"penn-pose"},
    "posecast synthesize --num-c": {"--num-clips"},
}
_ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_tyro_posecast
printf "%s\\n" "${COMPREPLY[@]}"
"""

# A shell within the shell, into which a line and two tabs are typed.
_TYPE = """
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=1000"
sleep 2
zpty -w -n inner "$2"$'\\t\\t'
for turn in {1..60}; do
  sleep 0.5
  while zpty -r -t inner piece; do said+=$piece; done
  [[ $said == *"push  --"* ]] && break
done
print -r -- "$said"
zpty -d inner
"""


def script_of(shell: str, capsys) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_bash_offers_what_there_is(tmp_path, capsys):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    script = tmp_path / "posecast.bash"
    script.write_text(script_of("bash", capsys))
    for typed, offered in OFFERED.items():
        words = [bash, "-c", _ASK, "ask", str(script), *typed.split()]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert offered == {row.split()[0] for row in done.stdout.splitlines() if row}, typed
    whole = script.read_text()
    assert all(word in whole for name in COMMANDS for word in name.split())


@pytest.mark.slow
def test_zsh_offers_what_there_is(tmp_path, capsys):
    zsh = shutil.which("zsh")
    script = script_of("zsh", capsys)
    assert script.startswith("#compdef posecast")
    if zsh is None:
        pytest.skip("no zsh on this machine")
    (tmp_path / "_posecast").write_text(script)
    done = subprocess.run(
        [zsh, "-f", "-c", _TYPE, "ask", str(tmp_path), "posecast models pu"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "pull  -- pull" in done.stdout
    assert "push  -- push" in done.stdout
