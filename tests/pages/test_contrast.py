"""Colours of the pages: text and the cells of a confusion matrix can be read in both schemes and on paper.

Ratios as in WCAG 2.2, success criteria 1.4.3 (text: 4.5) and 1.4.11 (graphics: 3), of the style's own colours.
"""

import re
from importlib import resources

import pytest

from models.reports.plots import TRAIN, VALIDATION

STYLE = (resources.files("featurestore.pages") / "templates" / "style.css").read_text(encoding="utf-8")
ROOTS = [dict(re.findall(r"--([\w-]+): ([^;]+);", block)) for block in re.findall(r":root \{([^}]*)\}", STYLE)]
SCHEMES = {"light": ROOTS[0], "dark": ROOTS[1], "print": ROOTS[2]}
TEXT, GRAPHICS = 4.5, 3.0


def channels(colour):
    digits = colour.removeprefix("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    return [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]


def luminance(values):
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def cell(colours, share):
    """What `color-mix(in srgb, blue share*most, paper)` is."""
    weight = share * float(colours["most"].removesuffix("%")) / 100
    return [
        weight * a + (1 - weight) * b
        for a, b in zip(channels(colours["blue"]), channels(colours["paper"]), strict=True)
    ]


def test_black_on_white_has_the_ratio_of_the_standard():
    assert contrast(channels("#000"), channels("#fff")) == pytest.approx(21)
    assert contrast(channels("#777"), channels("#fff")) == pytest.approx(4.48, abs=0.005)


def test_the_style_has_a_palette_for_screens_and_paper():
    assert len(ROOTS) == 3
    assert all({"paper", "ink", "soft", "fill", "blue", "red", "green", "most"} <= one.keys() for one in ROOTS)
    assert "color-mix(in srgb, var(--blue) calc(var(--share) * var(--most)), var(--paper))" in STYLE


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", ["paper", "fill"])
@pytest.mark.parametrize("ink", ["ink", "soft", "blue", "red", "green"])
def test_text_can_be_read(scheme, ground, ink):
    colours = SCHEMES[scheme]

    assert contrast(channels(colours[ink]), channels(colours[ground])) >= TEXT


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_number_in_a_cell_of_any_share_can_be_read(scheme):
    colours = SCHEMES[scheme]

    worst = min(contrast(channels(colours["ink"]), cell(colours, share / 100)) for share in range(101))
    assert worst >= TEXT


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("colour", [TRAIN, VALIDATION, "blue", "soft"])
def test_curves_and_bars_can_be_seen(scheme, colour):
    colours = SCHEMES[scheme]

    assert contrast(channels(colours.get(colour, colour)), channels(colours["paper"])) >= GRAPHICS
