"""Serve the app: where it listens, what it lets through, and that nothing of it stays behind."""

import ipaddress
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from posecast.app.work import Limits, Workshop
from posecast.computing.devices import ForecasterOptions
from posecast.errors import PosecastError

EXPOSED = """\
posecast app: listening beyond this machine. Whoever can reach {address} can give it videos to work
on and see what it makes of theirs: there is no password, and nothing is encrypted on its way."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; "
    "form-action 'self'; base-uri 'self'; object-src 'none'"
)
"""What a browser may load: nothing from elsewhere, whatever the page asks for."""
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}
_CLOSED = ("/proxy=", "/vibe-", "/deep_link", "/run-history/", "/monitoring", "/dev/")
"""Parts of Gradio that nothing here uses."""
_ANOTHER_NAME = """\
Host: {host} is no name of this machine, and only this machine is served. A server in front of the
app has to ask for 127.0.0.1 and tell its own name as X-Forwarded-Host: see docs/app.md."""
_STYLE = ".stem { direction: rtl; }"
"""Of long names of files the ends are shown, by which those of one video differ."""
_LAST_PORT = 65535


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address that is listened on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Around the app: headers for every answer, and none at all for what the app does not need.

    Addresses within addresses are refused, with which Gradio would fetch pages for a browser, and
    hosts other than this machine's names where only this machine is served (a page elsewhere whose
    name is made to point here).
    """

    def __init__(self, app: Any, local: bool = True) -> None:
        self._app, self._local = app, local

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (why := self._refusal(scope)) is not None:
            start = {"type": "http.response.start", "status": 403, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": why.encode()})
            return

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0] not in _HEADERS]
                message = {**message, "headers": [*kept, *_HEADERS.items()]}
            await send(message)

        is_upload = scope["path"].endswith("/upload")
        await self._app(scope, _whole(receive) if is_upload else receive, send_guarded)

    def _refusal(self, scope: Any) -> str | None:
        path = unquote(scope["path"])
        if "://" in path or any(word in path for word in _CLOSED):
            return "not here"
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if self._local and not is_local(urlsplit(f"//{host}").hostname or ""):
            return _ANOTHER_NAME.format(host=host)
        return None


def _whole(receive: Any) -> Any:
    """What is received, where breaking off is an error for which Gradio removes what came so far:
    else it would stay, with a traceback on the terminal."""
    from starlette.formparsers import MultiPartException  # pyright: ignore[reportMissingImports]

    more = True

    async def receive_whole() -> Any:
        nonlocal more
        message = await receive()
        if more and message["type"] == "http.disconnect":
            raise MultiPartException("the upload broke off")
        more = message.get("more_body", False)
        return message

    return receive_whole


def serve_app(
    host: str,
    port: int,
    limits: Limits,
    options: ForecasterOptions,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until interrupted; `on_ready` is given the address. What the app held is removed.

    PosecastError where Gradio is absent, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="posecast-app-") as root:
        workshop = Workshop.shipped(Path(root), options, limits)
        with served(workshop, host, port) as address:
            on_ready(address)
            threading.Event().wait()


@contextmanager
def served(workshop: Workshop, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """The app of a workshop while the block runs: its address. Port 0 takes a free one."""
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(workshop.root),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    try:
        from gradio import themes  # pyright: ignore[reportMissingImports]
        from starlette.middleware import Middleware  # pyright: ignore[reportMissingImports]

        from posecast.app.page import build_page
    except ImportError as error:
        raise PosecastError(
            f"the app needs Gradio ({error}): pip install 'posecast[app]'"
        ) from error
    page = build_page(workshop).queue(max_size=20, api_open=False)
    plain = themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    guard = Middleware(Guard, local=is_local(host))
    try:
        page.launch(
            server_name=host,
            server_port=_port(host, port),
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            footer_links=[],
            theme=plain,
            css=_STYLE,
            max_file_size=workshop.limits.max_mb * 10**6,
            app_kwargs={"middleware": [guard], "docs_url": None, "redoc_url": None},
        )
    except OSError as error:
        raise PosecastError(f"cannot listen on {host}, port {port}: {error}") from error
    try:
        yield f"http://{host}:{page.server_port}"
    finally:
        page.close(verbose=False)


def _port(host: str, port: int) -> int:
    """The port if it can be listened on; 0 takes a free one."""
    if not 0 <= port <= _LAST_PORT:
        raise OSError(f"ports are 0 to {_LAST_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as server:
        return server.getsockname()[1]
