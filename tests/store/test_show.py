"""`featurestore show`: a recording and its copies as pictures, in a terminal, in a pipe and as a PNG file."""

import io
import json

import numpy as np
import pytest
from command_line import error_line, featurestore
from tiny_corpus import build_here, file_name, recipe, write_corpus

from featurestore.errors import SpecError, UnknownNameError
from featurestore.pages.pictures import MelPicture
from featurestore.pages.show import pixels, png, show
from featurestore.store import open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with tones of 210 to 240 Hz and three copies of each."""
    folder = tmp_path_factory.mktemp("show")
    store = open_store(folder / "store")
    build_here(store, write_corpus(folder / "tiny", range(1, 5)), recipe(3, mels=40))
    return store


def test_a_picture_holds_the_row_and_the_drawn_parameters_in_words(store):
    view = store.view("tiny")

    shown = show(view, file_name(2), copies=(3, 1))

    assert (shown.path, shown.label, shown.speaker) == (file_name(2), "up", "c")
    assert [one.copy for one in shown.copies] == [0, 1, 3]
    row = view.paths.index(shown.path)
    decibels = np.asarray(view[row][0], np.float64) * (10 / np.log(10))
    np.testing.assert_array_equal(shown.copies[0].picture.levels, decibels)
    assert shown.copies[0].words == ()
    assert shown.copies[1].words != shown.copies[2].words
    assert any(word in shown.copies[1].title for word in ("semitones", "dB", "ms", "s"))


def test_a_part_of_a_path_is_enough_if_no_other_path_has_it(store):
    view = store.view("tiny")

    assert show(view, "_4.wav").path == file_name(4)
    assert show(view).path == min(view.paths)
    with pytest.raises(SpecError, match="part of 4 paths"):
        show(view, ".wav")
    with pytest.raises(UnknownNameError):
        show(view, "a_down_9.wav")
    with pytest.raises(SpecError, match=r"has no copy 4 of .* it has 3"):
        show(view, file_name(1), copies=(4,))


def test_pixels_are_means_with_high_bands_first():
    picture = MelPicture(np.arange(12.0).reshape(4, 3), 0.0, 0.01, np.array([100.0, 200.0, 300.0]))

    np.testing.assert_allclose(pixels(picture, (0.0, 11.0), 2, 3) * 11, [[3.5, 9.5], [2.5, 8.5], [1.5, 7.5]])
    assert pixels(picture, (0.0, 11.0), 9, 7).shape == (7, 9)
    assert pixels(picture, (0.0, 11.0), 1, 1) * 11 == pytest.approx(5.5)


def test_a_tone_is_brightest_where_its_frequency_is_marked(store):
    shown = show(store.view("tiny"), file_name(1))
    picture = shown.copies[0].picture

    brightest = picture.hertz[np.argmax(picture.levels.mean(0))]

    assert abs(brightest - 210) < 60


def test_in_a_pipe_it_is_characters_of_eighty_columns_and_no_colours(store):
    result = featurestore("show", "tiny", file_name(1), "--copy", 2, store=store.uri)

    lines = result.stdout.splitlines()
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert max(map(len, lines)) <= 80
    assert any(" 250 Hz %%%" in line for line in lines)
    assert any(line.startswith("copy 2: ") for line in lines)
    assert any("Hz" in line for line in lines)


def test_a_png_file_has_a_panel_for_each_copy(store, tmp_path):
    from PIL import Image

    file = tmp_path / "one.png"
    asked = featurestore("show", "tiny", file_name(1), "--copy", 1, "--out", file, "--json", store=store.uri)
    alone = Image.open(io.BytesIO(png(show(store.view("tiny"), file_name(1)))))
    both = Image.open(io.BytesIO(file.read_bytes()))

    assert [one["copy"] for one in json.loads(asked.stdout)["copies"]] == [0, 1]
    assert (both.format, both.size) == ("PNG", (alone.width, 2 * alone.height))


def test_an_utterance_that_is_none_is_one_line(store):
    assert "did you mean" in error_line(featurestore("show", "tiny", "b_up_1.wav", store=store.uri))
