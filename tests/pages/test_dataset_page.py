"""The page of a dataset: complete, in one file, honest about licences, with sounds as they were computed."""

import base64
import dataclasses
import html
import io
import re

import numpy as np
import pytest
import soundfile
from browser import opened
from tiny_corpus import build_here, recipe, write_corpus

import featurestore
from featurestore.pages.examples import chosen_paths, in_words
from featurestore.pages.pictures import COLOURS, LEVELS, PALETTE
from featurestore.specs.augmentation import Perturbation
from featurestore.specs.presets import feature_preset, override, policy
from featurestore.store import open_store
from pipelines.build_options import build_options
from pipelines.dataset_page import dataset_page
from pipelines.experiments.listener import Silent

COPIES = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    place = tmp_path_factory.mktemp("tones")
    built = open_store(place / "store")
    build_here(built, write_corpus(place / "tones", range(1, 13)), recipe(COPIES, mels=16))
    build_here(built, place / "tones", recipe(1, mels=16), name="fewer")
    return built


def with_licence(store, licence, citation="A. Author"):
    """Give the rows of the dataset another table, and return its name."""
    reference = store.reference("tiny")
    table = dataclasses.replace(store.table(reference.table), licence=licence, citation=citation)
    return store.publish(store.dataset(reference.dataset), table, "licensed").name


def test_a_page_has_its_card_counts_and_splits(store):
    text = html.unescape(dataset_page(store, "tiny", shown=0))
    view = store.view("tiny")

    for words in (view.digest, "CC0", "48 rows: 12 recordings and 36 augmented copies", "mels = 16", "low_hz = 0.0",
                  "semitones = probability 0.5, uniform -2.0 to 2.0, per row", "loso", "3 folds: train 4, validation 4",
                  "shared: 3 speakers (a, b, c)", "fewer"):  # fmt: skip
        assert words in text, words
    assert "featurestore build tiny --augment 3 --set features.mels=16" in text


def test_sounds_are_the_signals_of_the_rows_to_16_bits(store):
    view = store.view("tiny")
    text = dataset_page(store, "tiny", shown=2)
    sounds = re.findall(r'src="data:audio/flac;base64,([^"]+)"', text)
    path = chosen_paths(view, 2)[0]
    rows = [row for row, one in enumerate(view.paths) if one == path]

    assert len(sounds) == 2 * (1 + COPIES)
    for row, sound in zip(rows, sounds, strict=False):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)))
        signal = view.waveform(row)
        assert rate == 16_000
        assert np.abs(samples * 32_768 / 32_767 - signal / max(1, np.abs(signal).max())).max() < 2**-15


def test_examples_come_from_all_classes_in_turn(store):
    view = store.view("tiny")
    paths = chosen_paths(view, 5)
    labels = dict(zip(view.paths, view.labels.tolist(), strict=True))

    assert len(set(paths)) == 5
    assert [labels[path] for path in paths] == ["down", "up", "down", "up", "down"]
    assert len(chosen_paths(view, 1000)) == 12


@pytest.mark.parametrize("licence", ["research only", "EULA, on request", "CC BY-ND 4.0"])
def test_a_licence_that_forbids_copies_keeps_sounds_out_unless_asked(store, licence):
    name = with_licence(store, licence)

    assert "<audio" not in dataset_page(store, name, shown=1)
    assert f"the licence ({licence}) does not let recordings be passed on" in dataset_page(store, name, shown=1)
    asked = dataset_page(store, name, shown=1, audio=True)
    assert "<audio" in asked
    assert "keep this page to yourself" in asked


def test_without_audio_the_pictures_stay(store):
    text = dataset_page(store, "tiny", shown=1, audio=False)

    assert "<audio" not in text
    assert text.count("data:image/png") == 1 + COPIES
    assert "Sounds were left out." in text


def test_text_from_a_corpus_is_escaped_and_nothing_is_loaded(store):
    nasty = "<script>alert(1)</script>"
    text = dataset_page(store, with_licence(store, nasty, citation=nasty), shown=1)

    assert nasty not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)""", text) == []


def test_quality_is_measured_when_asked(store):
    assert "were not measured: --quality does" in dataset_page(store, "tiny", shown=0)
    assert "12 recordings were decoded and measured" in dataset_page(store, "tiny", shown=0, quality=True, jobs=1)


def test_pictures_have_the_colours_that_matplotlib_has_under_this_name():
    from matplotlib import colormaps

    ours = np.frombuffer(PALETTE, np.uint8).reshape(LEVELS, 3)

    assert np.array_equal(ours, np.rint(255 * colormaps[COLOURS](np.linspace(0, 1, LEVELS))[:, :3]))


def test_what_was_drawn_is_said_in_words():
    drawn = Perturbation(semitones=1.25, shift_seconds=-0.1, snr_db=12.0, own=(None, 7))

    assert in_words(drawn, ["mine:first", "mine:second"]) == (
        "pitch +1.25 semitones", "shifted by -0.100 s", "white noise at 12.0 dB SNR", "mine:second",
    )  # fmt: skip
    assert in_words(Perturbation()) == ("nothing was drawn for it",)


@pytest.mark.parametrize(
    "settings",
    [(), ("mels=40", "high_hz=7000", "dtype=float32"), ("snr_db=-5,20", "semitones.probability=0.3", "policy.seed=4"),
     ("semitones=none", "gain_db=2", "shift_fill=circular"), ("trim_db=30", "seconds=2")],
)  # fmt: skip
def test_the_command_on_the_page_gives_the_same_specs(settings):
    for preset in ("mathworks", "logmel"):
        wanted = override(feature_preset(preset), policy("mathworks"), settings)
        words = build_options(*wanted)
        options = dict(zip(words[::2], words[1::2], strict=True))
        changes = [value for name, value in zip(words[::2], words[1::2], strict=True) if name == "--set"]
        near, named = options.get("--features", "mathworks"), options.get("--policy", "mathworks")

        assert override(feature_preset(near), policy(named), changes) == wanted


def test_the_function_states_the_size_before_it_writes(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []

    class Told(Silent):
        def notice(self, text):
            told.append((text, list(tmp_path.iterdir())))

    found = featurestore.report("tiny", examples=1, store=store, listener=Told())

    assert found == {"path": "tiny.html", "bytes": (tmp_path / "tiny.html").stat().st_size}
    assert told == [(f"tiny.html: {found['bytes'] / 1e6:.1f} MB, 1 examples", [])]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_chooses_a_recording_by_keyboard(store, tmp_path, scheme):
    path = tmp_path / "tiny.html"
    path.write_text(dataset_page(store, "tiny", shown=3))

    with opened(path, viewport={"width": 390, "height": 800}, color_scheme=scheme) as page:
        assert page.locator(".example:visible").count() == 1
        assert page.locator(".example:visible audio").count() == 1 + COPIES
        first = page.locator(".example:visible h3").inner_text()
        page.get_by_label("next recording").focus()
        page.keyboard.press("Enter")
        assert page.locator(".example:visible h3").inner_text() != first
        player = "document.querySelector('.example:not([hidden]) audio')"
        assert page.evaluate(f"{player}.play().then(() => {player}.duration)") > 0.1
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
