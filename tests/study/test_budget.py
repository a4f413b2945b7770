"""Budgets as people write them."""

from __future__ import annotations

import pytest

from reconscale.errors import UserError
from reconscale.study.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", Budget(7200.0)),
        ("1.5 h", Budget(5400.0)),
        ("90min", Budget(5400.0)),
        (" 45m ", Budget(2700.0)),
        ("30s", Budget(30.0)),
        ("2d", Budget(172_800.0)),
        ("2h30m", Budget(9000.0)),
        ("1d 12h", Budget(129_600.0)),
        ("40runs", Budget(runs=40)),
        ("1 run", Budget(runs=1)),
        ("decided", Budget()),
    ],
)
def test_what_is_read(text: str, expected: Budget) -> None:
    assert parse_budget(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2", "h", "-1h", "0h", "0runs", "1.5runs", "2hours", "nan h", "1e3s", "2h30", "30m 2h", "2h 3h", "٣h"]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--budget: found"):
        parse_budget(text)


def test_in_words() -> None:
    assert parse_budget("2h").words == "2 h"
    assert parse_budget("40runs").words == "40 runs"
    assert Budget().words == "the whole grid"


def test_the_sentence_names_what_the_caller_wrote() -> None:
    with pytest.raises(UserError, match="^budget: found '0runs'"):
        parse_budget("0runs", "budget")
