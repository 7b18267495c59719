"""The fields of an experiment that can be set, with their defaults and what they mean, read from the source."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any


@dataclasses.dataclass(frozen=True)
class DocumentedField:
    """One field of a dataclass, or one parameter."""

    name: str
    default: Any
    """None also where a value has to be given."""
    meaning: str
    """The string that follows the field in the source, on one line; empty where none does."""


def documented_fields(kind: type[Any]) -> list[DocumentedField]:
    """Return the fields of a dataclass in their order; a string after a field in its source is its meaning."""
    meanings: dict[str, str] = {}
    for part in reversed(kind.__mro__[:-1]):
        tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        statements = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in itertools.pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                meanings[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return [
        DocumentedField(item.name, _default(item), meanings.get(item.name) or item.metadata.get("meaning", ""))
        for item in dataclasses.fields(kind)
    ]


def _default(item: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return None if item.default is dataclasses.MISSING else item.default


_PARAMETER = re.compile(r"^(?P<names>\w+(?:, \w+)*) :.*\n(?P<text>(?:^    .*\n?)+)", re.MULTILINE)


def documented_parameters(called: Callable[..., Any], names: Iterable[str]) -> list[DocumentedField]:
    """Return some parameters of a function or a class, with what its numpy docstring says of them."""
    signature = inspect.signature(called).parameters
    meanings = {
        name: " ".join(entry["text"].split())
        for entry in _PARAMETER.finditer(inspect.getdoc(getattr(called, "func", called)) or "")
        for name in entry["names"].split(", ")
    }
    return [DocumentedField(name, signature[name].default, meanings.get(name, "")) for name in names]


def describe_fields(model: str) -> dict[str, list[dict[str, Any]]]:
    """Return every field that `--set` changes, by table: `field`, `default` and `meaning`; those of this model too."""
    from featurestore.specs.augmentation import AugmentationSpec
    from featurestore.specs.features import FeatureSpec
    from models.networks import model_card
    from models.training_spec import TrainingSpec
    from pipelines.experiments.recipe import DatasetChoice, SplitChoice, VoteChoice
    from pipelines.experiments.settings import known_fields

    kinds = {
        "dataset": DatasetChoice,
        "split": SplitChoice,
        "vote": VoteChoice,
        "training": TrainingSpec,
        "features": FeatureSpec,
        "policy": AugmentationSpec,
    }
    known = known_fields(model)
    found = {
        table: [one for one in documented_fields(kind) if one.name in known[table]] for table, kind in kinds.items()
    }
    name = DocumentedField("name", model, "The network, see 'featurestore models'.")
    found["model"] = [name, *documented_parameters(model_card(model).builder, known["model"][1:])]
    return {
        table: [{"field": one.name, "default": one.default, "meaning": one.meaning} for one in found[table]]
        for table in known
    }
