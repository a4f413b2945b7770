"""Where n, p, width and seed come from."""

from __future__ import annotations

import pytest

from reconscale import UserError
from reconscale.importers import ColumnMapping, RunLog
from reconscale.importers.labels import map_columns


def values(name: str, settings: dict[str, str | int | float | bool] | None = None, **asked: str) -> dict[str, int]:
    pattern = asked.pop("pattern", "")
    found = map_columns(RunLog(name, settings or {}), ColumnMapping(asked, pattern))
    return {label: item.value for label, item in found.items()}


@pytest.mark.parametrize(
    "key", ["n", "n_train", "train_size", "Train-Size", "num_train", "data.train_size", "data/n_train", "N_TRAIN"]
)
def test_usual_names(key: str) -> None:
    assert values("a", {key: "100", "lr": 0.1}) == {"n": 100}


def test_a_dropout_probability_is_not_p() -> None:
    assert values("a", {"p": 0.5, "n": 10, "layer.n": 3}) == {"n": 10}


def test_asked_names_come_first() -> None:
    settings = {"n": 10, "images": 20, "seed": 1, "torch_seed": 2}
    assert values("a", settings, n="images", seed="torch_seed") == {"n": 20, "seed": 2}
    assert values("a", settings, seed="none") == {"n": 10}


def test_whole_numbers_however_they_are_written() -> None:
    assert values("a", {"n": 1e4, "seed": "-1", "num_params": "4.6e7"}) == {"n": 10_000, "seed": -1, "p": 46_000_000}
    assert values("a", {"n": 10, "seed": "None"}) == {"n": 10}


@pytest.mark.parametrize(
    "name, pattern, expected",
    [
        ("n100_w16_s0", "n{n}_w{width}_s{seed}", {"n": 100, "width": 16, "seed": 0}),
        ("unet/n1k/seed-3", "n{n}/seed-{seed}", {"n": 1000, "seed": 3}),
        ("p1.2M_n2.5k", "p{p}_n{n}", {"n": 2500, "p": 1_200_000}),
        ("gain10_n100_lr1e-4_s2", "n{n}_*_s{seed}", {"n": 100, "seed": 2}),
        ("n100", "s{seed}", {}),
        ("run (n=100)", "n={n}", {"n": 100}),
        ("n1000", "n100{n}", {"n": 0}),
    ],
)
def test_patterns(name: str, pattern: str, expected: dict[str, int]) -> None:
    if expected.get("n") == 0:
        with pytest.raises(UserError, match="a whole number from 1"):
            values(name, pattern=pattern)
    else:
        assert values(name, pattern=pattern) == expected


def test_a_name_and_a_setting_that_contradict_each_other() -> None:
    with pytest.raises(UserError, match="say --n-from train_size or --n-from pattern"):
        values("n100", {"train_size": 90}, pattern="n{n}")
    assert values("n100", {"train_size": 90}, pattern="n{n}", n="pattern") == {"n": 100}
    assert values("n100", {"train_size": 90}, pattern="n{n}", n="train_size") == {"n": 90}
    assert values("n100", {"train_size": 100}, pattern="n{n}") == {"n": 100}


@pytest.mark.parametrize(
    "settings, asked, part",
    [
        ({"n": 0}, {}, "found 0 as n; a whole number from 1 is expected"),
        ({"train_size": 0.8}, {}, "found 0.8 as n"),
        ({"train_size": "all"}, {}, "found 'all' as n; name another setting by --n-from"),
        ({"train_size": True}, {}, "found 'True' as n"),
        ({"n": 5, "seed": 1.5}, {}, "a whole number is expected"),
        ({"a.train_size": 5, "b.train_size": 6}, {}, r"several settings could be n: a.train_size \(5\), b.train_size"),
        ({}, {"pattern": "n{m}"}, r"holds \{m\}; the labels are"),
        ({}, {"pattern": "n{n}_{n}"}, r"holds \{n\} twice"),
        ({}, {"pattern": "n100"}, "with no label in it"),
        ({}, {"n": "none"}, "n cannot be left out"),
        ({}, {"seed": "pattern", "pattern": "n{n}"}, r"give a --pattern with \{seed\}"),
        ({}, {"pattern": "{n}"}, "fits '7/8' in two ways"),
    ],
)
def test_mistakes(settings: dict[str, str | int | float | bool], asked: dict[str, str], part: str) -> None:
    with pytest.raises(UserError, match=part):
        values("7/8", settings, **asked)
