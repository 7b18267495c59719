"""The list of corpora: readable on a terminal of 80 columns, complete as JSON and as a page."""

import json

import pytest
from click.testing import CliRunner

from cli.main import featurestore
from featurestore.corpus import find_manifest, manifest_names
from featurestore.corpus.catalog_page import catalogue_page


def run(*arguments, columns=None):
    result = CliRunner(env={"COLUMNS": columns}).invoke(featurestore, ["corpora", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_list_names_twenty_five_corpora_or_more_in_eighty_columns():
    header, *lines = run(columns="80").splitlines()

    assert header.split() == ["corpus", "files", "rate", "classes", "speakers", "fetch", "licence"]
    assert [line.split()[0] for line in lines] == list(manifest_names())
    assert len(lines) >= 25
    assert max(map(len, [header, *lines])) <= 80
    assert next(line for line in lines if line.startswith("cremad")).endswith("ODbL 1.0 and …")


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("cremad", ["7442", "16000", "6", "91", "no", "ODbL", "1.0", "and", "DbCL", "1.0"]),
        ("subesco", ["7000", "-", "7", "20", "yes", "CC", "BY", "4.0"]),
        ("mesd", ["862", "48000", "6", "-", "no", "CC", "BY", "4.0"]),
        ("demo", ["120", "16000", "4", "6", "made", "CC0", "1.0"]),
    ],
)
def test_a_line_tells_files_rate_classes_speakers_download_and_licence(name, rest):
    line = next(line for line in run().splitlines() if line.split()[0] == name)

    assert line.split()[1:] == rest


def test_json_has_the_whole_licence_and_null_for_what_is_not_known():
    rows = {row["corpus"]: row for row in json.loads(run("--json"))}

    assert rows["cremad"]["licence"] == "ODbL 1.0 and DbCL 1.0"
    assert rows["subesco"]["rate"] is None
    assert (rows["savee"]["downloadable"], rows["ravdess"]["downloadable"]) == (False, True)


def test_the_page_is_printed_as_it_is_committed():
    assert run("--markdown") == catalogue_page(find_manifest(name) for name in manifest_names())
