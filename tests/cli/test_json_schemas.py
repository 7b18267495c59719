"""docs/json.md says what `--json` prints: each command is run and its value held against that page."""

import json
import re

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from demo_corpus import ROOT

from cli.main import COMMANDS, featurestore, run

TOKEN = re.compile(r"\s*(//[^\n]*|[A-Za-z_]\w*\??|\[\]|[{}\[\]:,|])")


def read_schemas():
    """Return the type of each command, and of each name in capitals, as the page writes them."""
    text = "\n".join(re.findall(r"```ts\n(.*?)```", (ROOT / "docs" / "json.md").read_text(encoding="utf-8"), re.DOTALL))
    text = re.sub(r"//[^\n]*", "", text)
    parts = re.split(r"^([A-Za-z][\w -]*) = ", text, flags=re.MULTILINE)
    return {name: Type(body).alternatives() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


class Type:
    """Reads one type: names, `T[]`, `T | T`, `{name: T, name?: T, [name]: T}`."""

    def __init__(self, text):
        self.tokens = [token for token in TOKEN.findall(text) if not token.startswith("//")]

    def take(self, *expected):
        token = self.tokens.pop(0)
        assert not expected or token in expected, (token, expected)
        return token

    def alternatives(self):
        found = [self.one()]
        while self.tokens and self.tokens[0] == "|":
            self.take()
            found.append(self.one())
        return found

    def one(self):
        token = self.take()
        found = self.fields() if token == "{" else token  # noqa: S105
        while self.tokens and self.tokens[0] == "[]":
            self.take()
            found = ("list", found)
        return found

    def fields(self):
        known = {}
        while self.tokens[0] != "}":
            name = self.take()
            if name == "[":
                name = "[" + self.take() + self.take("]")
            self.take(":")
            known[name] = self.alternatives()
            if self.tokens[0] == ",":
                self.take()
        self.take("}")
        return known


SCHEMAS = read_schemas()
PLAIN = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),)}


def differences(value, wanted, place):
    """Return where a value is not of any of these types; nothing where it is of one."""
    found = [mismatch(value, one, place) for one in wanted]
    return [] if [] in found else found[0]


def mismatch(value, wanted, place):
    if isinstance(wanted, str) and wanted.isupper():
        return differences(value, SCHEMAS[wanted], place)
    if wanted == "any":
        return []
    if isinstance(wanted, str):
        fits = isinstance(value, PLAIN[wanted]) and isinstance(value, bool) is (wanted == "boolean")
        return [] if fits else [f"{place}: {value!r:.60} is no {wanted}"]
    if isinstance(wanted, tuple):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [wrong for item in value for wrong in mismatch(item, wanted[1], f"{place}[]")]
    if not isinstance(value, dict):
        return [f"{place} is no object"]
    rest = next((types for name, types in wanted.items() if name.startswith("[")), None)
    named = {name.rstrip("?"): types for name, types in wanted.items() if not name.startswith("[")}
    wrong = [f"{place}.{name} is missing" for name in wanted if name in named and name not in value]
    for name, item in value.items():
        types = named.get(name, rest)
        wrong += differences(item, types, f"{place}.{name}") if types else [f"{place}.{name} is not on the page"]
    return wrong


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a dataset, two runs, a folder of recordings and a long recording."""
    folder = tmp_path_factory.mktemp("json")
    recordings = folder / "recordings"
    recordings.mkdir()
    generator = np.random.default_rng(0)
    for name in (f"{speaker}_{label}_{take}" for speaker in "abc" for label in ("joy", "sad") for take in range(2)):
        soundfile.write(recordings / f"{name}.wav", 0.1 * generator.standard_normal(16_000), 16_000)
    soundfile.write(folder / "long.wav", 0.1 * generator.standard_normal(48_000), 16_000)
    trained = ("--split", "shuffled", "--allow-leak", "speaker", "--epochs", "1")
    for words in (
        ("build", "demo", "--jobs", "1"),
        ("train", "demo", *trained, "--run", str(folder / "run")),
        ("train", "demo", *trained, "--seeds", "2", "--run", str(folder / "seeds")),
    ):
        asked(folder, *words)
    return folder


def asked(folder, *words):
    result = CliRunner(env={"FEATURESTORE_HOME": str(folder / "store")}).invoke(featurestore, [*words, "--json"])
    assert result.exit_code in (0, 3), (words, result.stderr, result.exception)
    return json.loads(result.stdout)


ASKED = {
    "build": ["build demo --jobs 1", "build demo --augment 1 --dry-run"],
    "ls": ["ls"],
    "info": ["info demo"],
    "export": ["export demo --to hdf5 --out {0}/demo.h5"],
    "export RUN": ["export {0}/run --to torchscript --out {0}/model.pt"],
    "show": ["show demo m1_s1_neu.wav"],
    "track": ["track {0}/run --to tensorboard --out {0}/tracked"],
    "why": ["why demo --against demo"],
    "verify": ["verify", "verify --recompute 1"],
    "repair": ["repair"],
    "gc": ["gc"],
    "doctor": ["doctor --no-benchmark"],
    "corpora": ["corpora"],
    "corpora show": ["corpora show demo", "corpora show emodb", "corpora show iemocap"],
    "corpora check": ["corpora check {0}/recordings", "corpora check {0}/recordings --quality"],
    "corpora new": ["corpora new {0}/recordings --out {0}/proposed.toml"],
    "splits": ["splits demo"],
    "splits --split": ["splits demo --split loso", "splits demo --split speakers"],
    "models": ["models"],
    "recipes": ["recipes"],
    "presets": ["presets"],
    "policies": ["policies"],
    "fields": ["fields"],
    "train": ["train --resume {0}/run"],
    "train --seeds": ["train --resume {0}/seeds"],
    "evaluate": ["evaluate {0}/run"],
    "compare": ["compare {0}/run {0}/seeds", "compare {0}/run {0}/seeds {0}/run"],
    "ensemble": ["ensemble {0}/run {0}/seeds"],
    "predict": ["predict {0}/run {0}/long.wav", "predict {0}/run {0}/long.wav --window 1"],
    "report": ["report {0}/run", "report {0}/run --figures {0}/figures"],
    "reproduce": ["reproduce mathworks --show", "reproduce keren --show"],
    "reproduce --plan": ["reproduce keren --plan"],
    "push": ["push demo {0}/copy", "push demo {0}/features --without-sources"],
    "pull": ["pull demo {0}/copy --as again"],
    "forget": ["forget demo"],
}
SLOW = {"baseline", "crossval", "curve", "matrix", "tune"}
"""Held against the page where they are tested, since they train for long."""


@pytest.mark.parametrize(("command", "line"), [(name, line) for name, lines in ASKED.items() for line in lines])
def test_a_command_prints_what_the_page_says(place, command, line):
    pytest.importorskip("tensorboard" if command == "track" else "json")
    value = asked(place, *line.format(place).split())

    assert differences(value, SCHEMAS[command], command) == []


def test_an_error_is_what_the_page_says(capsys):
    run(["info", "nothing", "--json"])

    assert differences(json.loads(capsys.readouterr().out), SCHEMAS["error"], "error") == []


def test_every_command_is_on_the_page_and_tried_here():
    named = {name.split()[0] for name in SCHEMAS if not name.isupper()}

    assert named == {*COMMANDS, "error"}
    assert {name.split()[0] for name in ASKED} | SLOW == named - {"error"}
