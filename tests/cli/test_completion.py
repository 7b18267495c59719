"""What the shell completes, asked as bash asks."""

import pytest
from command_line import ENVIRONMENT, featurestore
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.store import open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with one dataset, called tiny."""
    folder = tmp_path_factory.mktemp("completion")
    store = open_store(folder / "store")
    build_here(store, write_corpus(folder / "tiny", range(1, 4)), recipe(0))
    return store.uri


def completed(monkeypatch, store, line):
    """Return what the last word of a line can become."""
    words = line.split(" ")
    monkeypatch.setitem(ENVIRONMENT, "_FEATURESTORE_COMPLETE", "bash_complete")
    monkeypatch.setitem(ENVIRONMENT, "COMP_WORDS", line)
    monkeypatch.setitem(ENVIRONMENT, "COMP_CWORD", str(len(words) - 1))
    result = featurestore(store=store)
    assert result.returncode == 0, result.stderr
    return [text.partition(",")[2] for text in result.stdout.splitlines() if text]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("featurestore bui", ["build"]),
        ("featurestore info t", ["tiny"]),
        ("featurestore show ", ["tiny"]),
        ("featurestore build emod", ["emodb", "emodb2"]),
        ("featurestore build demo --policy vtlp-", ["vtlp-copy", "vtlp-eleven"]),
        ("featurestore build demo --features etie", ["etienne"]),
        ("featurestore train --recipe mat", ["mathworks"]),
        ("featurestore train --model keren-b", ["keren-baseline"]),
        ("featurestore corpora show emod", ["emodb", "emodb2"]),
        ("featurestore splits ti", ["tiny"]),
        ("featurestore splits emodb --split emodb/l", ["emodb/loso"]),
        ("featurestore report t", ["tiny"]),
    ],
)
def test_names_are_completed(monkeypatch, store, line, expected):
    assert completed(monkeypatch, store, line) == expected


def test_where_no_name_fits_the_shell_completes_files(monkeypatch, store):
    for command in ("report", "compare"):
        assert completed(monkeypatch, store, f"featurestore {command} runs/") == ["runs/"]


def test_a_place_that_is_no_store_completes_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")

    assert completed(monkeypatch, tmp_path / "file", "featurestore info ") == []
