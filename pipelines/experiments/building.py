"""A dataset built from a corpus or a recipe by name, as `featurestore build` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from featurestore.corpus.sources.archive_safety import Limits
    from featurestore.store import Store
    from pipelines.build.report import BuildReport
    from pipelines.workers.pool import Workers


def build(
    corpus: str | None = None,
    *,
    recipe: str | None = None,
    copies: int | None = None,
    features: str | None = None,
    policy: str | None = None,
    settings: Sequence[str] = (),
    split: str | None = None,
    side: str = "train",
    seed: int | None = None,
    name: str | None = None,
    store: Store | str | Path | None = None,
    source: str | Path | None = None,
    limits: Limits | None = None,
    max_seconds: float = 600.0,
    rehash: bool = False,
    trust_first_download: bool = False,
    jobs: int | None = None,
    scheduler: str | None = None,
    allow_unencrypted: bool = False,
    device: str = "cpu",
    dry_run: bool = False,
    workers: Workers | None = None,
    listener: Listener = SILENT,
) -> BuildReport:
    """Compute the features of a corpus and store them; rows that the store already has are reused.

    Parameters
    ----------
    corpus : str, optional
        As `featurestore build` takes it: a name, `NAME/SCHEME`, `NAME+NAME`, a manifest or a folder; else the recipe's.
    recipe : str, optional
        Name or file of a recipe, for what is not given here.
    copies : int, optional
        Augmented copies of each recording; else the recipe's, or 0.
    features, policy : str, optional
        Names or TOML files of presets; else the recipe's, or `mathworks`.
    settings : sequence of str
        Single fields of either preset, as in `mels=64`.
    split, side : str, optional
        Augment only this side of this split.
    seed : int, optional
        Of all random draws.
    name : str, optional
        Of the dataset; else the corpus's.
    store : Store, str or Path, optional
        A store or where it is; the default one if there is none.
    source : str or Path, optional
        Where the corpus is: an archive, a folder or a URL; else what the store has, or a download.
    limits, rehash
        How it is read, see `pipelines.ingest.ingest.ReadOptions`.
    max_seconds : float
        Reject longer recordings, 600 to 86,400 s.
    trust_first_download : bool
        Accept a download without a known checksum.
    jobs, scheduler, allow_unencrypted, workers
        Where rows are computed, as `pipelines.workers.pool.Workers` takes them; or workers that end with the build.
    device, dry_run
        See `pipelines.build.run.build`.

    Returns
    -------
    BuildReport
        The dataset's name and digest, and how many rows were computed, copied and reused.

    Raises
    ------
    FeatureStoreError
        If a name or a setting does not exist, or the corpus cannot be read; what is finished stays in the store.
    """
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.errors import SpecError
    from featurestore.store import open_store
    from featurestore.typed_values import check_listed
    from pipelines.build.run import build as build_rows
    from pipelines.build.spec import DatasetSpec
    from pipelines.experiments.recipe import DatasetChoice, Experiment, SplitChoice, read_recipe
    from pipelines.ingest.fetch import Fetcher
    from pipelines.ingest.ingest import ReadOptions
    from pipelines.workers.pool import Workers

    check_listed("settings", settings, "['mels=64']")
    if recipe is not None:
        experiment = read_recipe(recipe).experiment(corpus)
    elif corpus is not None:
        experiment = Experiment("", DatasetChoice(corpus), SplitChoice(""))
    else:
        raise SpecError("nothing to build: give a corpus ('featurestore corpora') or a recipe.")
    chosen = dataclasses.replace(
        experiment.dataset,
        features=features or experiment.dataset.features,
        policy=policy or experiment.dataset.policy,
        settings=(*experiment.dataset.settings, *settings),
    )
    feature_spec, augmentation = dataclasses.replace(experiment, dataset=chosen).specs()
    if augmentation is not None and seed is not None:
        augmentation = dataclasses.replace(augmentation, seed=seed)
    rows = DatasetSpec(
        feature_spec,
        augmentation,
        chosen.copies if copies is None else copies,
        split=split or (experiment.split.name if chosen.side else None),
        side=side if split else chosen.side or side,
        seed=experiment.split.seed if seed is None else seed,
        max_seconds=max_seconds,
    )
    spec = find_corpus_spec(corpus or chosen.corpus, limits)
    fetcher = Fetcher(
        listener.notice,
        listener.download(),
        reading=listener.reading,
        hashing=listener.hashing,
        trust_first=trust_first_download,
    )
    return build_rows(
        open_store(store),
        spec,
        rows,
        name=name,
        source=None if source is None else str(source),
        fetcher=fetcher,
        reading=ReadOptions(limits, rehash=rehash),
        workers=workers or Workers(jobs, scheduler, allow_unencrypted=allow_unencrypted),
        device=device,
        dry_run=dry_run,
        progress=listener.build(spec.name),
    )
