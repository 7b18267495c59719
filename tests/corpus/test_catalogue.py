"""The page of all corpora is what the manifests say, and the committed one is current."""

from pathlib import Path

import pytest

from featurestore.corpus import find_manifest, manifest_names, read_manifest
from featurestore.corpus.catalog_page import COLUMNS, catalogue_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "corpora.md"


@pytest.fixture(scope="module")
def page():
    return catalogue_page(find_manifest(name) for name in manifest_names())


def section(page, name):
    return page.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_committed_page_is_current(page):
    assert PAGE.read_text(encoding="utf-8") == page, "run: featurestore corpora --markdown > docs/corpora.md"


def test_every_corpus_has_a_line_in_the_table_and_a_section(page):
    table = [line for line in page.splitlines() if line.startswith("| [")]

    assert [line.split("](#")[0][3:] for line in table] == list(manifest_names())
    assert all(page.count(f"\n## {name}\n") == 1 for name in manifest_names())


def test_every_line_of_the_table_has_a_cell_for_each_column(page):
    table = [line for line in page.splitlines() if line.startswith("|")]

    assert {line.replace("\\|", "").count("|") for line in table} == {len(COLUMNS) + 1}


def test_a_section_tells_licence_citation_codes_counts_speakers_and_what_is_known_to_be_bad(page):
    said = " ".join(section(page, "cremad").split())

    assert "Licence: ODbL 1.0 and DbCL 1.0 (<https://opendatacommons.org/licenses/odbl/1-0/>)" in said
    assert "Citation: H. Cao, D. G. Cooper" in said
    assert "anger `ANG` 1,271" in said
    assert "Speakers (`speaker`): 91, 43 female, 48 male, 20 to 74 years old" in said
    assert "Known bad: `1076_MTI_SAD_XX`, silent" in said


def test_a_corpus_without_speakers_says_so_and_one_of_tables_names_them(page):
    assert "Speakers: unknown" in section(page, "mesd")
    assert "Read beside the audio: `samples.csv`" in section(page, "emozionalmente")


@pytest.mark.parametrize(
    ("name", "pin"),
    [("subesco", "sha256"), ("ravdess", "md5"), ("cafe", "first"), ("savee", "-"), ("demo", "made here")],
)
def test_the_table_says_what_a_download_is_held_to(page, name, pin):
    line = next(line for line in page.splitlines() if line.startswith(f"| [{name}]"))

    assert line.endswith(f"| {pin} |")


def test_words_of_a_manifest_cannot_break_the_table(tmp_path):
    manifest = tmp_path / "odd.toml"
    manifest.write_text(
        'name = "odd"\ntitle = "A | B <b>"\nlicence = "a | b"\n[labels]\n'
        'pattern = \'(?P<mood>[a-z]+)\\.wav\'\ntarget = "mood"\nspeaker = ""\n'
    )

    page = catalogue_page([read_manifest(manifest)])

    assert "a \\| b" in page
    assert "<b>" not in page
