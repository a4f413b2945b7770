"""A study or a CSV beside published curves, for the verbs curves and report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconscale.cli.source import Source, StudySource

if TYPE_CHECKING:
    from reconscale.report.published import Beside

GROUPS = {"tomography": "ct"}
"""Kind of a problem -> the group of published curves, where it is called otherwise."""


def set_beside(opened: Source, names: Sequence[str], group: str = "") -> Beside:
    """What is known of a study or a CSV beside published curves.

    Raises:
        UserError: no published curve is chosen, none is in the same metric, or no published curve is of this group.
    """
    from reconscale.report.published import compare_published

    _check_group(group)

    if isinstance(opened, StudySource):
        kind = opened.study.problem.kind
        group = group or GROUPS.get(kind, kind)
    return compare_published(opened.points, f"your {opened.name}", group, names=names)


def _check_group(group: str) -> None:
    from reconscale.errors import UserError, suggest
    from reconscale.laws.published_curves import published_curves

    known = sorted({curve.group for curve in published_curves().values()})
    if group and group not in known:
        raise UserError("--group", f"found '{group}'", suggest(GROUPS.get(group, group), known))
