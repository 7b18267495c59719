"""Values of people's files held against declared types."""

from collections.abc import Mapping

import pytest

from featurestore.errors import SpecError
from featurestore.typed_values import typed


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, float, 3.0),
        (3, float | None, 3.0),
        (None, float | None, None),
        ([1, 2.5], tuple[float, ...], (1.0, 2.5)),
        ({"lstm": 1}, Mapping[str, float], {"lstm": 1.0}),
    ],
)
def test_a_whole_number_serves_as_a_float_and_a_list_as_a_tuple(value, kind, expected):
    found = typed(value, kind, "field")

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, int),
        (True, float | None),
        (1, bool),
        ("1", int),
        (1.5, int),
        (float("nan"), float),
        (float("inf"), float | None),
        (2**64, int),
        ([1, "x"], tuple[float, ...]),
        ({"lstm": "x"}, Mapping[str, float]),
        (None, str),
    ],
)
def test_a_value_of_another_type_is_one_line_that_names_its_place(value, kind):
    with pytest.raises(SpecError, match=r"^field[^\n]*$"):
        typed(value, kind, "field")
