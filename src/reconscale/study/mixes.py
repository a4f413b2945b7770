"""Mixes: how many training images come from each of several sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Protocol, TypeVar

from reconscale.errors import suggest
from reconscale.format import amount, plain


class MixedRun(Protocol):
    """A run of anybody's, as far as mixes ask."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def n(self) -> int:
        """Training images in all."""

    @property
    def seed(self) -> int:
        """Its replicate."""

    @property
    def mix(self) -> Mapping[str, int]:
        """Source -> how many of them are its."""


R = TypeVar("R", bound=MixedRun)
Mix = Mapping[str, float]
"""Source -> share of the training images, or how many of them."""
CLOSE = 1e-6
"""Shares may sum to 1 but for this."""
MOST_MIXES = 10_000


def fill_in_mixes(content: Any) -> Any:
    """The content of ``[sweep]`` with a table of numbers turned into the list of all its mixes, and with the sizes.

    Raises:
        ValueError: the mixes are none.
    """
    if not isinstance(content, Mapping) or not content.get("mix"):
        return content
    mixes = content["mix"]
    if isinstance(mixes, Mapping):
        mixes = _grid(mixes)
    if not isinstance(mixes, list | tuple) or not all(isinstance(mix, Mapping) for mix in mixes):
        raise ValueError("mix: a list of mixes is expected, such as [{photographs = 1.0}, {photographs = 0.5, leaves = "
                         "0.5}], or a table of numbers of images for each source")  # fmt: skip
    if len(mixes) > MOST_MIXES:
        raise ValueError(f"mix: found {len(mixes):,} mixes; give {MOST_MIXES:,} at most")
    mixes = tuple(dict(mix) for mix in mixes)
    for number, mix in enumerate(mixes):
        _check_numbers(number, mix)
    if "n" not in content:
        for number, mix in enumerate(mixes):
            if not all(isinstance(value, int) for value in mix.values()):
                raise ValueError(f"mix.{number}: {spell(mix)} are shares, and n is missing; give n, or whole numbers "
                                 "of images")  # fmt: skip
        return {**content, "mix": mixes, "n": tuple(dict.fromkeys(round(sum(mix.values())) for mix in mixes))}
    return {**content, "mix": mixes}


def _grid(table: Mapping[str, Any]) -> list[dict[str, int]]:
    """All combinations of numbers of images, but for that without any."""
    columns = {}
    for name, numbers in table.items():
        column = numbers if isinstance(numbers, list | tuple) else (numbers,)
        if not column or not all(type(number) is int for number in column):
            raise ValueError(f"mix.{name}: found {list(column)}; give whole numbers of images")
        if len(set(column)) < len(column):
            raise ValueError(f"mix.{name}: a number is given twice; give each once")
        columns[str(name)] = column
    size = 1
    for column in columns.values():
        size *= len(column)
    if size > MOST_MIXES:
        raise ValueError(f"mix: found {size:,} mixes; give {MOST_MIXES:,} at most")
    made = [dict(zip(columns, numbers, strict=True)) for numbers in product(*columns.values())]
    kept = [mix for mix in made if sum(mix.values())]
    if not kept:
        raise ValueError("mix: has no images of any source; give a number above 0")
    return kept


def _check_numbers(number: int, mix: Mapping[str, Any]) -> None:
    for name, value in mix.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e12:
            raise ValueError(f"mix.{number}.{name}: found {value!r}; give a share from 0 to 1, or a number of images")
    if not sum(mix.values()):
        raise ValueError(f"mix.{number}: has no images of any source; leave it out")


def _whole(mix: Mix) -> bool:
    return all(float(value).is_integer() for value in mix.values())


def spell(mix: Mix) -> str:
    """A mix as it is written in a study file.

    >>> spell({"photographs": 0.5, "leaves": 0.5})
    '{photographs = 0.5, leaves = 0.5}'
    """
    return "{" + ", ".join(f"{name} = {value:g}" for name, value in mix.items()) + "}"


def counts_of(n: Sequence[int], mixes: Sequence[Mix]) -> dict[int, tuple[dict[str, int], ...]]:
    """How many images come from each source: n -> mixes of as many, in the order of the study file, each once.

    A mix is of shares where it sums to 1, and of numbers of images else. Shares of n are rounded so that they sum to n.

    Args:
        n: how many in all.
        mixes: shares, or numbers of images that sum to one of ``n``.

    Raises:
        ValueError: a mix sums neither to 1 nor to one of ``n``; or a share of an n is less than one image.

    >>> counts_of([10], [{"a": 1.0}, {"a": 0.34, "b": 0.66}])
    {10: ({'a': 10}, {'a': 3, 'b': 7})}
    """
    found: dict[int, list[dict[str, int]]] = {size: [] for size in n}
    for number, mix in enumerate(mixes):
        total = sum(mix.values())
        if abs(total - 1) <= CLOSE:
            for size in n:
                found[size].append(_rounded(number, mix, size))
        elif _whole(mix) and round(total) in found:
            found[round(total)].append({name: round(value) for name, value in mix.items() if value})
        else:
            known = ", ".join(map(str, n[:5]))
            what = f"sums to {total:g}, neither to 1, as shares do, nor to one of n = {known}"
            raise ValueError(f"mix.{number}: {spell(mix)} {what}; mend it, or leave n out for numbers of images")
    unique = {size: tuple({tuple(sorted(mix.items())): mix for mix in made}.values()) for size, made in found.items()}
    if empty := [size for size, made in unique.items() if not made]:
        raise ValueError(f"n: no mix has {empty[0]} images in all; take it out, or add such a mix")
    return unique


