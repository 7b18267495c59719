"""The pages of the demo corpus as pictures, on a screen in both schemes, on a phone and on paper, and its terminal.

    python benchmarks/screenshots.py                 # builds, trains and reports in a temporary folder
    python benchmarks/screenshots.py --pages FOLDER  # draws the pages of a folder: dataset.html, terminal.html, ...

docs/pages.md shows them.

It needs `pip install 'featurestore[browser]'` and Chromium; where one is missing it says so and does nothing. The demo
corpus is synthesised, so pictures of it can be passed on.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
LARGEST = 250_000
"""Bytes of a picture."""
DESKTOP, PHONE, PAPER = {"width": 1080, "height": 1200}, {"width": 390, "height": 844}, {"width": 680, "height": 1009}
MARGIN = 57
"""Pixels of paper around what is printed, as in the style of the pages."""
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
    "print": {"viewport": PAPER, "color_scheme": "light"},
}
"""What the browser is told for each picture; paper is A4 at 96 dots an inch, without its margins."""
SHOTS = (
    ("dataset", "light", ""),
    ("dataset", "dark", "#examples"),
    ("dataset", "phone", "#examples"),
    ("dataset", "print", ""),
    ("run", "light", ""),
    ("run", "dark", "h3"),
    ("run", "phone", "h3"),
    ("run", "print", "#making"),
    ("folds", "light", ""),
    ("folds", "phone", ""),
    ("comparison", "dark", ""),
    ("comparison", "phone", ""),
    ("terminal", "dark", ""),
)
"""Page, view, and the element that a picture begins with; its top if there is none."""
TYPED = (
    "featurestore ls",
    "featurestore show demo f1_s1_hap --copy 2",
    "featurestore splits demo --split loso",
    "featurestore compare baseline-svm-linear baseline-logistic",
)
"""What the picture of a terminal shows."""
CLICKED = {("run", "dark"): ".matrix button:not([disabled])"}
"""What is clicked before a picture is taken."""


def reason_not_to() -> str:
    """Return what is missing, or nothing."""
    try:
        import playwright.sync_api  # noqa: F401
    except ModuleNotFoundError:
        return "playwright is not installed: pip install 'featurestore[browser]'"
    return "" if any(map(shutil.which, CHROMIUM)) else f"there is no {', '.join(CHROMIUM)}"


def write_pages(folder: Path) -> None:
    """Build, train and report the demo corpus with the commands that anybody would use."""

    def featurestore(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "cli", *words], cwd=folder, env=environment, check=True)

    tree = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": tree, "FEATURESTORE_HOME": str(folder / "store")}
    featurestore("build", "demo", "--augment", "4")
    featurestore("train", "--recipe", "demo", "--run", "demo-run")
    featurestore("report", "demo", "--examples", "4", "--out", "dataset.html")
    featurestore("report", "demo-run", "--out", "run.html")
    baselines = [f"baseline-{name}" for name in ("svm-linear", "svm-rbf", "logistic")]
    for run in baselines:
        model = run.removeprefix("baseline-")
        featurestore("baseline", "demo", "--split", "loso", "--model", model, "--run", run)
    featurestore("report", baselines[0], "--out", "folds.html")
    featurestore("compare", *baselines, "--page", "comparison.html")
    (folder / "terminal.html").write_text(terminal(folder, environment), encoding="utf-8")


def terminal(folder: Path, environment: dict[str, str]) -> str:
    """Return a page with what commands print on a terminal of 80 columns."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for command in TYPED:
        console.print(Text(f"$ {command}", style="bold"))
        words = [sys.executable, "-m", "cli", *command.split()[1:]]
        console.print(Text.from_ansi(on_a_terminal(words, folder, environment)), end="\n\n")
    return console.export_html(theme=MONOKAI, inline_styles=True)


def on_a_terminal(words: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Return what a command writes to a terminal of 80 columns."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (50, 80))
    environment = {**environment, "COLUMNS": "80", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with subprocess.Popen(words, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its) as command:
        os.close(its)
        written = bytearray()
        with suppress(OSError):  # what reading meets at the end of a terminal
            while part := os.read(ours, 2**16):
                written += part
    os.close(ours)
    if command.returncode:
        sys.exit(f"{' '.join(words)}: exit code {command.returncode}: {written.decode()}")
    return written.decode().replace("\r\n", "\n").rstrip()


def pictures(pages: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the PNG of every picture."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUM)))
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        for page, view, place in SHOTS:
            tab = browser.new_page(**VIEWS[view])
            tab.goto((pages / f"{page}.html").resolve().as_uri())
            if view == "print":
                tab.emulate_media(media="print")
            if (page, view) in CLICKED:
                tab.locator(CLICKED[page, view]).first.click()
                tab.evaluate("scrollTo(0, 0)")
            top = tab.locator(place).first.bounding_box()["y"] - 16 if place else 0
            height, margin = VIEWS[view]["viewport"]["height"], MARGIN if view == "print" else 0
            yield f"{page}-{view}.png", cropped(tab.screenshot(full_page=True), top, height, margin)
            tab.close()
        browser.close()


def cropped(png: bytes, top: float, height: int, margin: int = 0) -> bytes:
    """Return the part of a picture that begins at `top`, with a white margin around it."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    top = max(0, round(top))
    file = io.BytesIO()
    part = image.crop((0, top, image.width, min(image.height, top + height)))
    ImageOps.expand(part, margin, "white").save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, help="folder with the pages; default: made anew")
    parser.add_argument("--out", type=Path, default=PICTURES)
    options = parser.parse_args()
    if missing := reason_not_to():
        print(f"no pictures were drawn: {missing}")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pages = options.pages or Path(folder)
        if options.pages is None:
            write_pages(pages)
        for name, png in pictures(pages):
            if len(png) > LARGEST:
                sys.exit(f"{name} has {len(png):,} bytes, more than {LARGEST:,}: draw less of the page.")
            (options.out / name).write_bytes(png)
            print(f"{options.out / name}: {len(png) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
