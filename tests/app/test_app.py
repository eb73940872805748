"""The app: used in a real browser, and what it does not let through."""

import http.client
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import posecast
from app_for_tests import SLOWLY, a_workshop
from browser import browser
from posecast.app.serving import _port, is_local
from posecast.app.work import Asked, Limits, Workshop
from posecast.cli import main
from posecast.errors import PosecastError
from posecast.media import writing
from posecast.media.frame_folders import write_picture
from posecast.sample import SAMPLE
from red_people import RED, frame_with

TESTS = Path(__file__).parents[1]


def a_video(path: Path, num_frames: int = 60) -> Path:
    frames = [frame_with((20 + 2 * t % 120, 30, 24, 48)) for t in range(num_frames)]
    writing.write_mp4(path, frames, 30.0)
    return path


def two_people(path: Path) -> Path:
    """One stands, the other moves beside it."""
    frames = []
    for t in range(40):
        frame = frame_with((30, 30, 30, 60))
        x = 130 + round(8 * np.sin(0.7 * t))
        frame[30:90, x : x + 30] = RED
        frames.append(frame)
    writing.write_mp4(path, frames, 30.0)
    return path


def nothing_shown(name: str, done: int, total: int) -> None:
    pass


# --- what is done, without a page -----------------------------------------------------------------


def test_a_video_is_taken_forecast_and_cleared(tmp_path):
    workshop = a_workshop(tmp_path / "root")
    workshop.root.mkdir()
    given = a_video(tmp_path / "walk.mp4")
    taken = workshop.take(workshop.hold(given))
    assert not given.exists()
    assert taken.seconds == pytest.approx(2.0, abs=0.05)
    assert taken.start_s == pytest.approx(1.0, abs=0.05)  # half of a short video
    picture, count = workshop.look(taken, taken.start_s, nothing_shown)
    assert count == 1
    assert picture.is_file()
    done = workshop.forecast(taken, Asked(1.0, futures=2, ahead_s=0.5), nothing_shown)
    assert {path.name for path in done.files} == {
        *("walk-forecast-1.mp4", "walk-forecast-2.mp4", "walk-forecast.npz"),
        *("walk-compare.mp4", "walk-compare.html"),
    }
    assert done.text.splitlines()[-1].startswith("Verdict: ")
    ended = workshop.forecast(taken, Asked(2.0, futures=1, ahead_s=0.5), nothing_shown)
    assert "nothing to compare the forecast with" in ended.page.read_text()
    pages = [each.page.read_text() for each in (done, ended)]
    assert [">what really came<" in page for page in pages] == [True, False]
    told = workshop.names(f"{taken.path}: lost; see {done.page.with_name('x.png')}")
    assert told == "walk.mp4: lost; see x.png"
    workshop.clear(taken)
    assert list(workshop.root.iterdir()) == []


def test_everybody_is_forecast_and_not_compared(tmp_path):
    workshop = a_workshop(tmp_path)
    taken = workshop.take(workshop.hold(two_people(tmp_path / "two.mp4")))
    done = workshop.forecast(taken, Asked(0.9, person=None, ahead_s=0.2), nothing_shown)
    assert sorted(path.name for path in done.files) == [
        *("two-forecast-people.png", "two-forecast-person-2.npz", "two-forecast.html"),
        *("two-forecast.mp4", "two-forecast.npz"),
    ]
    assert "person 2 from" in done.text
    assert done.text.endswith("choose one to see what really came.")
    alone = workshop.take(workshop.hold(a_video(tmp_path / "walk.mp4")))
    done = workshop.forecast(alone, Asked(1.0, person=None, ahead_s=0.2), nothing_shown)
    assert done.text.splitlines()[-1].startswith("Verdict: ")  # who is alone is compared


def test_of_a_video_too_short_to_compare_its_end_is_forecast(tmp_path):
    workshop = a_workshop(tmp_path)
    taken = workshop.take(workshop.hold(a_video(tmp_path / "short.mp4", num_frames=4)))
    assert taken.start_s == taken.seconds
    done = workshop.forecast(taken, Asked(taken.start_s, futures=1, ahead_s=0.2), nothing_shown)
    assert done.text.endswith("nothing to compare the forecast with.")


