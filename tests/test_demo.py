"""The demo's first page; that the weights it shows forecast the sample is tested in test_wheel."""

from pathlib import Path

from posecast import demo
from posecast.forecasting.forecaster import Forecaster
from posecast.sample import SAMPLE


def test_the_first_page_shows_the_sample(tmp_path: Path, monkeypatch) -> None:
    asked = []

    class Said:
        seen_to_s = 3.3333

        def summary(self) -> str:
            return "seen from 0.00 to 3.33 s\nhow sure: 3 < 4"

    def forecast(video, forecaster, poses, out):
        asked.append((video, out))
        assert isinstance(forecaster, Forecaster)
        out.write_bytes(b"a video")
        return Said()

    monkeypatch.setattr(demo, "forecast_video", forecast)
    assert demo.show_sample(tmp_path) == tmp_path / "sample.html"
    assert asked == [(SAMPLE, tmp_path / "sample-forecast.mp4")]
    page = (tmp_path / "sample.html").read_text(encoding="utf-8")
    assert '<video src="sample-forecast.mp4"' in page
    assert "The first 3.3 seconds were filmed" in page
    assert "<p>how sure: 3 &lt; 4</p>" in page
    assert "doi 10.5281/zenodo.12921216" in page
    demo.show_sample(tmp_path)  # goes on where it stopped: it is there already
    assert len(asked) == 1
