"""Results that were computed in several precisions."""

from __future__ import annotations

from pathlib import Path

from reconscale.report import run_findings
from reconscale.results import Folder
from reconscale.study import runs_of

from .synthetic import result_of, study_of


def written(root: Path, *precision: str) -> list[str]:
    """The codes of what is found where results are computed in these, in turn."""
    study, folder = study_of(), Folder(root)
    for place, run in enumerate(runs_of(study)):
        result = result_of(run)
        known = {**result.provenance, "precision": precision[place % len(precision)]}
        result.model_copy(update={"provenance": known}).write(folder.of(run))
    return [
        found.text
        for found in run_findings(study, folder, folder.results(runs_of(study)))
        if "computed in" in found.text
    ]


def test_mixed_precisions_are_a_caution(tmp_path: Path) -> None:
    (text,) = written(tmp_path / "mixed", "bf16", "fp32", "fp32+channels_last")
    assert text.startswith("15 of 45 runs were computed in bf16, the others in fp32")


def test_layouts_of_one_precision_are_none(tmp_path: Path) -> None:
    assert not written(tmp_path / "one", "fp32", "fp32+channels_last")