def test_the_sample_stays(tmp_path):
    workshop = a_workshop(tmp_path)
    with pytest.raises(PosecastError, match="lasts 3 s, at most 3 are taken"):
        workshop.take(None)
    assert SAMPLE.is_file()
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_or_no_video_leaves_nothing(tmp_path, monkeypatch):
    workshop = a_workshop(tmp_path / "root")
    workshop.root.mkdir()
    (tmp_path / "large.mp4").write_bytes(bytes(1_100_000))
    with pytest.raises(PosecastError, match="at most 1 are taken"):
        workshop.take(workshop.hold(tmp_path / "large.mp4"))
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(PosecastError, match=r"no\.mp4"):
        workshop.take(workshop.hold(tmp_path / "no.mp4"))
    (tmp_path / "odd.mp4").touch()
    held = workshop.hold(tmp_path / "odd.mp4")
    monkeypatch.setattr("posecast.app.work.probe_video", lambda _: bytearray(2**62))
    with pytest.raises(PosecastError, match="memory is used up"):
        workshop.take(held)
    with pytest.raises(PosecastError, match=r"gone\.mp4 did not come; drop it again"):
        workshop.hold(tmp_path / "gone.mp4")
    assert list(workshop.root.iterdir()) == []
    with pytest.raises(PosecastError, match="max_seconds is 0"):
        Limits(max_seconds=0.0)


def test_local_addresses():
    assert all(is_local(host) for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"))
    assert not any(is_local(host) for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""))


# --- what is let through --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Address and folder of an app that is served."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("Gradio is not installed (the extra 'app')")
    root = tmp_path_factory.mktemp("app")
    # In a process of its own: Gradio leaves sockets and loops open, and warnings are errors here.
    command = [sys.executable, TESTS / "app_for_tests.py", root]
    path = os.pathsep.join([*map(str, (Path(posecast.__file__).parents[1], TESTS)), *sys.path])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        yield process.stdout.readline().strip(), root
        process.terminate()


