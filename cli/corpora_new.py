"""`featurestore corpora new`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import file_limit_options, json_option
from cli.output import print_json, printable
from cli.wrapping import say, say_command, say_resemblance

if TYPE_CHECKING:
    from featurestore.corpus.proposal.propose import Proposal
    from featurestore.corpus.reading.unpack import Limits


@click.command(epilog="Example: featurestore corpora new recordings/ --out my_corpus.toml")
@click.argument("folder", metavar="FOLDER|ARCHIVE")
@click.option("--out", "out", metavar="FILE.toml", help="Write the sheet to this file. Default: standard output.")
@file_limit_options
@json_option
def new(folder: str, out: str | None, as_json: bool, limits: Limits) -> None:
    """Propose a data sheet for a FOLDER or archive of audio, from the names of its files and the tables beside them."""
    from featurestore.corpus.formats import FORMATS, recognised_format
    from featurestore.errors import SourceError

    if not Path(folder).exists():
        raise SourceError(f"{folder!r:.200} does not exist. Name a folder or an archive of audio.")
    known = recognised_format(folder)
    if known is not None and known != "huggingface":
        raise SourceError(
            f"{folder!r:.200} is in a format that is read as it is: {FORMATS[known].title}. "
            "It needs no sheet: 'featurestore build FOLDER', 'featurestore corpora check FOLDER'."
        )
    from featurestore.corpus.proposal.propose import propose_sheet
    from featurestore.corpus.reading.sources import open_source
    from featurestore.corpus.resemblance import resembled_corpus

    proposal = propose_sheet(folder, limits)
    other = resembled_corpus(member.path for member in open_source(folder, limits).members())
    if out is not None:
        _write(Path(out), proposal.toml)
    if as_json:
        print_json({**proposal.to_dict(), "path": out, "looks_like": other})
    elif out is None:
        click.echo(proposal.toml, nl=False)
    _summary(proposal, folder, out)
    if other is not None:
        say_resemblance(other, folder, err=True)


def _write(file: Path, text: str) -> None:
    """Write a new file; one that is there may be somebody's work."""
    from featurestore.errors import ManifestError

    if file.suffix != ".toml":
        raise ManifestError(f"--out {str(file)!r:.200}: the name of a data sheet ends in .toml.")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ManifestError(f"--out {str(file)!r:.200} is there already. Name another file, or remove it.") from error
    except OSError as error:
        raise ManifestError(f"--out {str(file)!r:.200} cannot be written ({error.strerror}).") from error


def _summary(proposal: Proposal, folder: str, out: str | None) -> None:
    corpus = proposal.corpus
    classes, speakers = corpus.label_counts(), corpus.speaker_counts()
    say(
        f"{proposal.files:,} recordings, {len(corpus.utterances):,} with a label: {len(classes)} classes of "
        f"{corpus.manifest.labels.target!r}, {len(speakers) or 'unknown'} speakers",
        err=True,
    )
    aside = (*corpus.rejected, *corpus.unlabelled)
    if aside:
        say(
            f"{len(aside):,} set aside, such as {printable(aside[0].path)}: {printable(aside[0].reason)}",
            err=True,
        )
    if out is not None:
        say("next:", err=True)
        say_command("featurestore", "corpora", "check", out, "--source", folder, err=True)