def _rounded(number: int, mix: Mix, n: int) -> dict[str, int]:
    """Whole numbers that sum to n, by the largest remainders."""
    exact = {name: share * n for name, share in mix.items() if share}
    counts = {name: int(value + CLOSE) for name, value in exact.items()}
    late = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in late[: n - sum(counts.values())]:
        counts[name] += 1
    if lost := next((name for name, count in counts.items() if not count), None):
        raise ValueError(f"mix.{number}: {mix[lost]:g} of n = {n} is less than one image of {lost}; give larger n, or "
                         "another share")  # fmt: skip
    return counts


def check_mixes(names: Sequence[str], mixes: Sequence[Mix]) -> None:
    """Refuse mixes of sources that the images have not, and sources in no mix.

    Args:
        names: of the sources; none where there is one.
        mixes: of the sweep.

    Raises:
        ValueError: as said; the sentence begins with the table.
    """
    if not names:
        if mixes:
            raise ValueError("sweep.mix: the images come from one source; name several in [images.sources.NAME]")
        return
    if not mixes:
        raise ValueError(f"sweep.mix: is missing; say how many images come from {' and '.join(names)}")
    used = {name for mix in mixes for name, value in mix.items() if value}
    for number, mix in enumerate(mixes):
        for name in mix:
            if name not in names:
                raise ValueError(f"sweep.mix.{number}: there is no source '{name}'; {suggest(name, names)}")
    for name in names:
        if name not in used:
            raise ValueError(f"images.sources.{name}: is in no mix; add it to one, or take it out")


def shares_of(run: MixedRun, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """What a run's mix has of each of the sources that are named: (name, share)."""
    return tuple((name, run.mix.get(name, 0) / run.n) for name in names)


def mix_words(counts: Mapping[str, int], *, of: Sequence[str] = ()) -> str:
    """How many images of each source, in words.

    >>> mix_words({"photographs": 50, "leaves": 2000})
    '50 photographs + 2,000 leaves'
    """
    names = [name for name in of or counts if counts.get(name)]
    return " + ".join(f"{amount(counts[name])} {name}" for name in names)


def share_words(shares: Iterable[tuple[str, float]]) -> str:
    """The shares of a mix, in words.

    >>> share_words((("photographs", 1.0), ("leaves", 0.0))), share_words((("photographs", 0.2), ("leaves", 0.8)))
    ('photographs alone', '20 % photographs, 80 % leaves')
    """
    some = [(name, share) for name, share in shares if share]
    if len(some) == 1:
        return f"{some[0][0]} alone"
    return ", ".join(f"{plain(100 * share, 0 if share >= 0.1 else 1)} % {name}" for name, share in some)


ROUNDED = 1.0
"""Images by which the counts of two runs of the same shares may differ from these."""


def judged_runs(names: Sequence[str], runs: Sequence[R]) -> list[R]:
    """The runs that the verdict on more images is about: those of one source, or of one mix of several.

    The mix is the target alone where that was trained at three sizes or more, else that of most sizes, of these that
    with most of the target.

    Args:
        names: of the sources, the target first; none where there is one source.
        runs: of the plan of a study.
    """
    if not names:
        return list(runs)
    lines = _lines(runs, names)
    alone = next((line for shares, line in lines if shares[0][1] == 1.0 and _sizes(line) >= LEAST_SIZES), None)
    if alone is not None:
        return alone
    return max(lines, key=lambda item: (_sizes(item[1]), item[0][0][1]))[1]


LEAST_SIZES = 3
"""Of a curve over n."""


def _lines(runs: Sequence[R], names: Sequence[str]) -> list[tuple[tuple[tuple[str, float], ...], list[R]]]:
    """Runs whose mixes have the same shares, up to the rounding of counts: those of the largest n say which."""
    found: list[tuple[tuple[tuple[str, float], ...], list[R]]] = []
    for run in sorted(runs, key=lambda run: -run.n):
        shares = dict(shares_of(run, names))
        for known, line in found:
            same = all(abs(run.mix.get(name, 0) - share * run.n) < ROUNDED for name, share in known)
            if same and all((share > 0) == (shares[name] > 0) for name, share in known):
                line.append(run)
                break
        else:
            found.append((shares_of(run, names), [run]))
    order = {run.id: place for place, run in enumerate(runs)}
    return [(shares, sorted(line, key=lambda run: order[run.id])) for shares, line in found]


def _sizes(runs: Iterable[MixedRun]) -> int:
    return len({run.n for run in runs})
