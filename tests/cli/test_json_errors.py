"""With `--json` a command prints one JSON value whatever happens; scripts read why it failed from it."""

import json
import subprocess
import sys

import pytest
from command_line import featurestore

from cli.main import run

WRONG = [
    (["build", "emodbb", "--json"], 1, "UnknownNameError"),
    (["info", "nothing", "--json"], 1, "StorageError"),
    (["train", "--json"], 1, "SpecError"),
    (["train", "--recipe", "demo", "--set", "x=1", "--json"], 1, "UnknownNameError"),
    (["build", "emodb", "--augment", "-1", "--json"], 2, "UsageError"),
    (["build", "--json", "--no-such-option"], 2, "UsageError"),
    (["nothing", "--json"], 2, "UsageError"),
    (["predict", "nowhere", "a.wav", "--json"], 1, "RunError"),
    (["reproduce", "nothing", "--json"], 1, "UnknownNameError"),
]


@pytest.mark.parametrize(("words", "code", "kind"), WRONG, ids=lambda value: str(value)[:40])
def test_an_error_is_one_json_value_with_its_text_kind_and_exit_code(words, code, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FEATURESTORE_HOME", str(tmp_path / "store"))
    assert run(words) == code

    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert (answer["exit_code"], sorted(answer)) == (code, ["error", "exit_code", "kind"])
    assert answer["kind"] == kind
    assert answer["error"].rstrip(".") in " ".join(told.err.split())  # people read the same on standard error


def test_without_json_nothing_is_printed_on_standard_output(capsys):
    assert run(["build", "emodbb"]) == 1
    assert capsys.readouterr().out == ""


def test_json_behind_two_dashes_is_a_name_and_no_option(capsys):
    assert run(["info", "--", "--json"]) == 1
    assert capsys.readouterr().out == ""


def test_in_a_folder_with_its_own_models_and_cli_ours_runs(tmp_path):
    """A clone of somebody's own project is where people stand when they train."""
    for name in ("models", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('theirs')")
    for name in ("cli.py", "joblib.py", "click.py"):
        (tmp_path / name).write_text("raise SystemExit('theirs')")
    for command in (["models", "--json"], ["recipes", "--json"], ["train", "--recipe", "none", "--json"]):
        result = subprocess.run(
            [sys.executable, "-m", "featurestore", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "theirs" not in result.stderr
        assert json.loads(result.stdout)


def test_python_m_featurestore_is_the_command():
    assert (
        featurestore("--version").stdout
        == subprocess.run(
            [sys.executable, "-m", "featurestore", "--version"], capture_output=True, text=True, check=True
        ).stdout
    )


def test_what_needs_torch_says_so_in_one_line_where_it_is_not_installed():
    code = "import sys; sys.modules['torch'] = None; from cli.main import run; sys.exit(run())"
    result = subprocess.run(
        [sys.executable, "-c", code, "models", "--json"], capture_output=True, text=True, check=False
    )

    told = "the package torch is not installed, which this command needs: pip install torch"
    assert (result.returncode, result.stderr) == (1, f"error: {told}\n")
    assert json.loads(result.stdout) == {"error": told, "kind": "ModuleNotFoundError", "exit_code": 1}
