"""The page of a dataset: its card, what is in it, its splits and their leaks, and examples to look at and listen to."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from featurestore.corpus.manifest import Manifest
from featurestore.corpus.protocols import find_split
from featurestore.corpus.splits.applicable import fields_of_utterances
from featurestore.corpus.splits.leakage import REFUSED_KINDS, Leaks, LeakSearch
from featurestore.corpus.splits.types import FIELD, Split
from featurestore.datasets import DatasetRecord
from featurestore.errors import DamagedObjectError, FeatureStoreError, MissingObjectError
from featurestore.features import FEATURES
from featurestore.features.kind import SpectralKind
from featurestore.moving.licences import forbids_derivatives, may_pass_on
from featurestore.pages.examples import chosen_paths, examples
from featurestore.pages.template import render
from featurestore.perturbations.policy_tables import briefly
from featurestore.shards.record import data_key
from featurestore.store import Store
from featurestore.view import DatasetView
from pipelines.audio_check import check_audio
from pipelines.build_options import build_options
from pipelines.splits import list_splits, manifests_of

COPIES = 3
"""Copies beside the original of each example."""
MOST_VALUES = 12
"""Values of a field that are counted one by one."""


def dataset_page(
    store: Store,
    name: str,
    *,
    shown: int = 8,
    audio: bool | None = None,
    quality: bool = False,
    jobs: int | None = None,
) -> str:
    """Return the page of a dataset as HTML: one file that needs no other.

    Parameters
    ----------
    store : Store
    name : str
        The dataset, as `Store.view` takes it.
    shown : int
        Recordings that can be looked at and listened to, each with its first copies.
    audio : bool, optional
        Whether their sound is part of the page; by default only where the licence lets recordings be passed on.
    quality : bool
        Decode every recording and list what deserves a look.
    jobs : int, optional
        Processes that decode for `quality`; all cores by default.

    Raises
    ------
    UnknownNameError
        If there is no such dataset.
    DamagedObjectError
        If what the page shows is damaged.
    """
    view = store.view(name)
    record = store.dataset(store.reference(name).dataset)
    manifests = manifests_of(view.table.corpus)
    described = view.describe()
    licence = view.table.licence
    open_licence = may_pass_on(licence) and not forbids_derivatives(licence)
    sounds = open_licence if audio is None else audio
    durations, durations_note = _durations(view)
    return render(
        "dataset.html",
        title=view.name,
        lead=_lead(view, described, manifests),
        card=list(_card(view, described, manifests)),
        repeat=_repeat(view, record),
        classes=described["labels"],
        speakers=_named_speakers(described["speakers"], manifests),
        fields={**_sexes(described["speakers"], manifests), **_fields(view)},
        durations=durations,
        durations_note=durations_note,
        quality=_quality(view, store, asked=quality, jobs=jobs),
        splits=list(_splits(view, store, name)),
        splits_note="Sides are compared by speaker, recording and sound; sentences that they share are told, and are "
        "no leak. Training refuses a split that leaks unless the leak is allowed by name.",
        reuse=_reuse(store, view, record),
        examples=examples(view, chosen_paths(view, shown), COPIES, audio=sounds),
        examples_note=_examples_note(view, licence, open_licence=open_licence, sounds=sounds),
    )


def _lead(view: DatasetView, described: Mapping[str, Any], manifests: Sequence[Manifest]) -> str:
    recordings = sum(described["labels"].values())
    what = " ".join(one.description for one in manifests)
    rows = f"{len(view):,} rows: {recordings:,} recordings"
    return f"{rows} and {len(view) - recordings:,} augmented copies. {what}".strip()


def _card(view: DatasetView, described: Mapping[str, Any], manifests: Sequence[Manifest]) -> Iterator[tuple[str, Any]]:
    yield "corpus", ", ".join(f"{one.title} ({one.name})" for one in manifests) or view.table.corpus
    yield "language", ", ".join(dict.fromkeys(one.language for one in manifests if one.language)) or "not stated"
    addresses = " ".join(one.licence_url for one in manifests if one.licence_url)
    yield "licence", f"{described['licence'] or 'not stated'} {addresses}".strip()
    yield "citation", described["citation"] or "not stated"
    yield "digest", view.digest
    yield "labels", f"table {view.table_id}"
    yield "features", [f"{name} = {_plain(value)}" for name, value in described["features"].items()]
    policy = briefly(described["augmentation"] or {})
    yield "augmentation", [f"{name} = {_plain(value)}" for name, value in policy.items()] or "none"
    if described["rejected"]:
        yield "rejected", [f"{one['path']}: {one['reason']}" for one in described["rejected"][:20]]


def _plain(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " to ".join(map(_plain, value)) if len(value) == 2 else ", ".join(map(_plain, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def _repeat(view: DatasetView, record: DatasetRecord) -> dict[str, str]:
    """Return the command that builds the same rows, if there is one that names them exactly."""
    options = build_options(view.features, view.augmentation)
    if options is None:
        return {
            "command": "",
            "note": "Its policy names recordings or functions by their contents: build it with the policy file that it "
            "was made with.",
        }
    words = ["featurestore", "build", view.table.corpus]
    copies = max(part.stop for part in record.parts) - 1
    words += ["--augment", str(copies)] if copies else []
    words += options
    words += ["--device", "cuda"] if any("engine" in dict(part.spec.versions) for part in record.parts) else []
    clean = {content for part in record.parts if part.first == 0 for content in part.contents}
    copied = {content for part in record.parts if part.stop > 1 for content in part.contents}
    side = ""
    if copies and copied != clean:
        side = (
            f" Copies were made of {len(copied):,} of {len(clean):,} recordings: add the --split whose side they are."
        )
    return {
        "command": shlex.join(words),
        "note": f"The digest must then be {view.digest[:16]}…, bit for bit. Add --source with the archive or folder "
        f"where the corpus lies already.{side}",
    }


def _named_speakers(counts: Mapping[str, int], manifests: Sequence[Manifest]) -> dict[str, int]:
    """Return the recordings of each speaker, with what the manifest says of the speaker."""
    about = {speaker.id: (speaker.sex, speaker.age) for one in manifests for speaker in one.speakers}
    shown = {}
    for name, count in counts.items():
        known = ", ".join(str(value) for value in about.get(name, ()) if value)
        shown[f"{name} ({known})" if known else name] = count
    return shown


def _sexes(counts: Mapping[str, int], manifests: Sequence[Manifest]) -> dict[str, dict[str, int]]:
    """Count the recordings by the sex of their speakers, if the manifest says it of any."""
    sexes = {speaker.id: speaker.sex for one in manifests for speaker in one.speakers if speaker.sex}
    found: Counter[str] = Counter()
    for name, count in counts.items():
        found[sexes.get(name, "unknown")] += count
    return {"sex": dict(sorted(found.items()))} if sexes else {}


def _fields(view: DatasetView) -> dict[str, dict[str, int]]:
    """Count the values of the other fields that all recordings have, such as sex."""
    utterances = view.table.utterances
    found = fields_of_utterances(utterances)
    names = [
        name
        for name, values in found.items()
        if name != "speaker" and isinstance(values, tuple) and 1 < len(values) <= MOST_VALUES
    ]
    return {
        name: dict(sorted(Counter(dict(fields).get(name, "unknown") for fields in utterances.fields).items()))
        for name in names
    }


def _durations(view: DatasetView) -> tuple[dict[str, int], str]:
    """Count the recordings by duration, as their rows tell it."""
    spec = view.features
    kind = FEATURES[spec.kind]
    if spec.rate is None or not isinstance(kind, SpectralKind):
        return {}, "These rows do not tell how long the recordings are."
    frames = view.frames[view.copies == 0].astype(np.float64)
    beyond = 0 if spec.centred else (spec.window_length - spec.hop_length) / spec.rate
    seconds = frames * spec.hop_length / spec.rate + beyond
    longest = float(seconds.max())
    step = next((one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60) if longest / one <= 14), 300.0)
    bins = np.floor(seconds / step).astype(int)
    counts = {
        f"{place * step:g} to {(place + 1) * step:g}": int(np.count_nonzero(bins == place))
        for place in range(int(bins.min()), int(bins.max()) + 1)
    }
    total = f"{seconds.sum() / 60:.1f} minutes" if seconds.sum() < 7200 else f"{seconds.sum() / 3600:.1f} hours"
    cut = " All rows are cut or padded to one length." if spec.seconds is not None else ""
    return counts, (
        f"Durations follow from the rows' frames, to within {spec.hop_length / spec.rate:.3f} s: {total} in all, "
        f"{seconds.min():.2f} to {longest:.2f} s, median {np.median(seconds):.2f} s.{cut}"
    )


def _quality(view: DatasetView, store: Store, *, asked: bool, jobs: int | None) -> dict[str, Any]:
    rejected = f"{len(view.table.rejected):,} recordings were rejected when it was built. "
    if not asked:
        return {"lead": f"{rejected}Levels, clipping and silence were not measured: --quality does.", "rows": []}
    utterances = view.table.utterances
    whole = [one.file for one in utterances]
    files = {one.path: one.content for one in whole}
    found = check_audio(
        ((path, store.original(content)) for path, content in sorted(files.items())),
        dict(zip(utterances.paths, utterances.labels, strict=True)),
        jobs,
    )
    said = f"{len(found.measured):,} recordings were decoded and measured; {len(found.findings)} findings."
    return {"lead": f"{rejected}{said}", "rows": found.rows()}


def _splits(view: DatasetView, store: Store, name: str) -> Iterator[dict[str, Any]]:
    """Describe every split that fits the dataset, with its leaks."""
    mixed_in = view.augmentation.inputs if view.augmentation else ()
    everything = tuple(view.table.utterances)
    search = LeakSearch(everything, view.sounds, mixed_in)
    for row in list_splits(store, name):
        split = row["split"].replace("Nfold", "5fold")
        if FIELD in split:
            continue
        try:
            chosen = find_split(split)
            chosen.check_corpus(view.table.corpus)
            utterances = chosen.select(everything)
            made = chosen.build(utterances, 0)
        except FeatureStoreError as error:
            yield {"name": split, "description": row["description"], "sides": str(error), "verdict": "", "sound": True}
            continue
        looked = search if chosen.scheme is None else LeakSearch(utterances, view.sounds, mixed_in)
        found = [looked.leaks(one) for one in made]
        declared = list(chosen.protocol.leaks) if chosen.protocol else []
        yield {
            "name": split,
            "description": "; ".join(filter(None, (row["description"], row["citation"]))),
            "sides": _sizes(made, folds=chosen.folds),
            "verdict": _verdict(found, declared),
            "sound": not any(one.by_kind[kind] for one in found for kind in REFUSED_KINDS),
        }


def _sizes(made: Sequence[Split], *, folds: bool) -> str:
    ranges = []
    for side in ("train", "validation", "test"):
        sizes = [len(one.members[side]) for one in made]
        low, high = min(sizes), max(sizes)
        ranges.append(f"{side} {low:,}" if low == high else f"{side} {low:,} to {high:,}")
    return f"{len(made)} folds: {', '.join(ranges)}" if folds else ", ".join(ranges)


def _verdict(found: Sequence[Leaks], declared: Sequence[str]) -> str:
    """Say what the sides of a split, or of any of its folds, share."""
    parts = []
    for kind in Leaks().by_kind:
        names = sorted({name for one in found for name in one.by_kind[kind]})
        if not names:
            continue
        if kind == "audio":
            names = sorted({name for one in found for name in one.named(kind)})
        some = ", ".join(name[:80] for name in names[:4]) + (", …" if len(names) > 4 else "")
        parts.append(f"{len(names)} {kind}{'s' if len(names) > 1 and kind != 'audio' else ''} ({some})")
    unknown = max(one.unknown_speakers for one in found)
    said = f"shared: {'; '.join(parts)}" if parts else ""
    said += f"; declared by the protocol: {', '.join(declared)}" if declared else ""
    return said + (f"; {unknown:,} recordings have no known speaker" if unknown else "")


def _reuse(store: Store, view: DatasetView, record: DatasetRecord) -> dict[str, Any]:
    """Say which other datasets refer to the same shards."""
    own, rows, together = set(record.addresses), [], set()
    for reference in store.references():
        if reference.dataset == record.id:
            continue
        shared: set[str] = set()
        with suppress(DamagedObjectError):  # a copy that was broken off
            shared = own & set(store.dataset(reference.dataset).addresses)
        if shared:
            together |= shared
            rows.append((reference.name, _size(store, shared)))
    held = f"It refers to {_size(store, own)} of rows"
    if not rows:
        return {"lead": f"{held}; no other dataset in this store refers to them.", "rows": []}
    return {"lead": f"{held}. Other datasets in this store refer to {len(together):,} of them too:", "rows": rows}


def _size(store: Store, addresses: Collection[str]) -> str:
    """Say how many shards these are and how large; those that are lost have no size."""
    found = 0
    for key in map(data_key, addresses):
        with suppress(MissingObjectError):
            found += store.storage.size(key)
    return f"{len(addresses):,} shard{'' if len(addresses) == 1 else 's'}, {found / 1e6:,.1f} MB"


def _examples_note(view: DatasetView, licence: str, *, open_licence: bool, sounds: bool) -> str:
    what = "the rows as they are stored" if view.features.kind == "logmel" else "log-mel levels of the signals"
    said = f"Pictures show {what}, in dB."
    if sounds:
        said += " Sounds are the signals that the rows were computed from, synthesised again and rounded to 16 bits."
        if not open_licence:
            said += f" The licence ({licence}) does not let recordings be passed on: keep this page to yourself."
    elif open_licence:
        said += " Sounds were left out."
    else:
        said += f" Sounds were left out, since the licence ({licence}) does not let recordings be passed on."
    return said
