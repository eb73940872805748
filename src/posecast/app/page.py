"""The app's page in Gradio: what one sees and what each button calls."""

import html
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr  # pyright: ignore[reportMissingImports]

from posecast.app.work import Asked, Taken, Workshop
from posecast.computing.memory import memory_told
from posecast.computing.stages import Show
from posecast.errors import PosecastError

TITLE = "posecast: how does the person in this video go on?"
_WORDS = """\
# How does the person in this video go on?

Drop a video of a person (or take the sample), choose the moment to forecast from, and press
Forecast. Where the video goes on after that moment, the forecast is held beside what really came.
What you drop stays on the machine that runs this app, and is removed when you close the page.
"""
_STOPPED = "stopped"
_EVERYBODY = "everybody"
_FIRST = "first drop a video, or take the sample"
_PROGRESS = gr.Progress()
"""By which Gradio knows that a function tells of its progress."""


def _local(file: gr.File) -> gr.File:
    """A file that was dropped; an address in its place is refused, nothing is fetched from there.

    (A class of its own would make Gradio write a stub beside this module.)
    """
    move = file.async_move_resource_to_block_cache

    async def move_local(url_or_file_path: Any) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("an address is no file: drop one")
        return await move(url_or_file_path)

    file.async_move_resource_to_block_cache = move_local
    return file


@dataclass(eq=False)
class _Session:
    """What an open page has given, and whether its work is to stop."""

    held: Path | None = None
    """Dropped, and still to be looked at."""
    taken: Taken | None = None
    stop: threading.Event | None = None
    """Of the work at hand, set when that is to stop."""
    num_people: int | None = None
    """As many can be chosen from."""

    def begin(self) -> threading.Event:
        """Set when the work that now begins is to stop; work that still has to notice that it was
        stopped has an event of its own."""
        self.stop = threading.Event()
        return self.stop

    def end(self, stop: threading.Event) -> None:
        """The work that was told to stop by this is over."""
        self.stop = None if self.stop is stop else self.stop

    def ask_to_stop(self) -> bool:
        """Whether there was anything to stop."""
        stop, self.stop = self.stop, None
        if stop is not None:
            stop.set()
        return stop is not None


def build_page(workshop: Workshop) -> gr.Blocks:
    """The page, not yet served."""
    return _Page(workshop).blocks


