"""The page: what is in it, that it stands alone, and how it looks in a real browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posecast.clips import PoseForecast
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method, baseline_methods
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import summarise
from posecast.records.files import FileError
from posecast.report import ReportConfig, write_report
from posecast.skeletons import PENN_ACTION
from small_store import SIZE, a_clip, a_store

METHODS = ["last pose", "constant velocity", "last frame", "optical flow"]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory) -> Path:
    return evaluated(tmp_path_factory.mktemp("evaluation"))


def evaluated(folder: Path) -> Path:
    """Six clips with frames, four methods."""
    clips = [
        a_clip(f"c{n}", speed=0.5 * n, has_frames=True, action=["run & <jump>", "walk"][n % 2])
        for n in range(6)
    ]
    store = a_store(folder, *clips)
    config = EvaluationConfig(num_past=4, steps=16)
    evaluate(
        baseline_methods(METHODS), store, folder / "out", config, command="posecast evaluate x"
    )
    return folder / "out"


@pytest.fixture(scope="module")
def page(evaluation, tmp_path_factory) -> Path:
    config = ReportConfig("A <title>", "Some & words", num_draws=50)
    return write_report(evaluation, tmp_path_factory.mktemp("page"), config)


class Elements(HTMLParser):
    """All start tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def elements(page) -> Elements:
    return Elements(page.read_text())


def test_the_page_stands_alone(page, elements):
    text = page.read_text()
    assert not re.search(r"https?://", text)
    files = [attributes["src"] for attributes in elements.named("img")]
    files += [each["href"] for each in elements.named("a") if not each["href"].startswith("#")]
    files += re.findall(r"background-image: url\('(.+?)'\)", text)
    files += " ".join(re.findall(r'data-more="(.+?)"', text)).split()
    assert len(files) > 10
    for file in files:
        assert not Path(file).is_absolute()
        assert (page.parent / file).is_file(), file


def test_words_of_the_user_are_escaped(elements):
    assert "A <title>" in elements.text
    assert "run & <jump>" in elements.text
    assert "posecast evaluate x" in elements.text


def test_a_screen_reader_finds_its_way(elements):
    headers = elements.named("th")
    assert headers
    assert all(each.get("scope") in ("row", "col") for each in headers)
    assert len(elements.named("caption")) == len(elements.named("table"))
    assert all(each.get("alt") for each in elements.named("img"))
    drawn = [each for each in elements.named("svg") if "aria-hidden" not in each]
    assert drawn
    assert all(each["role"] == "img" and each["aria-label"] for each in drawn)
    assert [each["lang"] for each in elements.named("html")] == ["en"]
    assert len(elements.named("h1")) == 1
    assert all("aria-label" in each for each in elements.named("input"))


def test_clips_play_in_step_with_one_slider(page, elements):
    assert len([each for each in elements.named("input") if each["type"] == "range"]) == 1
    players = [each for each in elements.named("article") if each.get("class") == "player"]
    assert len(players) == 3
    panels = [each for each in elements.named("div") if "data-rows" in each]
    assert len(panels) == 3 * 5  # truth, two forecasts of frames and two of poses
    assert {each["data-frames"] for each in panels} == {"20"}
    with Image.open(page.parent / "files" / "clip-1-1-0.jpg") as grid:
        assert grid.size[0] == 10 * grid.size[1] // 2
        assert int(panels[0]["data-rows"]) == 2


def test_ranks_say_what_they_are_among(elements):
    assert "the worst of the 6 clips that have frames" in elements.text


def test_poses_alone_make_a_page_too_and_a_page_of_ones_own_stays(tmp_path):
    store = a_store(tmp_path, *(a_clip(f"c{n}", speed=n) for n in range(3)))
    config = EvaluationConfig(num_past=4, steps=6)
    evaluate(baseline_methods(["last pose", "constant velocity"]), store, tmp_path / "out", config)
    page = tmp_path / "page" / "index.html"
    page.parent.mkdir()
    page.write_text("<h1>My own page</h1>")
    with pytest.raises(FileError, match="is there already, and no report: give another folder"):
        write_report(tmp_path / "out", page.parent)
    page.unlink()
    for _ in range(2):  # the second takes the place of the first
        write_report([tmp_path / "out"], page.parent, ReportConfig(num_draws=20))
    panels = [each for each in Elements(page.read_text()).named("div") if "data-rows" in each]
    assert len(panels) == 3 * 3  # truth and two forecasts


