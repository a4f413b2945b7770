"""From a folder of results to the points that laws are fitted to."""

from __future__ import annotations

import numpy as np

from reconscale.laws import Points
from reconscale.mistakes import Mistake
from reconscale.study.file import Study
from reconscale.study.folder import Folder
from reconscale.study.plan import runs_of
from reconscale.study.profiles import PROFILES
from reconscale.study.result import Result


def points_of(study: Study, folder: Folder, *, profile: str | None = None, test_set: str | None = None) -> Points:
    """The measured points of a study: one row a run that is done.

    Args:
        study: the study.
        folder: its folder of results.
        profile: a name in ``PROFILES``; none: the study's own.
        test_set: ``test`` or a named test set; none: the study's main one.

    Raises:
        Mistake: no run is done yet, a result is damaged, or the profile or test set is not in the results.
    """
    results = [r for r in folder.results(runs_of(study)) if r.status == "done"]
    if not results:
        raise Mistake(folder.root, "holds no run that is done", "carry the study out first: `reconscale run`")
    return points_from(results, profile=profile or study.analysis.profile, test_set=test_set or study.images.main_test)


def points_from(results: list[Result], *, profile: str, test_set: str) -> Points:
    """The points of results that are done, all on one test set and in one profile.

    Raises:
        Mistake: the profile or the test set is not in the results.
    """
    for result in results:
        if test_set not in result.metrics:
            raise Mistake(
                result.run.id, f"has no test set '{test_set}'", f"it has: {', '.join(sorted(result.metrics))}"
            )
        if profile not in result.metrics[test_set]:
            known = ", ".join(sorted(result.metrics[test_set]))
            raise Mistake(result.run.id, f"has no metric '{profile}' on '{test_set}'", f"it has: {known}")
    names = list(results[0].images.get(test_set, {}))
    per_image = np.array([[r.images[test_set][name]["mse"] for name in names] for r in results]) if names else None
    kind = PROFILES[profile].kind
    return Points(
        n=np.array([r.run.n for r in results], float),
        y=np.array([r.metrics[test_set][profile] for r in results]),
        seed=np.array([r.run.seed for r in results]),
        p=np.array([r.p for r in results], float),
        width=np.array([r.run.network.width for r in results]),
        validation=np.array([r.metrics["val"][profile] for r in results]),
        images=per_image,
        metric=kind,
        profile=profile,
        unit=results[0].run.images.noun,
    )
