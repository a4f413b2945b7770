"""Nested subsets of a list of items: first n of one order a seed, and nothing on both sides of a line."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reconscale as rs
from reconscale.data.subset import split_sources
from reconscale.study import Images
from reconscale.study import subsets as subsets_module
from reconscale.study.subsets import nested_order


@given(st.integers(8, 60), st.integers(0, 3), st.integers(1, 3), st.integers(1, 9), st.randoms())
def test_subsets_are_nested_and_the_order_of_the_list_does_not_matter(
    count: int, val: int, test: int, groups: int, shuffle: random.Random
) -> None:
    names = [f"{i}.png" for i in range(count)]
    labels = {name: f"g{i * groups // count}" for i, name in enumerate(names)} if groups > 4 else None
    listed = list(names)
    shuffle.shuffle(listed)
    sizes = [1, 2, 3]
    try:
        one = rs.subsets(names, sizes, 2, labels and [labels[x] for x in names], val, test)
    except rs.UserError:
        return
    other = rs.subsets(listed, sizes, 2, labels and [labels[x] for x in listed], val, test)
    assert [(s.train, s.val, s.test) for s in one] == [(s.train, s.val, s.test) for s in other]
    assert one.digest == other.digest
    assert len(one.val) == val and len(one.test) == test
    for seed in range(2):
        whole = one.train(one.available, seed)
        assert all(one.train(n, seed) == whole[:n] for n in sizes)
        parts = [set(whole), set(one.val), set(one.test)]
        assert len(set.union(*parts)) == sum(map(len, parts))
        if labels:
            sides = [{labels[x] for x in part} for part in parts]
            assert sum(map(len, sides)) == len(set.union(*sides))


def test_a_study_of_ours_has_the_same_subsets() -> None:
    names = sorted(f"photo-{i}.png" for i in range(40))
    train, val, test = split_sources(names, Images(source="folder", val=5, test=7), (5, 7))
    found = rs.subsets(names, [4, 9], 3, None, 5, 7)
    assert (found.val, found.test) == ([names[i] for i in val], [names[i] for i in test])
    for seed in range(3):
        order, _ = nested_order(train, seed, shuffled=False)
        assert found.train(9, seed) == [names[train[i]] for i in order[:9]]


def test_what_items_may_be() -> None:
    assert rs.subsets(9, 2).test == rs.subsets(range(9), 2).test == rs.subsets(np.arange(9), 2).test
    assert rs.subsets([Path("a/1"), Path("a/2"), Path("b/1")], 1).items[0] == Path("a/1")
    assert rs.subsets([("p1", 3), ("p1", 4), ("p2", 3)], 1).names == ("p1/3", "p1/4", "p2/3")
    assert rs.subsets((f"{i}" for i in range(4)), 2).available == 3


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ("photos", "found 'photos'"),
        (Path("photos"), "give a list of paths or ids"),
        ({"a": 1}, "found a dict"),
        ([], "the list is empty"),
        (0, "a whole number from 1"),
        (True, "found a bool"),
        ([1.5, 2.5], "number 0: found a float"),
        ([np.zeros(3)], "found a ndarray; give paths, ids or numbers"),
        ([None], "found a NoneType"),
        (["a.png", "b.png", "./a.png"], "'a.png' is given twice"),
        (["x", 1, "1"], "'1' is given twice"),
    ],
)
def test_other_items_are_refused(items: object, says: str) -> None:
    with pytest.raises(rs.UserError, match="items") as refused:
        rs.subsets(items, 1)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"n": 8}, "n: found 8; at most 7 of the 10 items are left for training (2 are for validation and 1 for test)"),
        ({"n": 0}, "n: found 0"),
        ({"n": [2, 2]}, "n: a value is given twice"),
        ({"n": []}, "n: the list is empty"),
        ({"n": 2.5}, "n: found 2.5"),
        ({"seeds": 0}, "seeds: found 0"),
        ({"seeds": [-1]}, "seeds: found -1"),
        ({"val": 9}, "nothing is left to train on"),
        ({"test": 0}, "test: found 0"),
        ({"groups": list("aab")}, "groups: found 3 labels for 10 items"),
        ({"groups": [None] * 10}, "groups, number 0: found None"),
        ({"groups": [float("nan")] * 10}, "groups, number 0: found nan"),
        ({"groups": "a" * 10}, "groups: found a str"),
        ({"groups": list("aaaaaaaaab")}, "in 2 groups"),
    ],
)
def test_what_cannot_be_divided(more: dict[str, object], says: str) -> None:
    with pytest.raises(rs.UserError) as refused:
        rs.subsets(10, **{"n": 2, "val": 2, "test": 1, **more})  # type: ignore[arg-type]
    assert says in str(refused.value)


def test_the_splitter_is_one_of_scikit_learn() -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    splitter = rs.NestedShuffleSplit([10, 20], seeds=3, test=15, val=5)
    scores = cross_val_score(LinearRegression(), x, x @ [1.0, 2.0, 3.0] + rng.normal(size=60), cv=splitter)
    assert len(scores) == splitter.get_n_splits() == 6 and scores.min() > 0.5
    found = rs.subsets(60, [10, 20], 3, None, 5, 15)
    assert [train.tolist() for train, _ in splitter.split(x)] == [one.train for one in found]
    assert all(test.tolist() == found.test for _, test in splitter.split(x))


@settings(max_examples=20)
@given(st.lists(st.sampled_from("abcdef"), min_size=12, max_size=30))
def test_the_splitter_keeps_groups_together(groups: list[str]) -> None:
    try:
        splits = list(rs.NestedShuffleSplit(3, seeds=2, test=2, val=2).split(np.zeros(len(groups)), groups=groups))
    except rs.UserError:
        return
    for train, test in splits:
        assert not {groups[i] for i in train} & {groups[i] for i in test}


def test_lists_say_which_items_are_held_out() -> None:
    names = [f"scan-{i:02d}.png" for i in range(12)]
    found = rs.subsets(names, [2, 4], 2, None, val=names[3:5], test=[Path(names[9]), "./scan-00.png"])
    assert (found.val, found.test) == (names[3:5], [names[0], names[9]])
    assert found.available == 8 and not found.unused
    assert all(set(one.train) <= set(names) - set(names[3:5]) - {names[0], names[9]} for one in found)
    assert rs.subsets(12, 2, val=range(3), test=np.array([7, 5])).test == [5, 7]
    assert rs.subsets([4, 5, 6, 7], 1, test=[6]).test == [6]  # an item, not a position


@given(st.integers(1, 4), st.integers(0, 4), st.integers(1, 9), st.randoms())
def test_a_list_of_what_was_drawn_gives_the_same(test: int, val: int, groups: int, shuffle: random.Random) -> None:
    names = [f"{i}.png" for i in range(24)]
    labels = [f"g{i * groups // 24}" for i in range(24)] if groups > 4 else None
    try:
        drawn = rs.subsets(names, [1, 2], 2, labels, val, test)
    except rs.UserError:
        return
    listed = {"val": list(drawn.val), "test": list(drawn.test)}
    for held in listed.values():
        shuffle.shuffle(held)
    again = rs.subsets(names, [1, 2], 2, labels, listed["val"] or 0, listed["test"])
    assert again.digest == drawn.digest
    assert [(one.train, one.val, one.test) for one in again] == [(one.train, one.val, one.test) for one in drawn]
    part = rs.subsets(names, 1, 1, labels, val, listed["test"])
    assert part.test == drawn.test and len(part.val) == val and not {*part.val, *part.train(1, 0)} & {*part.test}


def test_a_listed_part_of_a_group_keeps_the_rest_of_it_out() -> None:
    labels = list("aaabbbcccddd")
    found = rs.subsets(12, 3, 1, labels, val=[3], test=[0, 1])
    assert (found.val, found.test, found.available, found.unused) == ([3], [0, 1], 6, 3)
    assert found.digest != rs.subsets(12, 3, 1, labels, val=[3], test=[0, 1, 2]).digest


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"test": [3, 3]}, "test: '3' is given twice; give each item once"),
        ({"test": []}, "test: the list is empty; give at least one item"),
        ({"val": []}, "val: the list is empty; give at least one item, or val=0 for none"),
        ({"test": [12]}, "test: '12' is none of the 10 items; give items that are among them, such as '0'"),
        ({"test": ["a.png"]}, "test: 'a.png' is none of the 10 items"),
        ({"val": [1, 2], "test": [2, 3]}, "val and test: both hold '2'; give each item to one of the two"),
        (
            {"val": [1], "test": [2], "groups": list("abbccddeef")},
            "val and test: both hold the group 'b', with '1' and '2'",
        ),
        ({"test": "test.txt"}, "test: found 'test.txt'; give a number of items, or a list of items"),
        ({"test": {"a": 1}}, "test: found a dict"),
        ({"test": 0.2}, "test: found 0.2"),
        ({"test": [True, *[False] * 9]}, "test: found True; give the items themselves"),
        ({"test": np.arange(10) < 2}, "test: found True"),
        ({"test": [None]}, "test, number 0: found a NoneType"),
        ({"val": [*range(5)], "test": [*range(5, 10)]}, "hold out 5 + 5 of 10 items; nothing is left to train on"),
        ({"val": 9, "test": [3]}, "hold out 9 + 1 of 10 items; nothing is left"),
        ({"val": [1], "test": [5], "groups": list("aaaaabbbbb")}, "hold out 1 + 1 of 10 items in 2 groups"),
        ({"test": [1, 2, 3], "n": 8}, "at most 7 of the 10 items are left for training"),
    ],
)
def test_lists_that_cannot_be(more: dict[str, object], says: str) -> None:
    with pytest.raises(rs.UserError) as refused:
        rs.subsets(10, **{"n": 2, **more})  # type: ignore[arg-type]
    assert says in str(refused.value)


def test_the_splitter_takes_rows() -> None:
    x = np.zeros((12, 2))
    splitter = rs.NestedShuffleSplit([2, 4], test=iter([1, 8]), val=range(9, 12))
    for _ in range(2):
        splits = list(splitter.split(x))
        assert [test.tolist() for _, test in splits] == [[1, 8]] * 2
        assert all(not {1, 8, 9, 10, 11} & set(train.tolist()) for train, _ in splits)
    assert repr(splitter) == "NestedShuffleSplit(n=[2, 4], seeds=[0], test=[1, 8], val=range(9, 12))"
    with pytest.raises(rs.UserError, match="'12' is none of the 12 items"):
        list(rs.NestedShuffleSplit(2, test=[12]).split(x))


def test_a_hundred_thousand_items_are_ordered_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permutation takes tens of microseconds, so that one for each item and run would be minutes."""
    made: list[int] = []
    permutation = subsets_module.permutation
    monkeypatch.setattr(
        subsets_module, "permutation", lambda count, *rest: (made.append(count), permutation(count, *rest))[1]
    )
    order, ends = nested_order(np.arange(100_000), 3, shuffled=True)
    assert made == [100_000] and len(order) == ends[-1] == 100_000
    nested_order(np.array([0, 0, 1, 2, 2, 2]), 3, shuffled=True)
    assert sorted(made[1:]) == [2, 3, 3]  # three units, and those of two and of three images
