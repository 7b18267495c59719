"""A dataset's record is read only as it is written: no key more, no number in another form, no other seal."""

import copy
import json

import pytest

from featurestore.checksummed_json import canonical_json, digest, sealed
from featurestore.datasets import DatasetRecord
from featurestore.errors import DamagedObjectError
from featurestore.shards.parts import Part
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import CPU, RowSpec

RECORD = DatasetRecord(
    (Part.clean(RowSpec.current(FeatureSpec(high_hz=7000.0), None, CPU), (f"{number:064x}" for number in range(3))),),
    (f"shards/{0:016x}/{0:032x}",),
    f"{1:064x}",
)


@pytest.mark.parametrize("body", [{"a": 1}, {"z": 1}, {"name": "x", "table": ["y"]}])
def test_a_seal_is_the_checksum_of_the_body_wherever_it_stands(body):
    assert sealed(body) == canonical_json({**body, "seal": digest(body)}).encode()


def changed(path, value):
    body = copy.deepcopy(json.loads(RECORD.to_bytes()))
    body.pop("seal")
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return body


def test_a_record_is_read_as_it_was_written():
    assert DatasetRecord.from_bytes(RECORD.key, RECORD.to_bytes()) == RECORD


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["more"], 1),
        (["parts", 0, "more"], 1),
        (["parts", 0, "spec", "more"], 1),
        (["parts", 0, "spec", "features", "high_hz"], 7000),  # 7000.0 as it is written
        (["parts", 0, "first"], False),
        (["parts", 0, "stop"], 1.0),
        (["parts", 0, "contents", 0], f"{2:064x}"),
        (["format"], 1.0),
    ],
)
def test_a_record_that_says_more_or_writes_otherwise_is_damaged(path, value):
    with pytest.raises(DamagedObjectError, match=r"^[^\n]*$"):
        DatasetRecord.from_bytes(RECORD.key, sealed(changed(path, value)))


def test_a_record_with_a_wrong_seal_or_other_spacing_is_damaged():
    data = RECORD.to_bytes()
    for wrong in (data[:-3] + b'0"}', data.replace(b":", b": ", 1), data + b"\n"):
        with pytest.raises(DamagedObjectError, match="its seal does not match"):
            DatasetRecord.from_bytes(RECORD.key, wrong)
