"""JSON is written as the standard library would, only faster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconscale.files import to_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_as_the_standard_library(value: Any) -> None:
    assert to_json(value) == json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


@pytest.mark.parametrize(
    "value", [float("nan"), {"a": float("inf")}, {"a": [{"b": float("-inf")}]}, [1, [float("nan")]]]
)
def test_no_number_that_json_cannot_spell(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(value)
