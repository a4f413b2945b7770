"""What studies/README.md says in words, against the results beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.results import Folder
from reconscale.study import load_study, runs_of

STUDIES = Path(__file__).resolve().parents[2] / "studies"
ABLATIONS = sorted(path.parent.name for path in (STUDIES / "ablations").rglob("study.toml"))


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_state_of_an_ablation_is_that_of_its_results(name: str) -> None:
    """Converged, still gaining, or not run: in the order in which the sentence names them."""
    page = (STUDIES / "README.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `ablations/*`"))
    trained_out, _, rest = row.partition(" trained out, ")
    still_gaining, _, not_run = rest.partition(" not; ")
    path = STUDIES / "ablations" / name / "study.toml"
    results = Folder.beside(path).results(runs_of(load_study(path)))
    converged = [result.converged for result in results]
    part = trained_out if converged and all(converged) else still_gaining if converged else not_run
    assert f"`{name}`" in part
    if converged and not all(converged):
        assert f"`{name}` ({sum(map(bool, converged))} of {len(converged)})" in part
