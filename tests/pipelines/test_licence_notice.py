"""Before a corpus is fetched for the first time its licence is told; a copy that is there is used in silence."""

import dataclasses
import hashlib
import http.server
import threading

import pytest

from featurestore.corpus import Archive, find_manifest
from featurestore.errors import SourceError
from pipelines.ingest.fetch import Fetcher

BODY = b"an archive"


@pytest.fixture
def events():
    """What happened, in order: lines told to the user, and requests that reached the server."""
    return []


@pytest.fixture
def server(events):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            events.append("request")
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_):
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def silent(done, total):
    """Show no progress."""


def manifest(url):
    archive = Archive(f"{url}/ravdess.zip", "ravdess.zip", sha256=hashlib.sha256(BODY).hexdigest())
    return dataclasses.replace(find_manifest("ravdess"), archives=(archive,))


def test_the_licence_its_address_and_the_citation_are_told_before_the_first_request(server, events, tmp_path):
    path = Fetcher(events.append, silent, folder=tmp_path).archive(manifest(server))

    assert path.read_bytes() == BODY
    assert events[1:] == ["request"]
    assert "licence: CC BY-NC-SA 4.0; https://creativecommons.org/licenses/by-nc-sa/4.0/; cite: S. R. Liv" in events[0]


def test_a_copy_that_is_there_needs_no_request_and_no_second_notice(server, events, tmp_path):
    Fetcher(events.append, silent, folder=tmp_path).archive(manifest(server))
    told = len(events)

    Fetcher(events.append, silent, folder=tmp_path).archive(manifest(server))

    assert len(events) == told


def test_a_corpus_under_licence_is_never_fetched_and_says_where_to_ask(tmp_path):
    with pytest.raises(SourceError, match=r"cannot be downloaded \(research only, by registration\).*--source"):
        Fetcher(lambda _: None, silent, folder=tmp_path).archive(find_manifest("savee"))
