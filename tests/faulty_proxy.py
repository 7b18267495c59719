"""A proxy that injures what passes between a client and an S3 server, and counts how often it did what."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REFUSALS = {
    "500": (500, "InternalError"),
    "503": (503, "ServiceUnavailable"),
    "throttled": (503, "SlowDown"),
    "429": (429, "TooManyRequests"),
    "409": (409, "ConditionalRequestConflict"),
    "412": (412, "PreconditionFailed"),
}
DENIED = {"403": (403, "AccessDenied")}
"""Answers in place of the server's, which never sees the request."""
AFTERWARDS = ("lost", "500 after success")
"""What becomes of the answer to a request that the server has carried out."""
EVERY = (*REFUSALS, *AFTERWARDS, "reset", "truncated", "slow")
DELAY = 0.2
"""Seconds before the first byte of a slow answer."""


class FaultyProxy:
    """Faults to come, and how many there were of each kind."""

    def __init__(self, server: str, share: float, kinds: tuple[str, ...], seed: int) -> None:
        self.server = urlsplit(server)
        self.share = share
        self.kinds = kinds
        self.faults: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.address = ""
        self.without: tuple[str, ...] = ()
        """Headers that are not passed on."""
        self.choose: Callable[[str, str, dict[str, str]], str | None] = self._draw
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def _draw(self, method: str, path: str, headers: dict[str, str]) -> str | None:
        conditional = "if-none-match" in headers or "if-match" in headers
        fitting = [
            kind
            for kind in self.kinds
            if not (kind in ("409", "412") and not (method == "PUT" and conditional))
            and not (kind == "truncated" and method != "GET")
        ]
        with self._lock:
            return self._random.choice(fitting) if self._random.random() < self.share else None

    def count(self, method: str, fault: str | None) -> None:
        with self._lock:
            self.requests[method] += 1
            if fault:
                self.faults[fault] += 1


@contextmanager
def faulty(server: str, share: float = 0.0, kinds: tuple[str, ...] = EVERY, seed: int = 0) -> Iterator[FaultyProxy]:
    """Run a proxy before a server; a share of the requests meets a fault drawn from `kinds`."""
    proxy = FaultyProxy(server, share, kinds, seed)
    web = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    web.daemon_threads = True
    proxy.address = f"http://127.0.0.1:{web.server_address[1]}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        web.shutdown()
        web.server_close()
        thread.join()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            fault = proxy.choose(self.command, self.path, headers)
            proxy.count(self.command, fault)
            if fault == "reset":
                self.close_connection = True
                return
            if fault in REFUSALS | DENIED:
                status, code = (REFUSALS | DENIED)[fault]
                self.answer(status, {}, f"<Error><Code>{code}</Code></Error>".encode())
                return
            status, answered, data = self.passed_on(headers, body)
            if fault == "lost":
                self.close_connection = True
            elif fault == "500 after success":
                self.answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
            else:
                time.sleep(DELAY if fault == "slow" else 0)
                self.answer(status, answered, data, cut=fault == "truncated")

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve  # noqa: N815

        def passed_on(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
            kept = {name: value for name, value in headers.items() if name not in (*proxy.without, "connection")}
            server = http.client.HTTPConnection(proxy.server.hostname or "", proxy.server.port, timeout=60)
            try:
                server.request(self.command, self.path, body, kept)
                answer = server.getresponse()
                return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            finally:
                server.close()

        def answer(self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
            self.send_response_only(status)
            length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(data))
            dropped = ("content-length", "transfer-encoding", "connection")
            for name, value in headers.items():
                if name not in dropped:
                    self.send_header(name, value)
            self.send_header("content-length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.close_connection = True

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client has gone
                self.close_connection = True

    return Handler