def test_files_beside_the_page_hold_settings_and_curves(page, evaluation):
    facts = json.loads((page.parent / "files" / "evaluation-1.json").read_text())
    assert facts["command"] == "posecast evaluate x"
    lines = (page.parent / "files" / "curves-1.csv").read_text().splitlines()
    assert lines[0] == "metric,method,frame,value,low,high,clips"
    curve = summarise(evaluation).curve("last pose", "distance")
    row = next(line for line in lines if line.startswith("distance,last pose,3,")).split(",")
    assert float(row[3]) == pytest.approx(curve.at(3), rel=1e-5)
    assert row[6] == "6"


def test_warnings_are_shown(evaluation, tmp_path):
    shutil.copytree(evaluation, tmp_path / "copy")
    path = tmp_path / "copy" / "evaluation.json"
    facts = json.loads(path.read_text())
    facts |= {"trained_on": ["c1"], "test_uses": {"runs/pose": 3}, "left_out": {"x": "clip x: bad"}}
    path.write_text(json.dumps(facts))
    page = write_report(tmp_path / "copy", tmp_path / "page", ReportConfig(num_draws=20))
    text = Elements(page.read_text()).text
    assert "1 of these clips were trained on (c1)" in text
    assert "looked at 3 times with the run pose" in text
    assert "clip x: bad" in text


def test_what_is_no_finished_evaluation_is_said(evaluation, tmp_path):
    with pytest.raises(FileError, match="is no evaluation"):
        write_report(tmp_path, tmp_path / "page")
    shutil.copytree(evaluation, tmp_path / "copy")
    path = tmp_path / "copy" / "evaluation.json"
    path.write_text(path.read_text().replace('"finished": true', '"finished": false'))
    with pytest.raises(FileError, match="is not finished"):
        write_report(tmp_path / "copy", tmp_path / "page")


# --- several futures ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    """Four clips and a forecast of three futures, each two frames of pictures apart."""
    folder = tmp_path_factory.mktemp("several")
    store = a_store(folder, *(a_clip(f"c{n}", speed=n, has_frames=True) for n in range(4)))
    config = EvaluationConfig(num_past=4, steps=6, futures=3, drawn=2)
    fan = Method("fan", "forecast", poses=Fan(), drawer=Shades())
    evaluate([fan, *baseline_methods(["last pose"])], store, folder / "out", config)
    return write_report(folder / "out", folder / "page", ReportConfig(num_draws=20))


class Fan:
    """Joints that slide by 1, 3 and 5 px a frame."""

    def forecast_poses(self, seen, steps, samples=1):
        slides = np.array([1.0, 3.0, 5.0])[:samples, None] * np.arange(1, steps + 1)
        moves = np.stack([slides, np.zeros_like(slides)], axis=-1)[:, :, None]
        return [PoseForecast.of(each, each.joints_px[-1] + moves) for each in seen]


class Shades:
    """Grey pictures, the darker the farther the joints have gone."""

    skeleton, size = PENN_ACTION, SIZE

    def crop_of(self, seen, *poses):
        return seen.crop

    def draw_frames(self, seen, joints_px, visible, crop=None):
        grey = joints_px[:, 0, 0].astype(np.uint8)[:, None, None, None]
        return np.broadcast_to(grey, (len(joints_px), SIZE, SIZE, 3)).copy()


def test_what_moves_comes_before_any_table(several, elements):
    for page in (several.read_text(), elements.source):
        first, verdict = page.index('class="players"'), page.find('class="verdict"')
        table = page.index("<table")
        assert first < table
        assert verdict == -1 or first < verdict < table
    titles = re.findall(r"<h3>(\w+): walk</h3>", several.read_text())
    assert titles == ["Best", "Middle", "Worst"]


