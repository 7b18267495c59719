"""HTML pages from templates: one file each, which loads nothing and runs one script that it names by its checksum."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:  # noqa: ANN401 (whatever the template shows)
    """Return a page; text in `values` is escaped, markup is not.

    Parameters
    ----------
    template : str
        A file in `featurestore/pages/templates`.
    **values
        What it names; one that is missing is an error.
    """
    script = _text("page.js")
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(**values, style=_text("style.css"), script=script, checksum=checksum)
    )


def render_part(template: str, **values: Any) -> str:  # noqa: ANN401
    """Return a part of a page, as `render` does the whole."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@cache
def _text(name: str) -> str:
    return (resources.files("featurestore.pages") / "templates" / name).read_text(encoding="utf-8")
