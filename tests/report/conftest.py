"""One synthetic study with its report, and one of points alone, for all tests of the room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.report import report_points, report_study
from reconscale.results import Folder
from reconscale.study import Study, runs_of

from .synthetic import spoil, study_of, write_pictures, write_results


@dataclass(frozen=True)
class Written:
    study: Study
    folder: Folder
    out: Path

    @property
    def html(self) -> str:
        return (self.out / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    root = tmp_path_factory.mktemp("report")
    study = study_of()
    folder = write_results(study, root / "runs")
    runs = runs_of(study)
    spoil(folder, runs[4], "the loss became NaN at step 812", "diverged")
    spoil(folder, runs[17], "out of memory <img src=x onerror=alert(1)>")
    write_pictures(study, folder)
    report_study(study, folder, root / "report")
    return Written(study, folder, root / "report")


@pytest.fixture(scope="session")
def curve() -> Points:
    rng = np.random.default_rng(1)
    n = np.repeat([250, 500, 1000, 2000, 4000, 8000], 2)
    y = 0.02 + 0.4 * n**-0.55 * np.exp(rng.normal(0, 0.02, len(n)))
    return Points(n, y, np.tile([0, 1], 6), metric="error", unit="volumes", profile="nmse")


@pytest.fixture(scope="session")
def plane() -> Points:
    """Four sizes, three networks, errors."""
    n, p = (grid.ravel() for grid in np.meshgrid([100.0, 300.0, 1000.0, 3000.0], [1e5, 4e5, 1.6e6]))
    noise = np.exp(np.random.default_rng(2).normal(0, 0.01, len(n)))
    return Points(n, (0.01 + 0.2 * n**-0.5 + 0.5 * p**-0.4) * noise, p=p, metric="error")


@pytest.fixture(scope="session")
def alone(curve: Points, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_points(curve, tmp_path_factory.mktemp("points"), title="NMSE of volumes", worthwhile=0.2).parent
