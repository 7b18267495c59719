"""`--quiet`, `--verbose` and `--log`: progress goes where it is asked to go, and results stay where they are."""

import io
import re
import shutil
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, featurestore
from tiny_corpus import write_corpus

from cli.progress import DatedLines, _Several
from cli.terminal import CountProgress
from featurestore.corpus.corpus_spec import find_corpus_spec
from featurestore.store import open_store
from pipelines.experiments import Silent
from pipelines.ingest.fetch import Fetcher, silent
from pipelines.ingest.ingest import ingest_spec

DATED = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder of tones and its manifest beside it."""
    return write_corpus(tmp_path_factory.mktemp("progress") / "tiny", range(1, 7))


def build(corpus, store, *words):
    result = featurestore("build", corpus.with_suffix(".toml"), "--source", corpus, "--jobs", 1, *words, store=store)
    assert result.returncode == 0, result.stderr
    return result


def test_a_quiet_build_prints_its_result_alone(corpus, tmp_path):
    result = build(corpus, tmp_path / "store", "--quiet")

    assert result.stderr == ""
    assert "6 clean" in result.stdout


def test_a_log_gets_dated_lines_and_is_appended_to(corpus, tmp_path):
    log = tmp_path / "log"

    first = build(corpus, tmp_path / "store", "--log", log)
    lines = log.read_text(encoding="utf-8").splitlines()
    build(corpus, tmp_path / "store", "--augment", 1, "--quiet", "--log", log)

    assert "6 rows to write" in first.stderr
    assert not DATED.search(first.stderr)
    assert all(DATED.match(line) for line in lines)
    assert lines[-1].endswith("tiny: 6 of 6 rows written")
    assert log.read_text(encoding="utf-8").splitlines()[: len(lines)] == lines
    assert log.read_text(encoding="utf-8").splitlines()[-1].endswith("tiny: 6 of 6 rows written")


def test_a_verbose_build_prints_the_lines_of_a_log(corpus, tmp_path):
    result = build(corpus, tmp_path / "store", "--verbose")

    assert all(DATED.match(line) for line in result.stderr.splitlines())
    assert "tiny: 6 of 6 rows written" in result.stderr


def test_quiet_and_verbose_are_wrong_usage(tmp_path):
    result = featurestore("build", "demo", "--quiet", "--verbose", store=tmp_path)

    assert result.returncode == 2
    assert "exclude each other" in result.stderr


def test_a_log_that_cannot_be_written_is_wrong_usage(tmp_path):
    result = featurestore("build", "demo", "--log", tmp_path / "none" / "log", store=tmp_path / "store")

    assert result.returncode == 2
    assert not (tmp_path / "store").exists()


def test_a_training_and_a_download_are_dated_lines_too():
    stream = io.StringIO()
    side = {"loss": 0.5, "accuracy": 0.25, "uar": None}

    listener = _Several(Silent(), DatedLines(stream))
    training = listener.training("run")
    training.stage("evaluating")
    training.epoch({"epoch": 1, "train": side, "validation": side, "learning_rate": 0.001})
    download = listener.download()
    for done in range(101):
        download(done * 1000, 100_000)

    lines = [DATED.sub("", line) for line in stream.getvalue().splitlines()]
    assert lines[0] == "run: evaluating"
    assert lines[1].startswith("run: epoch 1: training loss 0.500, accuracy 0.250; validation accuracy 0.250, UAR -")
    assert lines[2] == "downloaded 0 B of 100.0 kB"
    assert len(lines) == 2 + 11
    reading = listener.reading("emodb")
    for done in range(1, 536):
        reading(done, 535)
    assert DATED.sub("", stream.getvalue().splitlines()[-1]) == "emodb: read 535 of 535 files"
    assert len(stream.getvalue().splitlines()) == 2 + 11 + 11


def test_what_is_counted_has_a_rate_and_the_time_that_is_left():
    clock = iter(range(100))
    progress = CountProgress("checked", "objects", now=lambda: next(clock))

    progress(1, 500)
    assert progress.line(1, 500, 2) == "checked 1 of 500 objects (0%)"
    assert progress.line(101, 500, 11) == "checked 101 of 500 objects (20%), 10/s, 40 s left"
    assert progress.line(2, 500, 101) == "checked 2 of 500 objects (0%), 0.01/s, 13.8 h left"
    assert progress.line(101, None, 11) == "checked 101 objects, 10/s"
    assert CountProgress("copied", now=lambda: next(clock)).line(0, 3_000_000, 60) == "copied 0 B of 3.0 MB (0%)"


def test_a_pipe_gets_a_dated_line_every_ten_seconds(capsys):
    clock = iter(range(0, 1000, 3))
    progress = CountProgress("checked", "objects", now=lambda: next(clock))

    for done in range(1, 9):
        progress(done, 8)

    lines = capsys.readouterr().err.splitlines()
    assert [DATED.sub("", line).split(" (")[0] for line in lines] == [
        "checked 4 of 8 objects", "checked 8 of 8 objects"
    ]  # fmt: skip
    assert all(DATED.match(line) for line in lines)


def test_without_a_width_progress_is_dated_lines(corpus, tmp_path, monkeypatch):
    monkeypatch.delitem(ENVIRONMENT, "COLUMNS")

    result = build(corpus, tmp_path / "store")

    assert all(DATED.match(line) for line in result.stderr.splitlines())
    assert "tiny: read 6 of 6 files" in result.stderr
    assert "tiny: 6 of 6 rows written" in result.stderr


def test_hashing_a_large_archive_is_told_and_a_small_one_is_not():
    stream = io.StringIO()

    for total in (10**6, 4 * 10**9):
        told = DatedLines(stream).hashing("iemocap")
        for done in range(0, total + 1, total // 40):
            told(done, total)

    lines = [DATED.sub("", line) for line in stream.getvalue().splitlines()]
    assert lines[1] == "iemocap: hashed 400.0 MB of 4.0 GB"
    assert len(lines) == 11


def test_whoever_listens_is_told_all_bytes_of_an_archive(corpus, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "tiny"), "zip", corpus)
    told = []
    fetcher = Fetcher(told.append, silent, hashing=lambda name: lambda *bytes_: told.append((name, *bytes_)))
    spec = find_corpus_spec(str(corpus.with_suffix(".toml")))

    ingest_spec(open_store(tmp_path / "store"), spec, archive, fetcher)

    size = Path(archive).stat().st_size
    assert told == [("tiny", size, size)]
