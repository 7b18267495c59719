"""Which recordings a user asks for: a corpus, a scheme of it, or several corpora together.

`emodb`, `iemocap/impro4`, `own.toml`, `emodb+ravdess`, `emodb+crema_d/6class`. Several corpora get one vocabulary of
emotions; their paths and speakers start with the corpus, so that no two of them are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.corpus.catalog import find_manifest, manifest_names, read_manifest
from featurestore.corpus.importers import FORMATS, recognised_format
from featurestore.corpus.importers.data_folder import DataFolder
from featurestore.corpus.importers.translation import translated_manifest
from featurestore.corpus.labels.schemes import find_scheme, under_scheme
from featurestore.corpus.manifest import Expected, LabelRule, Manifest, Scheme
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.suggest.propose import sure_manifest
from featurestore.corpus.types import Corpus, Rejection, Utterance
from featurestore.errors import ManifestError, SourceError, SpecError


def folder_manifest(place: str | Path, limits: Limits | None = None) -> Manifest:
    """Return the manifest of a folder: the one in it, else of another tool's data, else of names that leave no doubt.

    `ManifestError` if it holds several manifests, is in no known format, or its names leave open what the class is;
    `SourceError` if its data cannot be read.
    """
    folder = Path(place)
    manifests = sorted(folder.glob("*.toml"))
    if len(manifests) == 1:
        return replace(read_manifest(manifests[0]), place=str(folder))
    if manifests:
        raise ManifestError(f"folder {str(place)!r:.200} holds {len(manifests)} manifests (*.toml). Name one of them.")
    found = recognised_format(folder)
    if found is None:
        return sure_manifest(folder, limits)
    return translated_manifest(FORMATS[found].read(DataFolder(folder)), folder, manifest_names(), limits)


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """What a user asked for."""

    manifests: tuple[Manifest, ...]
    scheme: Scheme | None = None

    @property
    def name(self) -> str:
        """The name in words that `find_corpus_spec` takes, such as `emodb+ravdess/6class`; own manifests by corpus."""
        together = "+".join(manifest.name for manifest in self.manifests)
        return f"{together}/{self.scheme.name}" if self.scheme else together

    @property
    def dataset(self) -> str:
        """The name of its dataset."""
        return self.name.replace("/", "-")

    def corpus(self, parts: Sequence[Corpus]) -> Corpus:
        """Return the chosen recordings, given each corpus whole; `SplitError` if the scheme leaves none."""
        if len(parts) == 1 and self.scheme is None:
            return parts[0]
        whole = parts[0] if len(parts) == 1 else _merged(self.name, parts)
        scheme = self.scheme or find_scheme("emotions")  # one vocabulary for several corpora
        left = under_scheme(whole.utterances, scheme)
        manifest = replace(whole.manifest, expected=scheme.expected, index={})
        notes, count = whole.notes, len(whole.utterances)
        if len(left) < count:
            notes += (f"scheme {scheme.name!r} leaves out {count - len(left)} of {count} utterances",)
        return replace(whole, name=self.name, manifest=manifest, utterances=left, notes=notes)

    def sources(self, source: str | None) -> tuple[str | None, ...]:
        """Return the source of each corpus; for several, `--source` takes `NAME=PATH,NAME=PATH`.

        A corpus that is not named is taken from the store, or downloaded.

        `SourceError` if a name is none of the corpora.
        """
        if source is None:
            return tuple(manifest.place for manifest in self.manifests)
        if len(self.manifests) == 1:
            return (source,)
        given = dict(part.partition("=")[::2] for part in source.split(","))
        names = [manifest.name for manifest in self.manifests]
        if not set(given) <= set(names) or not all(given.values()):
            example = ",".join(f"{name}=PATH" for name in names)
            raise SourceError(
                f"--source {source!r:.200} does not show which corpus is where. Write --source {example}."
            )
        return tuple(given.get(manifest.name, manifest.place) for manifest in self.manifests)


def find_corpus_spec(text: str, limits: Limits | None = None) -> CorpusSpec:
    """Read a choice of corpora, as the command line takes it; `limits` are those of a folder that is looked into.

    `UnknownNameError` if a corpus or scheme does not exist; the nearest is offered; `SpecError` if a corpus is named
    twice; `ManifestError` if a manifest of the user's own cannot be read.
    """
    folder, scheme = _folder(text)
    if folder:
        manifests: tuple[Manifest, ...] = (folder_manifest(folder, limits),)
    else:
        names, scheme = _parts(text)
        manifests = tuple(map(find_manifest, names))
    if len({manifest.name for manifest in manifests}) < len(manifests):
        raise SpecError(f"{text!r:.200} names a corpus twice. Name each once.")
    own = manifests[0] if len(manifests) == 1 else None
    return CorpusSpec(manifests, find_scheme(scheme, own) if scheme else None)


def _folder(text: str) -> tuple[str, str]:
    """Return a folder of the user's own and the scheme behind it; empty texts if it is none. Known names come first.

    Only a folder with a manifest or another tool's description has schemes: a mistyped path is no scheme of the folder
    above it.
    """
    if _is_own_folder(text):
        return text, ""
    names, _, scheme = text.rpartition("/")
    if scheme.endswith(".toml") or not _is_own_folder(names):
        return "", ""
    described = recognised_format(names) is not None
    for file in Path(names).glob("*.toml"):
        with suppress(ManifestError):  # TOML of some other tool is no manifest
            described = described or bool(read_manifest(file))
    return (names, scheme) if described else ("", "")


def _is_own_folder(text: str) -> bool:
    return bool(text) and text.replace("-", "_") not in manifest_names() and Path(text).is_dir()


def _parts(text: str) -> tuple[list[str], str]:
    """Return the names of corpora or paths of manifests, and the scheme behind the last slash; empty if there is none.

    The path of a manifest may hold slashes and pluses of its own.
    """
    names, slash, scheme = text.rpartition("/")
    if not slash or text.endswith(".toml") or ("/" in names and ".toml" not in names):
        names, scheme = text, ""
    parts: list[str] = []
    for piece in names.split("+"):
        complete = bool(parts) and (parts[-1].endswith(".toml") or parts[-1].replace("-", "_") in manifest_names())
        if not parts or complete or not names.endswith(".toml"):
            parts.append(piece)
        else:
            parts[-1] += f"+{piece}"
    return parts, scheme


def _merged(name: str, parts: Sequence[Corpus]) -> Corpus:
    """Return several corpora as one; paths, speakers and sentences begin with the corpus."""
    utterances = (prefixed(part.name, one) for part in parts for one in part.utterances)
    return Corpus(
        name,
        _merged_manifest(name, [part.manifest for part in parts]),
        tuple(sorted(utterances, key=lambda one: one.path)),
        tuple(Rejection(f"{part.name}/{one.path}", one.reason) for part in parts for one in part.rejected),
        tuple(Rejection(f"{part.name}/{one.path}", one.reason) for part in parts for one in part.unlabelled),
        tuple(f"{part.name}: {note}" for part in parts for note in part.notes),
    )


def prefixed(corpus: str, one: Utterance) -> Utterance:
    """Return an utterance whose path, speaker and sentence begin with its corpus, so that no other corpus has them."""
    fields = (("corpus", corpus), *((field, value) for field, value in one.fields if field != "corpus"))
    return replace(
        one,
        path=f"{corpus}/{one.path}",
        fields=fields,
        speaker=None if one.speaker is None else f"{corpus}/{one.speaker}",
        text=None if one.text is None else f"{corpus}/{one.text}",
    )


def _merged_manifest(name: str, manifests: Sequence[Manifest]) -> Manifest:
    """Return one manifest for several corpora: all licences and citations, what they share, the splits that fit any."""
    rates, languages = ({getattr(one, field) for one in manifests} for field in ("rate", "language"))
    return Manifest(
        name=name,
        title=" + ".join(one.title for one in manifests),
        labels=LabelRule(pattern="", target="label"),
        language=languages.pop() if len(languages) == 1 else "",
        rate=rates.pop() if len(rates) == 1 else None,
        licence="; ".join(f"{one.name}: {one.licence}" for one in manifests),
        citation=" ".join(one.citation for one in manifests if one.citation),
        splits=("speakers", "shuffled", "loso", "leave-one-corpus-out"),
        expected=Expected(),
    )
