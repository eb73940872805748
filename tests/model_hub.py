"""A stand-in for the Hugging Face hub on this machine: as much of its HTTP as pull and push use."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """Repositories by name, each with its files."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []
        self.is_closed = False
        """Take no files."""
        self.page = b""
        """What a log-in page on the way answers in place of the hub."""
        self.address = ""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        self.hub.asked.append(self.path)

    def do_HEAD(self) -> None:
        self._send_file(with_content=False)

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            self._send_file(with_content=True)
            return
        name = self.path.removeprefix("/api/models/").partition("/")[0:1][0]
        self._send(200, {"id": name, "sha": "0" * 40, "siblings": []})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hub.is_closed and "/preupload/" in self.path:
            self._send(403, {"error": "This token may not write."})
        elif self.path == "/api/repos/create":
            said = json.loads(content)
            name = (
                f"{said['organization']}/{said['name']}" if "organization" in said else said["name"]
            )
            self.hub.files.setdefault(name, {})
            self.hub.private[name] = said.get("private", said.get("visibility") == "private")
            self._send(200, {"url": f"{self.hub.address}/{name}", "name": name})
        elif "/preupload/" in self.path:
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(content)["files"]
            ]
            self._send(200, {"files": files})
        elif "/commit/" in self.path:
            name = "/".join(self.path.split("/")[3:5])
            for line in content.decode().splitlines():
                said = json.loads(line)
                if said["key"] == "file":
                    data = base64.b64decode(said["value"]["content"])
                    self.hub.files[name][said["value"]["path"]] = data
            address = f"{self.hub.address}/{name}/commit/{'0' * 40}"
            self._send(200, {"commitOid": "0" * 40, "commitUrl": address, "success": True})
        else:
            self._send(200, {"errors": [], "warnings": []})

    def _send_file(self, with_content: bool) -> None:
        parts = self.path.strip("/").split("/")
        files, name = self.hub.files.get("/".join(parts[:2])), "/".join(parts[4:])
        if files is None or name not in files:
            code = "RepoNotFound" if files is None else "EntryNotFound"
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = files[name]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def _send(self, status: int, value: Any) -> None:
        content = self.hub.page or json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def open_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
