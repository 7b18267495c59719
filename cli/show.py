"""`featurestore show`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import completion
from cli.console import print_json, printable, say, terminal_width
from cli.options import json_option, store_option

if TYPE_CHECKING:
    from featurestore.pages.show import ShownCopy, ShownRecording
    from featurestore.store import Store

LINES = 14
"""Of a picture in a terminal."""
MARGIN = 9
"""Columns of its frequencies."""
SHADES = " .:-=+*#%@"
"""From soft to loud, where there are no colours."""


@click.command(epilog="Example: featurestore show demo f1_s1_hap.wav --copy 3")
@click.argument("dataset", shell_complete=completion.datasets)
@click.argument("utterance", required=False)
@click.option(
    "--copy",
    "copies",
    type=click.IntRange(1, 100_000),
    multiple=True,
    metavar="K",
    help="Also show augmented copy K, and what was done to it; repeatable.",
)
@click.option("--out", type=click.Path(dir_okay=False), help="Write a PNG file instead.")
@store_option
@json_option
def show(
    dataset: str, utterance: str | None, copies: tuple[int, ...], out: str | None, store: Store, as_json: bool
) -> None:
    """Draw UTTERANCE of DATASET, a path or a part of one, as a log-mel picture; louder is lighter.

    Without colours, as in a pipe, characters stand for levels.
    """
    from featurestore.pages.show import png
    from featurestore.pages.show import show as pictures_of

    shown = pictures_of(store.view(dataset), utterance, copies)
    if out:
        Path(out).write_bytes(png(shown))
    if as_json:
        print_json(_document(shown, out))
    elif out:
        click.echo(f"{printable(shown.path)} in {out}")
    else:
        _draw(shown)


def _document(shown: ShownRecording, out: str | None) -> dict[str, object]:
    copies = [{"copy": one.copy, "words": list(one.words), "seconds": round(one.seconds, 3)} for one in shown.copies]
    return {"path": shown.path, "label": shown.label, "speaker": shown.speaker, "copies": copies, "out": out}


def _draw(shown: ShownRecording) -> None:
    say(printable(f"{shown.path}: {shown.label}, speaker {shown.speaker}"))
    room = terminal_width() - MARGIN
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for one in shown.copies:
        say(printable(one.title))
        width = max(1, round(room * one.seconds / shown.seconds))
        (_draw_blocks if coloured else _draw_characters)(one, shown.levels, width)
        click.echo(f"{'0 s':>{MARGIN}}{f'{one.seconds:.2f} s':>{max(width - 1, 0)}}")


def _draw_blocks(one: ShownCopy, levels: tuple[float, float], width: int) -> None:
    """Draw two pixels in each character: the colour of its upper half block, and of its ground."""
    import numpy as np
    from rich.color import Color
    from rich.console import Console
    from rich.style import Style
    from rich.text import Text

    from featurestore.pages.pictures import LEVELS, PALETTE
    from featurestore.pages.show import hertz_marks, pixels

    shades = np.rint(pixels(one.picture, levels, width, 2 * LINES) * (LEVELS - 1)).astype(int)
    colours = np.frombuffer(PALETTE, np.uint8).reshape(LEVELS, 3)[shades]
    marks = {place // 2: text for place, text in hertz_marks(one.picture, 2 * LINES).items()}
    console = Console(width=MARGIN + width + 1, soft_wrap=True)
    for line in range(LINES):
        text = Text(f"{marks.get(line, ''):>{MARGIN - 1}} ")
        for above, below in zip(colours[2 * line].tolist(), colours[2 * line + 1].tolist(), strict=True):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            text.append("▀", style)
        console.print(text)


def _draw_characters(one: ShownCopy, levels: tuple[float, float], width: int) -> None:
    from featurestore.pages.show import hertz_marks, pixels

    marks = hertz_marks(one.picture, LINES)
    for line, values in enumerate(pixels(one.picture, levels, width, LINES).tolist()):
        drawn = "".join(SHADES[round(value * (len(SHADES) - 1))] for value in values)
        click.echo(f"{marks.get(line, ''):>{MARGIN - 1}} {drawn}".rstrip())
