"""The pictures of docs/pages.md and docs/results.md: all referred to, and drawn by the scripts that say so."""

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the documentation is not installed")
def test_every_picture_is_shown_and_small():
    text = (ROOT / "docs" / "pages.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\(pictures/([^)]+)\)", text)
    script = (ROOT / "benchmarks" / "screenshots.py").read_text(encoding="utf-8")
    drawn = [
        f"{page}-{view}.png"
        for page, view in re.findall(r'\("(dataset|run|folds|comparison|terminal)", "(\w+)", ', script)
    ]

    assert sorted(shown) == sorted(drawn) == sorted(path.name for path in PICTURES.glob("*.png"))
    for path in PICTURES.glob("*.png"):
        assert path.stat().st_size < 250_000
        with Image.open(path) as picture:
            assert picture.format == "PNG"


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the documentation is not installed")
def test_every_picture_of_results_is_shown_and_there_as_png_too():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\(pictures/results/([^)]+)\.svg\)", text)

    assert shown
    assert sorted(path.name for path in (PICTURES / "results").iterdir()) == sorted(
        f"{name}.{form}" for name in shown for form in ("png", "svg")
    )
