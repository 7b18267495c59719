"""The model that comes with the package, as a new user meets it: `featurestore predict --pretrained FILE`."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from command_line import ENVIRONMENT, featurestore

from featurestore.corpus.catalog import find_manifest
from featurestore.corpus.synthetic import demo_files
from featurestore.errors import SpecError
from models.prediction import load_members
from models.pretrained import FOLDER, model_card

SPOKEN = "wav/03a01Fa.wav"
"""A recording of Emo-DB: happiness."""
GOLDEN_SPOKEN = {
    "anger": 0.0062,
    "boredom": 0.0121,
    "disgust": 0.0320,
    "fear": 0.0109,
    "happiness": 0.8979,
    "neutral": 0.0247,
    "sadness": 0.0164,
}
GOLDEN_DEMO = {
    "anger": 0.0181,
    "boredom": 0.1194,
    "disgust": 0.2544,
    "fear": 0.1335,
    "happiness": 0.3572,
    "neutral": 0.0031,
    "sadness": 0.1145,
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder with a recording of Emo-DB and one of the demo corpus."""
    place = tmp_path_factory.mktemp("recordings")
    (place / "demo.wav").write_bytes(demo_files()["f1_s1_hap.wav"])
    return place


@pytest.fixture(scope="module")
def spoken(recordings, shared):
    with zipfile.ZipFile(shared / "data" / "emodb" / "download.zip") as archive:
        (recordings / "spoken.wav").write_bytes(archive.read(SPOKEN))
    return recordings / "spoken.wav"


def answers(*words):
    done = featurestore("predict", "--pretrained", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_labels_real_speech_at_once_as_it_always_has(spoken):
    (answer,) = answers(spoken)

    assert answer["label"] == "happiness"
    assert answer["outside"] == []
    assert answer["probabilities"] == pytest.approx(GOLDEN_SPOKEN, abs=1e-3)


def test_every_machine_gives_a_made_recording_the_same_probabilities(recordings):
    (answer,) = answers(recordings / "demo.wav")

    assert answer["probabilities"] == pytest.approx(GOLDEN_DEMO, abs=1e-3)


def test_windows_and_a_page_have_the_licence_and_a_caution(recordings, tmp_path):
    page = tmp_path / "page.html"
    done = featurestore("predict", "--pretrained", recordings / "demo.wav", "--window", 0.5, "--page", page)

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2
    for text in (done.stderr, page.read_text()):
        assert "CC BY 4.0" in text
        assert "Burkhardt" in text
        assert "do not judge people" in text
    assert str(FOLDER) not in page.read_text()


def test_folders_and_a_home_that_cannot_be_written_do(recordings, tmp_path):
    blocked = {**ENVIRONMENT, "HOME": "/proc", "XDG_CACHE_HOME": "/proc/none"}
    blocked.pop("FEATURESTORE_HOME", None)
    done = featurestore("predict", "--pretrained", recordings, "--json", environment=blocked, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert {one["file"] for one in json.loads(done.stdout)} == {str(file) for file in recordings.iterdir()}
    assert list(tmp_path.iterdir()) == []


def test_it_stands_in_the_place_of_a_run_and_not_beside_one(recordings):
    from featurestore import predict

    file = recordings / "demo.wav"
    for words, said in ((("--pretrained", FOLDER, file), "takes the place of a RUN"), ((file,), "--pretrained and")):
        refused = featurestore("predict", *words)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    with pytest.raises(SpecError, match="one of the two"):
        predict(FOLDER, file, pretrained=True)
    with pytest.raises(SpecError, match="one of the two"):
        predict(files=file)
    with pytest.raises(SpecError, match="nothing to label"):
        predict(pretrained=True)
    assert predict(FOLDER, file) == predict(files=file, pretrained=True)


def test_its_folder_is_small_and_holds_weights_and_text_alone():
    files = {file.name: file.read_bytes() for file in FOLDER.iterdir()}

    assert set(files) == {"card.toml", "config.json", "model.safetensors", "summary.json"}
    assert sum(map(len, files.values())) < 3_000_000
    text = "".join(data.decode() for name, data in files.items() if name != "model.safetensors")
    assert not re.search(r"/(home|root|tmp|work)\b|\.wav", text)


def test_the_card_agrees_with_the_run_and_the_corpus():
    card, (run,) = model_card(), load_members(FOLDER)
    emodb = find_manifest("emodb")

    assert (card.licence, card.licence_url) == (emodb.licence, emodb.licence_url)
    assert (run.config.made["licence"], run.config.made["citation"]) == (emodb.licence, emodb.citation)
    assert run.config.made["command"].startswith(card.command)
    assert (run.config.split, run.config.rows) == ("all", {"train": 535, "validation": 0, "test": 0})
    assert card.interval[0] < card.uar < card.interval[1]
