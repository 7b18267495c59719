"""`recipes`, `presets`, `policies` and `fields`: what comes with the package can be listed, printed and used again."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from cli.main import featurestore, run
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, policy
from models.networks import MODELS
from models.training_spec import TrainingSpec
from pipelines.experiments.recipe import read_recipe
from pipelines.experiments.settings import documented_fields


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(featurestore, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("kind", ["recipes", "presets", "policies"])
def test_each_entry_of_a_list_can_be_printed_and_read_again_from_a_file(kind, tmp_path):
    read = {"recipes": lambda name: read_recipe(name).document, "presets": feature_preset, "policies": policy}[kind]
    rows = json.loads(printed(kind, "--json"))

    assert len(rows) >= 4
    lines = [line for line in printed(kind).splitlines()[1:] if not line.startswith(" ")]  # else it is a wrapped column
    assert [row["name"] for row in rows] == [line.split()[0] for line in lines]
    for row in rows:
        copy = tmp_path / f"{row['name']}.toml"
        copy.write_text(printed(kind, row["name"]), encoding="utf-8")
        assert read(str(copy)) == read(row["name"])


@pytest.mark.parametrize(
    ("kind", "near", "meant"), [("recipes", "mathwork", "mathworks"), ("policies", "vltp", "vtlp")]
)
def test_a_name_that_is_none_offers_the_nearest(kind, near, meant, capsys):
    assert run([kind, near]) == 1
    assert f"did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_field_that_can_be_set_is_listed_with_its_meaning(model):
    tables = json.loads(printed("fields", "--model", model, "--json"))

    assert sorted(tables) == sorted(["dataset", "split", "vote", "model", "training", "features", "policy"])
    assert {row["field"] for row in tables["training"]} == {item.name for item in dataclasses.fields(TrainingSpec)}
    assert {row["field"] for row in tables["model"]} == {"name", *MODELS[model].settings}
    assert [(name, row["field"]) for name, rows in tables.items() for row in rows if not row["meaning"]] == []


def test_a_default_is_the_one_of_the_class():
    listed = {one.name: one for one in documented_fields(FeatureSpec)}

    assert listed["hop_length"].default == FeatureSpec().hop_length == 512
    assert listed["hop_length"].meaning == "Step between frames in samples."
