"""What a bug report gets, and that what is wrong is said."""

import json
import shutil
from pathlib import Path

from posecast import doctor, pretrained
from posecast.cli import main
from posecast.pretrained import DEFAULT_FORECASTER, SHIPPED


def test_all_is_well(capsys):
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("all is well\n")
    assert "self-test\n  result: ok\n  seconds: loading" in text
    assert str(Path.home()) not in text


def test_json_for_scripts(capsys):
    assert main(["doctor", "--json", "--no-self-test"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert set(found["weights"]) == set(SHIPPED)
    assert found["encoders"] == {"libx264": "ok", "aac": "ok"}
    assert set(found["extras"]["estimators"]) == {"mediapipe", "onnxruntime"}
    assert found["versions"]["av"][0].isdigit()
    assert "cores" in found["devices"]["cpu"]
    assert found["self_test"] == {}


def test_what_is_wrong_is_said(tmp_path, monkeypatch, capsys):
    for each in SHIPPED.values():
        for path in each.files:
            shutil.copy(path, tmp_path)
    spoiled = tmp_path / f"{DEFAULT_FORECASTER}.safetensors"
    spoiled.write_bytes(spoiled.read_bytes()[:-1] + b"!")
    monkeypatch.setattr(pretrained, "_FOLDER", tmp_path)
    monkeypatch.setattr(doctor, "_ENCODERS", {"libx264": "MP4", "nonesuch": "sound"})
    assert main(["doctor"]) == 1
    problems = [row for row in capsys.readouterr().out.splitlines() if row.startswith("PROBLEM")]
    assert [row.split(":")[0] for row in problems] == [
        *("PROBLEM nonesuch", f"PROBLEM {DEFAULT_FORECASTER}", "PROBLEM self-test")
    ]
    assert "is damaged" in problems[1]
    assert "is damaged" in problems[2]


def test_a_wrong_forecast_is_noticed(monkeypatch):
    """A forecaster whose joints leap."""
    whole = doctor.forecast_video

    def leaping(*arguments):
        result = whole(*arguments)
        result.forecast.joints_px[0, 0] += 100
        return result

    monkeypatch.setattr(doctor, "forecast_video", leaping)
    (problem,) = doctor.examine().problems
    assert problem.startswith("self-test: a joint leaps by")
