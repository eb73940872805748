"""The page for browsers, built and used in headless Chromium: video in, frames out, no request."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from posecast.sample import SAMPLE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "web" / "dist" / "index.html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(not PAGE.is_file(), reason="the page is not built: make web"),
]

_READY = "!document.querySelector('#message').textContent.startsWith('Loading')"
_MOVE = "([id, value]) => { const it = document.querySelector(id); it.value = value; " + (
    "it.dispatchEvent(new Event('input')); }"
)

_DRAWN = "document.querySelector('#message').textContent.includes('frames seen')"
_PICTURE = """() => {
  const stage = document.querySelector('#stage');
  return Array.from(stage.getContext('2d').getImageData(0, 0, stage.width, stage.height).data);
}"""


def picture_at(page, number: int) -> np.ndarray:
    """What is shown of a future frame."""
    page.evaluate(_MOVE, ["#time", number])
    page.wait_for_timeout(300)
    return np.array(page.evaluate(_PICTURE)).reshape(360, 640, 4)[..., :3]


@pytest.fixture
def page():
    """The page as it opens from the disk, 390 pixels wide, and what it asked for."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        tab.set_default_timeout(300_000)
        tab.asked, tab.errors = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.goto(PAGE.as_uri())
        tab.wait_for_function(_READY)
        yield tab
        browser.close()


def test_a_video_is_forecast_without_a_network(page) -> None:
    page.set_input_files("#file", SAMPLE)
    page.wait_for_selector("#choice:not([hidden])")
    page.evaluate(_MOVE, ["#until", 0.8])
    page.click("#go")
    page.wait_for_function(_DRAWN)
    said = json.loads(
        page.evaluate("async () => (await fetch(document.querySelector('#save').href)).text()")
    )
    past, future = (np.array(said[name]) for name in ("past_joints_px", "predicted_joints_px"))
    assert past.shape == (25, 13, 2)
    assert future.shape == (64, 13, 2)
    size = np.ptp(past[-1], axis=0).max()
    assert 100 < size < 300, "of 265 pixels when he stands; he crouches"
    assert np.linalg.norm(future[0] - past[-1], axis=-1).mean() < 0.05 * size
    assert 0.02 * size < np.linalg.norm(future[30] - past[-1], axis=-1).mean() < size
    first, later = (picture_at(page, number) for number in (1, 25))
    changed = np.abs(first - later).max(axis=-1) > 60
    assert 0.005 < changed.mean() < 0.3, "the person moved, the room stayed"
    page.check("#poses")
    assert np.abs(picture_at(page, 25) - later).max() > 60, "the pose is drawn over it"
    with page.expect_download() as download:
        page.click("#film")
    assert download.value.suggested_filename.startswith("forecast.")
    assert Path(download.value.path()).stat().st_size > 10_000
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.errors == []
    assert {url.split(":")[0] for url in page.asked} <= {"file", "blob", "data"}


def test_what_is_no_video_is_told(page, tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no video")
    page.set_input_files("#file", tmp_path / "no.mp4")
    page.wait_for_selector("#message.bad")
    assert "cannot read that video" in page.text_content("#message")
    page.click("#sample")
    page.wait_for_selector("#choice:not([hidden])")
    page.evaluate(_MOVE, ["#until", 0.1])
    page.evaluate("document.querySelector('#until').min = 0")
    page.evaluate(_MOVE, ["#until", 0.1])
    page.click("#go")
    page.wait_for_selector("#message.bad")
    assert "choose a later one" in page.text_content("#message")
