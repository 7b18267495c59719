"""Downloads against a real server on the loopback interface that behaves badly in every way we know."""

import contextlib
import dataclasses
import hashlib
import http.server
import re
import resource
import shutil
import ssl
import subprocess
import threading

import pytest

from featurestore.corpus import Archive
from featurestore.errors import ChecksumMismatchError, DownloadError
from pipelines.ingest.fetch import archive_at, download
from pipelines.ingest.http_transfer import BLOCK, Patience, next_url

BODY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(idle_attempts=2, attempts=6, first_wait=0.01, connect=2, read=2)


class Server(http.server.ThreadingHTTPServer):
    """Serves `BODY` under paths that each name one bad habit, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.sent = 0
        self.over = threading.Event()
        self.body = BODY
        self.scheme = "http"

    @property
    def url(self):
        return f"{self.scheme}://localhost:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        """Stay silent."""

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        getattr(self, f"serve_{self.path.strip('/').split('.')[0]}")(int(re.findall(r"\d+", asked)[0]) if asked else 0)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def serve_good(self, start):
        body = self.server.body
        if start >= len(body):
            self.answer(416)
        elif start:
            self.answer(206, body[start:], Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.answer(200, body)

    def serve_dropping(self, start):
        """Close the connection at 60 % of what was asked for, the first three times."""
        if len(self.server.asked) > 3:
            self.serve_good(start)
            return
        rest = BODY[start:]
        status = 206 if start else 200
        span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}" if start else None
        self.answer(status, rest[: len(rest) * 6 // 10], Content_Length=len(rest), Content_Range=span)

    def serve_forgetful(self, start):
        """Drop the first connection, and know nothing of ranges."""
        first = len(self.server.asked) == 1
        self.answer(200, BODY[: len(BODY) * 6 // 10] if first else BODY, Content_Length=len(BODY))

    def serve_shifted(self, start):
        self.answer(206, BODY[5:], Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")

    def serve_endless(self, start):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(BODY)
        except OSError:
            self.close_connection = True

    def serve_missing(self, start):
        self.answer(404)

    def serve_busy(self, start):
        if len(self.server.asked) < 2:
            self.answer(503)
        else:
            self.serve_good(start)

    def serve_broken(self, start):
        self.answer(500)

    def serve_moved(self, start):
        self.answer(302, Location="/good.zip")

    def serve_circle(self, start):
        self.answer(302, Location="/circle.zip")

    def serve_forever(self, head, piece):
        """Send a head, and a piece again and again until the other side has enough."""
        try:
            self.wfile.write(head)
            while True:
                self.wfile.write(piece)
                self.server.sent += len(piece)
        except OSError:
            self.close_connection = True

    def serve_redirectbody(self, start):
        self.serve_forever(b"HTTP/1.1 302 Found\r\nLocation: /good.zip\r\n\r\n", bytes(65_536))

    def serve_continuing(self, start):
        self.serve_forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n")

    def serve_trailing(self, start):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.serve_forever(chunked + b"4\r\nbody\r\n0\r\n", b"X: y\r\n")

    def serve_heading(self, start):
        self.serve_forever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")

    def serve_dripping(self, start):
        self.answer(200, b"", Content_Length=len(BODY))
        with contextlib.suppress(OSError):
            while not self.server.over.wait(0.05):
                self.wfile.write(b"x")

    def serve_nowhere(self, start):
        self.answer(302, Location="http://[::1")

    def serve_port(self, start):
        self.answer(302, Location="http://localhost:99999999/x")

    def serve_lengthless(self, start):
        self.answer(200, BODY[: len(BODY) // 2], Content_Length=None)

    def serve_wordy(self, start):
        self.answer(200, BODY, Content_Length="many")

    def serve_astronomic(self, start):
        self.answer(200, BODY, Content_Length="9" * 5000)

    def serve_changing(self, start):
        """Another body stands here since the connection broke off; a range of the first one is told from it."""
        first = len(self.server.asked) == 1
        if first:
            self.answer(200, b"\x00" * 200_000, Content_Length=len(BODY), ETag='"one"')
        elif start and self.headers.get("If-Range") == '"two"':
            self.serve_good(start)
        else:
            self.answer(200, BODY, ETag='"two"')

    def serve_downgrade(self, start):
        self.answer(302, Location="http://localhost:1/good.zip")


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


def archive(server, habit, **fields):
    return Archive(
        **{"url": f"{server.url}/{habit}.zip", "name": "x.zip", "sha256": SHA256, "bytes": len(BODY), **fields}
    )


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_an_archive_arrives_whole_and_alone_and_progress_ends_at_its_size(server, tmp_path):
    seen = []

    path = download(archive(server, "good"), tmp_path, lambda done, total: seen.append((done, total)))

    assert path.read_bytes() == BODY
    assert names(tmp_path) == ["x.zip"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_an_archive_that_is_there_is_not_asked_for_again_and_a_damaged_one_is(server, tmp_path):
    path = download(archive(server, "good"), tmp_path)
    download(archive(server, "good"), tmp_path)
    assert len(server.asked) == 1

    path.write_bytes(b"damaged")
    assert download(archive(server, "good"), tmp_path).read_bytes() == BODY


def test_a_connection_that_drops_at_sixty_percent_is_resumed_where_it_broke(server, tmp_path):
    path = download(archive(server, "dropping"), tmp_path, patience=QUICK)

    broke = len(BODY) * 6 // 10
    again = [int(asked.strip("bytes=-")) for _, asked in server.asked[1:]]
    assert path.read_bytes() == BODY
    assert broke - BLOCK <= again[0] <= broke
    assert again == sorted(again)
    assert len(again) == 3


def test_a_download_that_was_killed_is_resumed_by_the_next_one(server, tmp_path):
    (tmp_path / "x.zip.part").write_bytes(BODY[:1000])

    assert download(archive(server, "good"), tmp_path).read_bytes() == BODY
    assert server.asked == [("/good.zip", "bytes=1000-")]


def test_a_finished_part_needs_no_request_at_all(server, tmp_path):
    (tmp_path / "x.zip.part").write_bytes(BODY)

    assert download(archive(server, "good"), tmp_path).read_bytes() == BODY
    assert server.asked == []


@pytest.mark.parametrize("stale", [b"other bytes", BODY + b"too long"])
def test_a_part_of_something_else_is_thrown_away_once(server, tmp_path, stale):
    (tmp_path / "x.zip.part").write_bytes(stale)

    assert download(archive(server, "good"), tmp_path, patience=QUICK).read_bytes() == BODY


def test_a_server_that_ignores_ranges_is_read_from_the_start(server, tmp_path):
    assert download(archive(server, "forgetful"), tmp_path, patience=QUICK).read_bytes() == BODY


def test_a_server_that_answers_with_another_range_is_refused(server, tmp_path):
    (tmp_path / "x.zip.part").write_bytes(BODY[:1000])

    with pytest.raises(DownloadError, match="another range"):
        download(archive(server, "shifted"), tmp_path, patience=QUICK)


def test_an_endless_body_stops_one_percent_above_the_known_size(server, tmp_path):
    most = []

    with pytest.raises(DownloadError, match="more than the expected"):
        download(archive(server, "endless"), tmp_path, lambda done, _: most.append(done), patience=QUICK)
    assert max(most) <= len(BODY) * 1.01 + 1
    assert names(tmp_path) == []


def test_a_wrong_checksum_is_an_error_with_both_and_the_url_and_leaves_nothing(server, tmp_path):
    with pytest.raises(ChecksumMismatchError, match=rf"good\.zip: sha256 is {SHA256}, expected {'0' * 64}"):
        download(archive(server, "good", sha256="0" * 64), tmp_path)
    assert names(tmp_path) == []


def test_an_md5_from_the_publisher_is_held_to(server, tmp_path):
    right = hashlib.md5(BODY, usedforsecurity=False).hexdigest()

    assert download(archive(server, "good", sha256=None, md5=right), tmp_path / "a").read_bytes() == BODY
    with pytest.raises(ChecksumMismatchError, match="md5"):
        download(archive(server, "good", sha256=None, md5="0" * 32), tmp_path / "b")


@pytest.mark.parametrize(
    ("habit", "message"), [("missing", "404"), ("broken", "500"), ("circle", "redirects more than")]
)
def test_a_server_that_refuses_is_an_error_that_names_source(server, tmp_path, habit, message):
    with pytest.raises(DownloadError, match=rf"{message}.*--source"):
        download(archive(server, habit), tmp_path, patience=QUICK)
    assert not (tmp_path / "x.zip").exists()
    assert len(server.asked) <= 6


def test_a_busy_server_is_asked_again(server, tmp_path):
    assert download(archive(server, "busy"), tmp_path, patience=QUICK).read_bytes() == BODY


def test_a_redirect_is_followed(server, tmp_path):
    assert download(archive(server, "moved"), tmp_path).read_bytes() == BODY


def test_without_a_network_the_error_names_source(tmp_path):
    nobody = Archive("http://localhost:9/x.zip", "x.zip", sha256=SHA256)

    with pytest.raises(DownloadError, match="--source"):
        download(nobody, tmp_path, patience=QUICK)


def test_without_a_checksum_a_download_is_refused_before_any_request(server, tmp_path):
    with pytest.raises(DownloadError, match="--trust-first-download"):
        download(archive(server, "good", sha256=None), tmp_path)
    assert server.asked == []


def test_a_first_download_that_is_trusted_is_pinned_and_a_later_change_is_an_error(server, tmp_path):
    unpinned = archive(server, "good", sha256=None)
    path = download(unpinned, tmp_path, trust_first=True)
    path.unlink()
    server.body = BODY[::-1]

    with pytest.raises(ChecksumMismatchError, match=SHA256):
        download(unpinned, tmp_path, trust_first=True)
    assert names(tmp_path) == ["trust.toml"]


def test_old_data_stay_when_a_trusted_archive_changes_at_its_place(server, tmp_path):
    path = download(archive(server, "good", sha256=None), tmp_path, trust_first=True)
    server.body = BODY[::-1]

    assert download(archive(server, "good", sha256=None), tmp_path, trust_first=True) == path
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("url", ["http://example.org/x.zip", "ftp://example.org/x", "file:///etc/passwd"])
def test_an_address_that_proves_nothing_is_refused_without_a_pinned_checksum(tmp_path, url):
    with pytest.raises(DownloadError):
        download(Archive(url, "x.zip"), tmp_path, trust_first=True)


@pytest.mark.parametrize("target", ["http://a.org/x", "file:///etc/passwd", "ftp://a.org/x"])
def test_a_redirect_away_from_https_is_refused(target):
    with pytest.raises(DownloadError, match="redirects"):
        next_url("https://a.org/start", target)
    assert next_url("https://a.org/start", "/x") == "https://a.org/x"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_real_https_server_that_redirects_to_http_is_refused(server, tmp_path, monkeypatch):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names_of = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, *names_of, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    assert download(archive(server, "good"), tmp_path / "a").read_bytes() == BODY
    with pytest.raises(DownloadError, match="not https"):
        download(archive(server, "downgrade"), tmp_path / "b", patience=QUICK)


def test_two_processes_do_not_write_one_part(server, tmp_path):
    import fcntl

    with (tmp_path / "x.zip.part").open("ab") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another process"):
            download(archive(server, "good"), tmp_path)
    assert download(archive(server, "good"), tmp_path).read_bytes() == BODY


def test_a_folder_that_cannot_be_made_is_one_of_our_errors(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(DownloadError, match="cannot write"):
        download(archive(server, "good"), tmp_path / "file" / "inner")


def test_a_file_system_that_takes_no_more_is_reported_with_its_free_space_and_the_next_run_resumes(server, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(BODY) // 2, hard))
    try:
        with pytest.raises(DownloadError, match=r"File too large; \d+ bytes free"):
            download(archive(server, "good"), tmp_path, patience=QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == ["x.zip.part"]
    assert download(archive(server, "good"), tmp_path).read_bytes() == BODY
    assert server.asked[-1][1] is not None


@pytest.mark.parametrize(
    "url", ["https://a.org/..", "https://a.org/%2e%2e/x%2Fy", "https://a.org/", "https://a.org/a b.zip?x=1"]
)
def test_a_url_gives_a_plain_file_name(url):
    named = archive_at(url)

    assert re.fullmatch(r"[0-9a-f]{8}-[A-Za-z0-9_.-]+", named.name)
    assert dataclasses.replace(named, name="") == Archive(url, "")


IMPATIENT = dataclasses.replace(QUICK, window=0.4, least_speed=20_000)


@pytest.mark.parametrize("habit", ["continuing", "trailing", "dripping"])
def test_a_server_that_goes_on_and_on_without_the_body_is_cut_off(server, tmp_path, habit):
    with pytest.raises(DownloadError, match=r"slower than 20,000 bytes a second.*--source"):
        download(archive(server, habit), tmp_path, patience=IMPATIENT)
    assert len(server.asked) <= QUICK.attempts


def test_headers_without_an_end_are_cut_off(server, tmp_path):
    with pytest.raises(DownloadError, match="--source"):
        download(archive(server, "heading"), tmp_path, patience=QUICK)


def test_the_body_of_a_redirect_is_not_read(server, tmp_path):
    assert download(archive(server, "redirectbody"), tmp_path, patience=QUICK).read_bytes() == BODY
    assert server.sent < 50_000_000  # what the system's buffers take, and no more


def test_all_attempts_together_end_when_their_time_is_over(server, tmp_path):
    patience = dataclasses.replace(QUICK, idle_attempts=1000, attempts=1000, overall=0.5, least_speed=0)

    with pytest.raises(DownloadError, match=r"it has not ended after 0\.5 s|answer in time|broke off"):
        download(archive(server, "dripping"), tmp_path, patience=patience)
    assert len(server.asked) < 5


@pytest.mark.parametrize("habit", ["nowhere", "port"])
def test_a_redirect_to_what_is_no_address_is_one_line(server, tmp_path, habit):
    with pytest.raises(DownloadError, match=f"{habit}.zip redirects to .*, which is no address"):
        download(archive(server, habit), tmp_path, patience=QUICK)


@pytest.mark.parametrize("habit", ["wordy", "astronomic"])
def test_a_length_that_is_no_number_is_passed_over_or_told_in_one_line(server, tmp_path, habit):
    try:
        assert download(archive(server, habit), tmp_path, patience=QUICK).read_bytes() == BODY
    except DownloadError as error:
        assert "--source" in str(error)  # noqa: PT017 (either is right)


def test_a_body_that_does_not_say_where_it_ends_is_not_trusted_without_a_checksum(server, tmp_path):
    with pytest.raises(DownloadError, match="does not announce its length and no checksum is known"):
        download(archive(server, "lengthless", sha256=None, bytes=None), tmp_path, patience=QUICK, trust_first=True)
    assert not (tmp_path / "x.zip").exists()
    assert not (tmp_path / "trust.toml").exists()


def test_the_rest_of_a_body_that_has_changed_is_not_put_behind_the_first_part(server, tmp_path):
    unpinned = archive(server, "changing", sha256=None)

    assert download(unpinned, tmp_path, trust_first=True, patience=QUICK).read_bytes() == BODY
    assert len(server.asked) == 2