def test_futures_of_a_clip_can_be_flipped_through(several, browse):
    script = """<script>addEventListener("load", () => {
      const player = document.querySelector(".player");
      const said = () => [...player.querySelectorAll(".frame")].map(panel =>
        panel.nextElementSibling.textContent + " " + panel.style.backgroundImage).join("|")
        + "|" + player.querySelector(".line.chosen").dataset.future;
      const before = said();
      player.querySelectorAll(".futures button")[1].click();
      document.title = JSON.stringify([before, said(), player.querySelectorAll(".line").length]);
    });</script>"""
    probe = several.with_name("probe.html")
    probe.write_text(several.read_text() + script)
    dom = browse("--virtual-time-budget=2000", "--dump-dom", probe.as_uri())
    title = re.search(r"<title>(.+?)</title>", dom)
    before, after, num_lines = json.loads(html.unescape(title.group(1)))
    grids = [f'url("files/clip-1-1-{name}.jpg")' for name in ("0", "1", "2", "1-future-2")]
    assert before.startswith(f"truth {grids[0]}|fan, future 1 {grids[1]}|")
    assert before.endswith("|1")
    assert after.startswith(f"truth {grids[0]}|fan, future 2 {grids[3]}|")
    assert "fan: pose, future 2 " in after
    assert after.endswith("|2")
    assert num_lines > 4  # three futures, the last pose, and their keys
    assert (several.parent / "files" / "clip-1-1-2-future-3.jpg").is_file()  # a pose


# --- a real browser -------------------------------------------------------------------------------

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-prefers-reduced-motion"),
)


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Run headless Chromium with arguments; returns what it prints."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next((path for path in map(shutil.which, names) if path), None)
    if program is None:
        pytest.skip("no Chromium on this machine to look at the page with")

    def run(*arguments: str) -> str:
        profile = tmp_path_factory.mktemp("profile")
        command = [program, *FLAGS, f"--user-data-dir={profile}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout

    return run


PROBE = """<script>
addEventListener("load", () => {
  const slider = document.querySelector(".slider");
  const panel = document.querySelector(".frame.true");
  const before = panel.style.backgroundPosition;
  for (const each of document.querySelectorAll("details")) each.open = true;
  const boxes = [...document.querySelectorAll(".scroll")];
  const sideways = boxes.filter(each => each.scrollWidth > each.clientWidth).length;
  const cell = document.querySelector("td");
  const named = getComputedStyle(cell, "::before").content;
  slider.value = 12; slider.dispatchEvent(new Event("input"));
  parent.document.title = JSON.stringify({
    width: document.documentElement.scrollWidth, moved: panel.style.backgroundPosition !== before,
    words: slider.getAttribute("aria-valuetext"), sideways: sideways, named: named,
    made: document.querySelectorAll(".frame.made").length,
    frame: panel.getBoundingClientRect().width,
  });
});
</script>"""


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_moves_in_a_browser(page, browse, width):
    # In a frame, because windows cannot be as narrow as a phone.
    inside = html.escape(page.read_text() + PROBE)
    probe = page.with_name(f"probe-{width}.html")
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{inside}"></iframe>'
    probe.write_text(f"<!doctype html><title>-</title>{frame}")
    dom = browse(
        "--window-size=1400,950", "--virtual-time-budget=4000", "--dump-dom", probe.as_uri()
    )
    title = re.search(r"<title>(.+?)</title>", dom)
    found = json.loads(html.unescape(title.group(1)))
    assert found["width"] == width, "something sticks out to the right"
    if width < 560:
        assert found["sideways"] == 0, "tables have to be scrolled sideways"
        assert found["named"].startswith('"PCK@0.05 (%) at +'), "a cell does not say what it is"
    assert found["moved"]
    assert found["words"].startswith("forecast +9")
    assert found["made"] == 15
    assert found["frame"] > 140


ALONE = """<script>
addEventListener("load", () => {
  const [first, ...others] = document.querySelector(".figures").children;
  const beside = first.offsetWidth;
  others.forEach((each) => each.remove());
  document.title = JSON.stringify([beside, first.offsetWidth]);
});
</script>"""


def test_a_chart_alone_is_as_large_as_beside_others(page, browse):
    alone = page.with_name("alone.html")
    alone.write_text(page.read_text() + ALONE)
    dom = browse("--window-size=1280,950", "--dump-dom", alone.as_uri())
    title = re.search(r"<title>\[(\d+),(\d+)\]</title>", dom)
    assert 0 < int(title[1]) == int(title[2])


@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_no_empty_page(page, browse, tmp_path, width):
    picture = tmp_path / "page.png"
    browse(f"--window-size={width},2000", f"--screenshot={picture}", page.as_uri())
    with Image.open(picture) as shot:
        assert shot.size == (width, 2000)
        colours = np.asarray(shot.convert("RGB"))
    filled = (colours != colours[-1, 0]).any(axis=-1).mean()
    assert filled > 0.1
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) > 100
