"""A real S3 server on loopback (moto's), in a process of its own that ends with this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BUCKET = "speech"
LONGEST = 3600
"""Seconds after which a server ends, whatever happened."""
SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
SERVER = f"""
import logging, os, sys, threading, urllib.request
from werkzeug.serving import WSGIRequestHandler
WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.disable_nagle_algorithm = True
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
server.start()
address = f"http://{{sys.argv[1]}}:{{server.get_host_and_port()[1]}}"
request = urllib.request.Request(f"{{address}}/{BUCKET}", b"", {{"Authorization": "{SIGNED}"}}, method="PUT")
urllib.request.urlopen(request, timeout=60).close()
print(address, flush=True)
end = threading.Timer({LONGEST}, os._exit, [1])
end.daemon = True
end.start()
sys.stdin.read()
os._exit(0)
"""


@contextmanager
def running_server() -> Iterator[str]:
    """Run a server with one bucket; yield its address."""
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER, "127.0.0.1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()  # processes that were forked meanwhile may hold its standard input open
        server.communicate(timeout=60)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server that all tests of a session share, each below a prefix of its own."""
    pytest.importorskip("moto", reason="moto is not installed: pip install 'featurestore[test]'")
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'featurestore[s3]'")
    with running_server() as address:
        yield address


def settings(address: str, cache: Path) -> dict[str, str]:
    """Environment variables by which a process finds a server and a cache."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_REGION": "us-east-1",
        "FEATURESTORE_CACHE": str(cache),
    }


def use(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    """Let this process and its children find a server and a cache."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in settings(address, cache).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def place(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """URI of a new store on the server."""
    use(monkeypatch, s3_server, tmp_path / "cache")
    return f"s3://{BUCKET}/{abs(hash(request.node.nodeid)):x}/store"