class _Page:
    """Its parts, and what happens when they are used."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._sessions: defaultdict[str, _Session] = defaultdict(_Session)
        limits = workshop.limits
        self.blocks = gr.Blocks(title=TITLE, analytics_enabled=False)
        with self.blocks:
            gr.Markdown(_WORDS)
            with gr.Row():
                with gr.Column(scale=1, min_width=300):
                    limit = f"at most {limits.max_seconds:g} s and {limits.max_mb} MB"
                    self._video = _local(gr.File(label=f"Video ({limit})", height=160))
                    self._sample = gr.Button("Take the sample")
                    self._people = gr.Image(
                        label="Who was found", interactive=False, format="jpeg", buttons=[]
                    )
                    self._person = gr.Radio([1], value=1, label="Person", interactive=True)
                    self._moment = gr.Slider(
                        0.1, 1, 1, step=0.01, label="Forecast from second", interactive=True
                    )
                    self._ahead = gr.Slider(
                        *(0.2, limits.max_ahead_s, min(2.0, limits.max_ahead_s)),
                        step=0.1,
                        label="Seconds to forecast",
                    )
                    self._futures = gr.Slider(
                        *(1, limits.max_futures, min(3, limits.max_futures)),
                        step=1,
                        label="Futures (of one person)",
                    )
                    self._forecast = gr.Button("Forecast", variant="primary", interactive=False)
                    self._stop = gr.Button("Stop")
                    self._said = gr.Textbox(label="What is happening", lines=2, interactive=False)
                with gr.Column(scale=2, min_width=340):
                    self._shown = gr.HTML()
                    self._files = gr.Files(label="Download", interactive=False, visible=False)
            self._connect()

    def _connect(self) -> None:
        """One job at a time, whoever asks; others wait in a queue and are told their place."""
        alone: dict[str, Any] = {
            "concurrency_id": "work",
            "concurrency_limit": 1,
            "api_visibility": "private",
        }
        shown: dict[str, Any] = {"show_progress_on": self._said}
        known = [
            *(self._people, self._person, self._moment, self._forecast),
            *(self._said, self._shown, self._files),
        ]
        at_once: dict[str, Any] = {"api_visibility": "private", "queue": False}
        dropped = self._video.upload(self._hold, [self._video], None, **at_once)
        given = dropped.success(self._take, None, known, **alone, **shown)
        given.then(lambda: None, None, self._video, **at_once)
        sample = self._sample.click(self._take_sample, None, known, **alone, **shown)
        seen = [self._people, self._person, self._said]
        look = self._moment.release(self._look, [self._moment], seen, **alone, **shown)
        asked = [self._moment, self._person, self._futures, self._ahead]
        done = [self._said, self._shown, self._files]
        work = self._forecast.click(self._work, asked, done, **alone, **shown)
        self._stop.click(
            self._ask_to_stop, None, self._said, cancels=[given, sample, look, work], **at_once
        )
        self.blocks.unload(self._leave)

    # --- what happens -----------------------------------------------------------------------------

    def _hold(self, path: str | None, request: gr.Request) -> None:
        """Also while others work, so that a page that is closed meanwhile takes it along."""
        if path is None:
            raise gr.Error("no file came")
        session = self._session(request)
        self._let_go(session)
        try:
            session.held = self._workshop.hold(Path(path))
        except PosecastError as error:
            raise gr.Error(html.escape(error.text)) from error

    def _take(self, request: gr.Request, progress: gr.Progress = _PROGRESS) -> list[Any]:
        session = self._session(request)
        held, session.held = session.held, None
        if held is None:  # another one, dropped right after it, was looked at in its place
            return [gr.skip()] * 7
        return self._taken_in(held, request, progress)

    def _take_sample(self, request: gr.Request, progress: gr.Progress = _PROGRESS) -> list[Any]:
        return self._taken_in(None, request, progress)

    def _taken_in(self, path: Path | None, request: gr.Request, progress: gr.Progress) -> list[Any]:
        """A new video in place of the one before."""
        session = self._session(request)
        self._clear(session)
        empty = ["", gr.Files(visible=False)]
        try:
            taken = self._workshop.take(path)
        except PosecastError as error:
            nobody = [None, gr.Radio([1], value=1), gr.skip(), gr.Button(interactive=False)]
            return [*nobody, self._problem(error), *empty]
        if self._session(request) is session:
            session.taken = taken
        else:  # the page was closed meanwhile
            self._workshop.clear(taken)
        picture, choices, said = self._look(taken.start_s, request, progress)
        end = max(round(taken.seconds, 2), 0.02)  # a photo lasts for less than the first tenth
        moment = gr.Slider(min(0.1, end / 2), end, value=min(round(taken.start_s, 2), end))
        return [picture, choices, moment, gr.Button(interactive=True), said, *empty]

    def _look(
        self, from_s: float, request: gr.Request, progress: gr.Progress = _PROGRESS
    ) -> list[Any]:
        session = self._session(request)
        taken = session.taken
        if taken is None:
            return [None, gr.skip(), _FIRST]
        try:
            with self._working(session, taken, progress) as show:
                picture, count = self._workshop.look(taken, from_s, show)
        except PosecastError as error:
            return [None, gr.skip(), self._problem(error)]
        text = {0: "nobody in these frames; who comes later is looked for", 1: "one person found"}
        choices = gr.skip()
        if session.num_people != count:  # else a choice that was made stays
            session.num_people = count
            choices = gr.Radio([*range(1, max(count, 1) + 1), _EVERYBODY], value=1)
        said = text.get(count, f"{count} people found: choose one by the number, or everybody")
        return [str(picture), choices, f"{taken.path.name}, {taken.seconds:.1f} s: {said}"]

    def _work(
        self,
        from_s: float,
        person: int | str | None,
        futures: int,
        ahead_s: float,
        request: gr.Request,
        progress: gr.Progress = _PROGRESS,
    ) -> list[Any]:
        session = self._session(request)
        taken = session.taken
        if taken is None:
            return [_FIRST, "", gr.Files(visible=False)]
        who = None if person == _EVERYBODY else int(person or 1)
        asked = Asked(float(from_s), who, int(futures), float(ahead_s))
        try:
            with self._working(session, taken, progress) as show:
                done = self._workshop.forecast(taken, asked, show)
                page = _framed(done.page)
        except PosecastError as error:
            return [self._problem(error), "", gr.Files(visible=False)]
        files = [str(path) for path in done.files]
        return [done.text, page, gr.Files(files, visible=True)]

    def _problem(self, error: PosecastError) -> str:
        """The message of the command line, also where one looks on a small screen."""
        text = self._workshop.names(error.text)
        gr.Warning(html.escape(text))
        return text

    @contextmanager
    def _working(self, session: _Session, taken: Taken, progress: gr.Progress) -> Iterator[Show]:
        """What tells the page of a stage, and ends the work where somebody asked for that. A video
        whose page was closed meanwhile is removed."""
        stop = session.begin()

        def show(name: str, done: int, total: int) -> None:
            if stop.is_set():
                raise PosecastError(_STOPPED)
            progress((done, total) if total else 0.0, desc=name)

        try:
            with memory_told():
                yield show
        finally:
            session.end(stop)
            if session.taken is not taken:
                self._workshop.clear(taken)

    def _ask_to_stop(self, request: gr.Request) -> Any:
        return _STOPPED if self._session(request).ask_to_stop() else gr.skip()

    def _leave(self, request: gr.Request) -> None:
        """The page was closed: nothing of it stays."""
        session = self._session(request)
        session.ask_to_stop()
        self._let_go(session)
        self._clear(session)
        self._sessions.pop(request.session_hash or "", None)

    def _session(self, request: gr.Request) -> _Session:
        return self._sessions[request.session_hash or ""]

    def _let_go(self, session: _Session) -> None:
        """What was dropped and is not yet looked at is removed."""
        if session.held is not None:
            shutil.rmtree(session.held.parent, ignore_errors=True)
        session.held = None

    def _clear(self, session: _Session) -> None:
        """Its video and all that was made of it are removed."""
        if session.taken is not None:
            self._workshop.clear(session.taken)
        session.taken = session.num_people = None


def _framed(page: Path) -> str:
    """A page within the page, on its own: its styles and scripts do not meet the app's."""
    text = html.escape(page.read_text(encoding="utf-8"), quote=True)
    return (
        '<iframe title="forecast" sandbox="allow-scripts" '
        f'style="width:100%;height:95vh;min-height:640px;border:0" srcdoc="{text}"></iframe>'
    )
