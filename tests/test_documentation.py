"""The pages of the documentation: all are on the site, links lead somewhere, commands work and print what is shown."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from command_line import ENVIRONMENT, featurestore
from demo_corpus import ROOT
from documentation import PAGES, commands, differs, write_files

from featurestore.errors import FeatureStoreError
from pipelines.experiments.recipe import read_recipe
from pipelines.experiments.settings import with_settings

SITE = ROOT / "mkdocs.yml"
LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
SHORTER = {"train": ("--epochs", "1", "--set", "copies_per_epoch=1")}
"""What is added to commands that would take long; all else is as the page has it."""
TOGETHER = ("README.md", "docs/first-table.md")
"""Pages that begin with the same commands, which are run once; every other page has a folder and a store of its own."""
GROUPS = [TOGETHER, *((page,) for page in PAGES if page not in TOGETHER and any(one.runs for one in commands(page)))]
OTHER_PROGRAMS = {"cd", "docker", "export", "git", "ls", "mkdir", "pip", "python3", "rm", "source", "."}
"""Programs whose arguments no test looks at, except for the extras that pip installs."""


def prose(page: str) -> str:
    """Return a page without its blocks of code and quoted code."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", lambda quoted: quoted[0] if "\n" in quoted[0] else "", text)


def anchors(page: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_repository_leads_to_a_file_and_a_heading(page):
    broken = []
    for link in LINK.finditer(prose(page)):
        target = (ROOT / page).parent / link["path"] if link["path"] else ROOT / page
        place = os.path.relpath(target, ROOT)
        if not target.exists() or (link["anchor"] and link["anchor"] not in anchors(place)):
            broken.append(link[0])

    assert broken == []


@pytest.fixture(scope="module")
def site_pages():
    """The hook of MkDocs."""
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_pages_of_the_site_link_to_is_on_the_site(site_pages):
    sources = {**site_pages.ELSEWHERE, **site_pages.NOTEBOOKS}.values()
    outside = {
        os.path.relpath((path.parent / link["path"]).resolve(), ROOT)
        for path in [*(ROOT / "docs").rglob("*.md"), *(ROOT / source for source in sources if source.endswith(".md"))]
        for link in site_pages.LINK.finditer(path.read_text(encoding="utf-8"))
    }

    missing = {path for path in outside if not path.startswith("docs/")} - {*sources, *site_pages.ATTACHED}

    assert missing == set()


def test_every_page_and_notebook_is_in_the_navigation_of_the_site(site_pages):
    navigation = yaml.load(SITE.read_text(encoding="utf-8"), yaml.BaseLoader)["nav"]  # noqa: S506 (makes only texts)

    named = [page for page in leaves(navigation) if page.endswith(".md")]

    files = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(named) == sorted({*files, *site_pages.ELSEWHERE, *site_pages.NOTEBOOKS, *site_pages.GENERATED})


def leaves(value):
    """Yield the texts in nested lists and tables."""
    if isinstance(value, str):
        yield value
    else:
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/systems/")])
def test_the_page_of_a_published_system_tells_all_that_its_recipe_does_otherwise(page):
    told = " ".join((ROOT / page).read_text(encoding="utf-8").split())

    missing = [text for text in read_recipe(Path(page).stem).departures if " ".join(text.split()) not in told]

    assert missing == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with warnings as errors."""
    for package in ("material", "mkdocstrings"):
        pytest.importorskip(package, reason="needs pip install 'featurestore[docs]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
                           cwd=ROOT, capture_output=True, text=True, check=False,
                           env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Loaded(HTMLParser):
    """Collects what a page loads."""

    def __init__(self):
        super().__init__()
        self.places = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("script", "img", "iframe", "source", "audio", "video") and values.get("src"):
            self.places.append(values["src"])
        if tag == "link" and values.get("rel") != "canonical":
            self.places.append(values.get("href", ""))


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site):
    loaded = Loaded()
    for page in site.rglob("*.html"):
        loaded.feed(page.read_text(encoding="utf-8"))
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]

    assert [place for place in loaded.places if re.match(r"(https?:)?//", place)] == []
    assert [found for style in styles for found in re.findall(r"url\((?:https?:)?//[^)]*\)|@import[^;]*", style)] == []


@pytest.mark.slow
def test_the_site_has_every_command_and_every_field(site):
    from cli.main import COMMANDS
    from pipelines.experiments.settings import describe_fields

    text = (site / "commands" / "index.html").read_text(encoding="utf-8")
    fields = (site / "fields" / "index.html").read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f'id="{name}"' not in text] == []
    known = [row["field"] for rows in describe_fields("keren-clstm").values() for row in rows]
    assert [name for name in known if f"<code>{name}</code>" not in fields] == []


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_every_command_of_a_page_has_these_options(page):
    wrong = [f"{command.text}: {problem}" for command in commands(page) if (problem := mistake(command.words))]

    assert wrong == []


def mistake(words: list[str]) -> str:
    """Return what is wrong with a command, as far as can be said without running it."""
    program, *rest = words or ["."]
    if program == "featurestore":
        return usage_error(rest) or setting_error(rest)
    if program == "dask":
        from distributed.cli import dask_scheduler, dask_worker

        role = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[rest[0]]
        role.make_context(rest[0], list(rest[1:]))
        return ""
    if program == "make":
        return "" if f"\n{rest[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8") else "no such target"
    if program in ("python", "bash", "pytest"):
        script = ROOT / rest[0]
        options = [word for word in rest if word.startswith("--")]
        text = script.read_text(encoding="utf-8") if script.is_file() else ""
        return "" if text and all(option in text for option in options) else "no such file or option"
    if program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        named = re.findall(r"\[([\w,]+)\]", " ".join(rest))
        return "" if {one for group in named for one in group.split(",")} <= {*extras} else "no such extra"
    return "" if program in OTHER_PROGRAMS else "what is this program?"


def usage_error(words: list[str]) -> str:
    """Return what click finds wrong with a command of ours; files need not exist."""
    from cli.main import featurestore as group

    context, rest = click.Context(group, info_name="featurestore"), list(words)
    try:
        while isinstance(group, click.Group) and rest and (found := group.get_command(context, rest[0])):
            group, context, rest = found, click.Context(found, context, info_name=rest[0]), rest[1:]
        if context.parent is None:
            return "no such command"
        group.make_context(context.info_name, rest, parent=context.parent)
    except click.exceptions.Exit:
        return ""
    except click.UsageError as error:
        missing_file = isinstance(getattr(getattr(error, "param", None), "type", None), click.Path | click.File)
        return "" if missing_file else error.format_message()
    return ""


def setting_error(words: list[str]) -> str:
    """Return what is wrong with the fields that a command changes of a recipe."""
    settings = [value for word, value in pairwise(words) if word == "--set"]
    recipes = [value for word, value in pairwise(words) if word == "--recipe"]
    if not settings or not recipes:
        return ""
    pytest.importorskip("torch")
    try:
        with_settings(read_recipe(recipes[0]).experiment(), settings)
    except FeatureStoreError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pages", GROUPS, ids=" ".join)
def test_every_command_runs_and_prints_what_its_page_shows(pages, tmp_path):
    done, wrong = {}, []
    for page in pages:
        write_files(page, tmp_path)
        for command in commands(page):
            if not command.runs:
                continue
            if command.text not in done:
                done[command.text] = run_in(tmp_path, command)
            result = done[command.text]
            told = differs(command.shown, result.stdout + result.stderr) if command.shown is not None else []
            if result.returncode:
                told = [f"exit code {result.returncode}, {result.stderr}"]
            wrong += [f"{page}: {command.text}: {line}" for line in told]

    assert wrong == []


def run_in(folder, command):
    """Run a command in a folder with a store of its own."""
    added = SHORTER.get(command.words[1], ())
    place = {"FEATURESTORE_HOME": str(folder / "store"), "PYTHONPATH": str(folder)}
    environment = {**ENVIRONMENT, **place, "COLUMNS": "160"}  # no line of a page is wrapped
    result = featurestore(*command.words[1:], *added, folder=folder, environment=environment)
    if command.redirected:
        (folder / command.redirected).write_text(result.stdout, encoding="utf-8")
    return result