def ask(address: str, path: str, host: str | None = None) -> tuple[int, bytes, dict[str, str]]:
    """Ask for a path as it is written, dots and all."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or place.netloc)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    connection.close()
    return found


def test_nothing_outside_of_its_folder_can_be_read(app, tmp_path):
    address, root = app
    secret = tmp_path / "secret.txt"
    secret.write_text("what nobody may read")
    inside = root / "x"
    outside = [str(secret), "/etc/passwd", f"{inside}/../../{secret}", "//etc/passwd"]
    climbs = [f"{root}/{'../' * 12}etc/passwd", f"{root}/{'%2e%2e/' * 12}etc/passwd"]
    for path in [*outside, *climbs, "file:///etc/passwd", str(SAMPLE)]:
        for route in ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/"):
            status, body, _ = ask(address, route + path)
            assert status >= 400, f"{route}{path}"
            assert b"nobody may read" not in body
            assert b"root:" not in body


def test_nothing_is_fetched_for_others(app):
    address, _ = app
    for path in (
        *("/gradio_api/proxy=http://127.0.0.1:1/", "/gradio_api/file=http://127.0.0.1:1/"),
        *("/gradio_api/file=http:%2f%2f127.0.0.1:1/", "/gradio_api/vibe-code/"),
    ):
        assert ask(address, path)[0] == 403


def test_other_names_for_this_machine_are_refused(app):
    address, _ = app
    refused = ask(address, "/", host="evil.example")
    assert refused[0] == 403
    assert b"Host: evil.example is no name of this machine" in refused[1]
    status, _, headers = ask(address, "/")
    assert status == 200
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:1/x.mp4"])
def test_no_path_can_be_given_in_place_of_an_upload(app, path):
    address, root = app
    config = json.loads(ask(address, "/config")[1])
    take = next(each for each in config["dependencies"] if each["api_name"] == "_hold")
    given = {"path": path, "orig_name": "x.mp4", "meta": {"_type": "gradio.FileData"}}
    body = {"data": [given], "fn_index": take["id"], "session_hash": "somebody"}
    request = urllib.request.Request(
        f"{address}/gradio_api/queue/join",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert "event_id" in json.load(answer)
    stream = f"{address}/gradio_api/queue/data?session_hash=somebody"
    with urllib.request.urlopen(stream, timeout=60) as answer:
        told = answer.read().decode()
    assert '"success":false' in told
    assert "root:" not in told
    assert not list(root.glob("video-*"))


def test_of_an_upload_that_breaks_off_nothing_stays(app):
    address, root = app
    place = urlsplit(address)
    part = 'Content-Disposition: form-data; name="files"; filename="walk.mp4"'
    with socket.create_connection((place.hostname, place.port)) as browser:
        browser.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 300000\r\n\r\n"
            f"--b\r\n{part}\r\n\r\n".encode()
        )
        browser.sendall(bytes(200_000))
        assert comes_true(lambda: list(root.glob("tmp*")))
    assert comes_true(lambda: not list(root.glob("tmp*")))


def comes_true(what: Callable[[], object]) -> bool:
    """Within some seconds."""
    return any(what() or time.sleep(0.1) for _ in range(100))


def test_a_port_that_cannot_be_listened_on_is_told():
    with pytest.raises(OSError, match="ports are 0 to 65535"):
        _port("127.0.0.1", 99_999)
    in_use = pytest.raises(OSError, match="in use")
    with socket.create_server(("127.0.0.1", 0)) as server, in_use:
        _port("127.0.0.1", server.getsockname()[1])
    assert _port("127.0.0.1", 0) > 0


# --- a real browser -------------------------------------------------------------------------------


def said(page) -> str:
    return page.input_value("textarea")


def give(page, path: Path) -> None:
    page.set_input_files("input[type=file]", str(path))


def open_page(chromium, address: str, width: int = 1280):
    page = chromium.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(address)
    page.get_by_role("button", name="Take the sample").wait_for()
    return page


def wait_said(page, words: str) -> None:
    page.wait_for_function(
        "words => new RegExp(words).test(document.querySelector('textarea')?.value)",
        arg=words,
        timeout=60_000,
    )


def start(page) -> None:
    page.get_by_role("button", name="Forecast", exact=True).click()


def test_drop_choose_forecast_and_download(app, tmp_path):
    address, root = app
    with browser() as chromium:
        page = open_page(chromium, address)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.reload()
        page.get_by_role("button", name="Take the sample").wait_for()
        give(page, a_video(tmp_path / "walk.mp4"))
        wait_said(page, r"walk\.mp4, 2\.0 s: one person found")
        moment = page.get_by_label("number input for Forecast from second")
        assert float(moment.input_value()) == pytest.approx(1.0, abs=0.05)
        moment.fill("0.7")
        moment.press("Tab")
        start(page)
        frame = page.frame_locator("iframe[title=forecast]")
        frame.get_by_role("button", name="Future 2").click(timeout=60_000)
        assert "future 2" in frame.locator(".panel .name").nth(1).text_content()
        assert frame.locator("svg .cursor").count() == 1
        assert "forecast from 0.70 s on" in frame.locator("article").text_content()
        wait_said(page, r"Verdict: the forecast is \d+ % nearer")
        with page.expect_download() as download:
            page.locator("a[download$='.npz']").first.click()
        download.value.save_as(tmp_path / "walk.npz")
        with np.load(tmp_path / "walk.npz") as stored:
            assert stored["predicted_joints_px"].shape[:2] == (2, 60)
        assert {urlsplit(url).netloc for url in requests if url.startswith("http")} == {
            urlsplit(address).netloc
        }
        assert len(list(root.glob("video-*"))) == 1
        page.close()
        for _ in range(100):  # a closed page is noticed by and by
            if not list(root.glob("video-*")):
                break
            chromium.contexts[0].new_page().wait_for_timeout(200)
        assert not list(root.rglob("*.mp4"))


def test_one_of_two_people_is_chosen_and_stays_chosen(app, tmp_path):
    two_people(tmp_path / "two.mp4")
    with browser() as chromium:
        page = open_page(chromium, app[0])
        give(page, tmp_path / "two.mp4")
        wait_said(page, "2 people found")
        page.get_by_label("2", exact=True).check()
        moment = page.get_by_label("number input for Forecast from second")
        moment.fill("0.9")
        moment.press("Tab")
        page.get_by_text("looking").first.wait_for()
        start(page)  # waits until that look is over
        wait_said(page, "number 2 followed: two-forecast-people.png")
        assert page.get_by_label("2", exact=True).is_checked()


def test_everybody_is_forecast_in_one_video(app, tmp_path):
    with browser() as chromium:
        page = open_page(chromium, app[0], width=390)
        give(page, two_people(tmp_path / "two.mp4"))
        wait_said(page, "2 people found: choose one by the number, or everybody")
        page.get_by_label("everybody", exact=True).check()
        start(page)
        wait_said(page, "of 2 people\\n.*person 2 from")
        frame = page.frame_locator("iframe[title=forecast]")
        frame.get_by_text("choose one to see what really came").wait_for()
        names = page.locator("a[download]").evaluate_all("all => all.map(one => one.download)")
        assert {name for name in names if name.endswith((".mp4", ".npz"))} == {
            *("two-forecast.mp4", "two-forecast.npz", "two-forecast-person-2.npz")
        }
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_bad_file_gives_the_message_of_the_command_line(app, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my notes.mp4").write_text("these are notes")
    assert main(["forecast", "my notes.mp4"]) == 2
    message = capsys.readouterr().err.removeprefix("posecast: error: ").strip()
    with browser() as chromium:
        page = open_page(chromium, app[0], width=390)
        give(page, tmp_path / "my notes.mp4")
        wait_said(page, r"my notes\.mp4: ")
        assert said(page) == message
        assert page.get_by_role("button", name="Forecast", exact=True).is_disabled()
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_one_works_while_another_waits_and_stops(app, tmp_path):
    address, root = app
    with browser() as chromium:
        pages = [open_page(chromium, address) for _ in range(2)]
        for number, page in enumerate(pages):
            give(page, a_video(tmp_path / f"walk{number}.mp4"))
            wait_said(page, "one person found")
        (root / SLOWLY).touch()
        start(pages[0])
        pages[0].get_by_text(re.compile("finding")).first.wait_for()
        start(pages[1])
        pages[1].get_by_text(re.compile("queue")).first.wait_for()
        pages[0].get_by_role("button", name="Stop").click()
        wait_said(pages[0], "^stopped$")
        (root / SLOWLY).unlink()
        wait_said(pages[1], "Verdict: ")
        assert pages[0].locator("iframe").count() == 0


def test_two_who_give_the_same_video_are_both_served_and_who_leaves_takes_it_along(app, tmp_path):
    address, root = app
    with browser() as chromium:
        pages = [open_page(chromium, address) for _ in range(4)]
        give(pages[0], a_video(tmp_path / "first.mp4"))
        wait_said(pages[0], "one person found")
        (root / SLOWLY).touch()
        start(pages[0])
        pages[0].get_by_text(re.compile("finding")).first.wait_for()
        for number, page in enumerate(pages[1:], 2):
            give(page, a_video(tmp_path / "walk.mp4"))
            page.get_by_text(re.compile("queue")).first.wait_for()
            assert comes_true(lambda n=number: len(list(root.rglob("*.mp4"))) >= n)
        pages[3].close()
        assert comes_true(lambda: len(list(root.rglob("walk.mp4"))) == 2)
        (root / SLOWLY).unlink()
        for page in pages[1:3]:
            wait_said(page, "one person found")


def a_page(tmp_path: Path) -> tuple:
    """Without the parts that are seen, and somebody who asks it."""
    gradio = pytest.importorskip("gradio")
    from posecast.app.page import _Page, _Session

    page = object.__new__(_Page)
    page._workshop, page._sessions = a_workshop(tmp_path / "root"), defaultdict(_Session)
    return page, gradio.Request(session_hash="somebody")


def test_of_a_page_that_is_closed_while_its_video_is_opened_nothing_stays(tmp_path, monkeypatch):
    (page, request), take = a_page(tmp_path), Workshop.take

    def take_and_leave(*given):
        page._leave(request)
        return take(*given)

    monkeypatch.setattr(Workshop, "take", take_and_leave)
    page._hold(str(a_video(tmp_path / "walk.mp4")), request)
    page._take(request)
    assert not list(page._workshop.root.iterdir())


def test_a_photo_is_taken(tmp_path):
    page, request = a_page(tmp_path)
    write_picture(tmp_path / "photo.png", frame_with((85, 30, 24, 48)))
    page._hold(str(tmp_path / "photo.png"), request)
    *_, moment, _, said, _, _ = page._take(request)
    assert 0 < moment.minimum < moment.value == moment.maximum < 0.1
    assert "one person found" in said


def test_memory_that_is_used_up_is_said_on_the_page(tmp_path, monkeypatch):
    page, request = a_page(tmp_path)
    workshop = page._workshop
    page._session(request).taken = workshop.take(a_video(tmp_path / "walk.mp4"))

    def all_used(*given):
        raise MemoryError

    monkeypatch.setattr(Workshop, "look", all_used)
    with pytest.warns(UserWarning, match="memory is used up"):  # shown, where there is a page
        said = page._look(1.0, request)[-1]
    assert said.startswith("memory is used up (MemoryError): close other programs")


def test_new_work_begins_before_stopped_work_has_noticed():
    pytest.importorskip("gradio")
    from posecast.app.page import _Session

    session = _Session()
    first = session.begin()
    session.ask_to_stop()
    second = session.begin()
    assert first.is_set()
    assert not second.is_set()
    assert session.ask_to_stop()
    assert second.is_set()
    assert not session.ask_to_stop()  # nothing is left to stop


def test_work_that_is_over_cannot_be_stopped():
    pytest.importorskip("gradio")
    from posecast.app.page import _Session

    session = _Session()
    stopped, begun = session.begin(), session.begin()
    session.end(stopped)
    assert session.ask_to_stop()  # what was begun meanwhile goes on
    assert begun.is_set()
    session.end(session.begin())
    assert not session.ask_to_stop()
