"""What the shell completes: names of datasets, corpora, splits, recipes, models, features and policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from featurestore.store import Store

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(names: Callable[[click.Context], Iterable[str]]) -> Complete:
    """Return a completion of names; where they cannot be read it offers none."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        """Return the names that begin as the word does."""
        from featurestore.errors import FeatureStoreError

        with suppress(FeatureStoreError, OSError):
            return [CompletionItem(name) for name in names(context) if name.startswith(begun)]
        return []

    return complete


def _or_paths(complete: Complete) -> Complete:
    """Return what completes names, and files and folders where no name begins as the word does."""

    def both(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        return complete(context, parameter, begun) or [CompletionItem(begun, type="file")]

    return both


def _datasets(context: click.Context) -> Iterable[str]:
    return _store(context).names()


def _store(context: click.Context) -> Store:
    from featurestore.storage import default_place, layered_place
    from featurestore.store import open_store

    return open_store(context.params.get("place") or layered_place(default_place(), None))


def _corpora(_: click.Context) -> Iterable[str]:
    from featurestore.corpus.catalog import manifest_names

    return manifest_names()


def _datasets_and_corpora(context: click.Context) -> Iterable[str]:
    return sorted({*_datasets(context), *_corpora(context)})


def _splits(context: click.Context) -> Iterable[str]:
    from pipelines.splits import list_splits

    chosen = [context.params.get(name) for name in ("name", "dataset", "corpus")]
    given = [one for one in context.args if not one.startswith("-")]  # not parsed yet where an option lacks its value
    name = next(filter(None, [*chosen, *given]), None)
    return [] if name is None else [row["split"] for row in list_splits(_store(context), name)]


def _recipes(_: click.Context) -> Iterable[str]:
    from pipelines.experiments.recipe import recipe_names

    return recipe_names()


def _models(_: click.Context) -> Iterable[str]:
    from models.networks import MODELS

    return sorted(MODELS)


def _presets(kind: str) -> Callable[[click.Context], Iterable[str]]:
    def names(_: click.Context) -> Iterable[str]:
        """Return the names of the presets."""
        from featurestore.specs.presets import preset_names

        return preset_names(kind)

    return names


datasets, corpora, recipes, models = map(_completing, (_datasets, _corpora, _recipes, _models))
datasets_and_corpora = _completing(_datasets_and_corpora)
datasets_or_paths, corpora_or_paths, splits_or_paths = map(_or_paths, (datasets, corpora, _completing(_splits)))
features, policies = map(_completing, (_presets("features"), _presets("policies")))
