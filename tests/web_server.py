"""A server of static files on loopback, with or without ranges, and behind redirects as the Hugging Face Hub."""

from __future__ import annotations

import http.server
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = "/datasets/lab/features/resolve/main"


class Served(http.server.ThreadingHTTPServer):
    """What is served, and what was asked."""

    folder: Path
    ranges = True
    counts: Counter[str]
    fails: int = 0
    """Requests that are still answered by 503."""
    body: bytes | None = None
    """Sent in place of every file, where it is set."""
    sent = 0

    @property
    def plain(self) -> str:
        """Address of the folder."""
        return f"http://127.0.0.1:{self.server_port}/files"

    @property
    def hub(self) -> str:
        """Address of the same as a repository of the Hub."""
        return f"http://127.0.0.1:{self.server_port}{REPOSITORY}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Served

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        served, path = self.server, self.path
        served.counts[self.command] += 1
        if served.fails > 0:
            served.fails -= 1
            return self.answer(503)
        if path.startswith("/round"):
            return self.answer(302, location=path)
        if path.startswith(REPOSITORY):
            return self.answer(302, location=f"/files{path.removeprefix(REPOSITORY)}")
        file = served.folder / path.removeprefix("/files/")
        if not path.startswith("/files/") or not file.is_file():
            return self.answer(404)
        data = served.body if served.body is not None else file.read_bytes()
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part and served.ranges:
            start, stop = int(part[1]), int(part[2]) + 1
            return self.answer(206, data[start:stop], content_range=f"bytes {start}-{stop - 1}/{len(data)}")
        return self.answer(200, data)

    def answer(self, status: int, body: bytes = b"", *, location: str = "", content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (("Location", location), ("Content-Range", content_range)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    with Served(("127.0.0.1", 0), Handler) as server:
        server.folder, server.counts = folder, Counter()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
