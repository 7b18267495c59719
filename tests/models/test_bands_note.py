"""Features of another width than a network was published for."""

import pytest

from models.registry import MODELS, bands_note


@pytest.mark.parametrize("name", list(MODELS))
def test_a_network_has_nothing_to_say_about_the_bands_that_it_was_published_for(name):
    card = MODELS[name]

    assert [bands_note(name, bands) for bands in (card.bands, *card.other_bands)] == [""] * (1 + len(card.other_bands))


def test_a_network_tells_which_bands_it_was_published_for():
    assert bands_note("keren-clstm", 25) == ""
    assert bands_note("keren-clstm", 128).startswith("keren-clstm was published for 26 or 25 bands; with 128 ")
    assert "513 bands; with 128" in bands_note("etienne-cnn-blstm", 128)
