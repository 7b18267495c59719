"""What MkDocs adds to the pages of this folder: pages that lie elsewhere, notebooks, and generated ones.

A hook of `mkdocs.yml`. All other pages of the site are the files of this folder as they are.
"""

from __future__ import annotations

import base64
import inspect
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "index.md": "README.md",
    "design.md": "featurestore/DESIGN.md",
    "contributing.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
    "manifests.md": "data_manifests/README.md",
}
"""Pages of the site by the file of the repository that each is."""
NOTEBOOKS = {
    f"notebooks/{path.stem}.md": f"docs/notebooks/{path.name}" for path in sorted(ROOT.glob("docs/notebooks/*.ipynb"))
}
GENERATED = ("commands.md", "fields.md")
ATTACHED = ("Dockerfile", "models/pretrained/emodb/card.toml")
"""Files of the repository that pages link to and that are no pages."""
FIELDS = """
What a recipe's tables can hold, and what `--set TABLE.FIELD=VALUE` changes. Fields of `training`, `model`, `features`
and `policy` need no table in front: `--set epochs=10`. `featurestore fields TABLE` prints the same.
"""
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s:#]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are not files of the folder."""
    from mkdocs.structure.files import File

    pages: dict[str, str | bytes] = {
        page: (ROOT / path).read_text(encoding="utf-8") for page, path in ELSEWHERE.items()
    }
    for page, path in NOTEBOOKS.items():
        pages |= notebook_page(page, ROOT / path)
    pages |= dict(zip(GENERATED, (commands_page(), fields_page()), strict=True))
    pages |= {path: (ROOT / path).read_bytes() for path in ATTACHED}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links, which are those of the repository, to the pages of the site."""
    places = {**ELSEWHERE, **NOTEBOOKS}
    pages = {path: name for name, path in places.items()}
    here = page.file.src_uri
    folder = posixpath.dirname(places.get(here, f"docs/{here}"))

    def on_site(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link["path"]))
        target = pages.get(path, path.removeprefix("docs/"))
        return posixpath.relpath(target, posixpath.dirname(here) or ".")

    return LINK.sub(on_site, markdown)


def notebook_page(page: str, path: Path) -> dict[str, str | bytes]:
    """Return a notebook as Markdown, and the pictures in it, by their places on the site."""
    text, pictures = [], {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        text.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            shown = output.get("data", {"text/plain": output.get("text")})
            if "image/png" in shown:
                name = f"{path.stem}-{len(pictures) + 1}.png"
                pictures[posixpath.join(posixpath.dirname(page), name)] = base64.b64decode(shown["image/png"])
                text.append(f"![What the cell shows]({name})")
            elif "text/html" in shown:
                text.append(f'<div class="output">{"".join(shown["text/html"])}</div>')
            else:
                text.append(f"```text\n{''.join(shown['text/plain']).rstrip()}\n```")
    text.append(f"[The notebook]({path.name})")
    return {page: "\n\n".join(text) + "\n", **pictures}


def commands_page() -> str:
    """Return every command with its options, as click describes them."""
    import click

    from cli.main import featurestore

    root = click.Context(featurestore, info_name="featurestore")
    text = ["# Commands", paragraphs(featurestore.help)]
    for name in featurestore.list_commands(root):
        command = featurestore.get_command(root, name)
        text += command_text(command, click.Context(command, root, info_name=name), 2)
    return "\n\n".join(text) + "\n"


def command_text(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    """Yield the paragraphs about a command and its subcommands."""
    import click

    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"{'#' * level} {context.command_path.removeprefix('featurestore ')}"
    yield f"```\n{usage}\n```"
    yield paragraphs(command.help)
    options = [option.get_help_record(context) for option in command.get_params(context)]
    rows = [f"| `{names}` | {' '.join(meaning.split())} |" for names, meaning in filter(None, options)]
    yield "\n".join(["| option | |", "|---|---|", *rows])
    if command.epilog:
        yield f"Example: `{command.epilog.removeprefix('Example: ')}`"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.commands[name]
            yield from command_text(below, click.Context(below, context, info_name=name), level + 1)


def paragraphs(text: str | None) -> str:
    """Return a help text without the marks that click reads."""
    return inspect.cleandoc((text or "").replace("\b\n", "").partition("\f")[0])


def fields_page() -> str:
    """Return all fields that `--set` takes, those of every model too."""
    from models import MODELS
    from pipelines.experiments.settings import describe_fields

    tables = describe_fields(next(iter(MODELS)))
    del tables["model"]
    text = ["# Fields", FIELDS]
    for name, rows in tables.items():
        text += [f"## {name}", fields_table(rows)]
    text += ["## model"]
    for name in MODELS:
        text += [f"### {name}", fields_table(describe_fields(name)["model"])]
    return "\n\n".join(text) + "\n"


def fields_table(rows: list[dict[str, Any]]) -> str:
    """Return a table of fields, their defaults and meanings."""
    lines = [f"| `{row['field']}` | {default(row['default'])} | {row['meaning']} |" for row in rows]
    return "\n".join(["| field | default | |", "|---|---|---|", *lines])


def default(value: object) -> str:
    """Return a default as TOML writes it; nothing where there is none."""
    if value in ("", None, (), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
