"""What the shell completes: names of datasets, corpora, recipes, models, features and policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

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


def _datasets(context: click.Context) -> Iterable[str]:
    from featurestore.storage import default_place, layered_place
    from featurestore.store import open_store

    return open_store(context.params.get("place") or layered_place(default_place(), None)).names()


def _corpora(_: click.Context) -> Iterable[str]:
    from featurestore.corpus.catalog import manifest_names

    return manifest_names()


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
features, policies = map(_completing, (_presets("features"), _presets("policies")))
