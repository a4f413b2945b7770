"""Study files whose training images come from several sources: mixes, what is refused, ids, and the judged mix."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconscale.errors import UserError
from reconscale.study import Run, Study, parse_study, runs_of
from reconscale.study.defaults import written_out
from reconscale.study.mixes import judged_runs, shares_of

TEXT = """
version = 2
name = "mixes"
[problem]
kind = "denoising"
[images]
val = 2
test = 3
[images.sources.photographs]
source = "folder"
folders = ["photographs"]
[images.sources.deadleaves]
source = "deadleaves"
[sweep]
n = [10, 20, 40]
width = [8]
mix = [{photographs = 1.0}, {photographs = 0.5, deadleaves = 0.5}, {photographs = 0.34, deadleaves = 0.66}]
"""


def content() -> dict[str, Any]:
    return tomllib.loads(TEXT)


def counts(study: Study) -> list[dict[str, int]]:
    return [dict(run.mix) for run in runs_of(study)]


def test_shares_are_of_every_n_and_sum_to_it() -> None:
    study = parse_study(content())
    assert counts(study)[:3] == [
        {"photographs": 10},
        {"photographs": 5, "deadleaves": 5},
        {"photographs": 3, "deadleaves": 7},
    ]
    assert all(sum(run.mix.values()) == run.n for run in runs_of(study))
    assert study.images.source_names == ("photographs", "deadleaves") and study.images.target == "photographs"


def test_numbers_need_no_n_and_a_table_is_every_combination() -> None:
    given = content()
    given["sweep"] = {"width": [8], "mix": [{"photographs": 5}, {"photographs": 5, "deadleaves": 20}]}
    study = parse_study(given)
    assert study.sweep.n == (5, 25)
    assert counts(study) == [{"photographs": 5}, {"photographs": 5, "deadleaves": 20}]
    given["sweep"] = {"width": [8], "mix": {"photographs": [0, 5], "deadleaves": [0, 20]}}
    assert counts(parse_study(given)) == [{"deadleaves": 20}, {"photographs": 5}, {"photographs": 5, "deadleaves": 20}]


def test_shares_and_numbers_of_the_same_mix_are_the_same_run() -> None:
    given = content()
    given["sweep"] = {"width": [8], "mix": [{"deadleaves": 5, "photographs": 5}]}
    assert {run.id for run in runs_of(parse_study(given))} < {run.id for run in runs_of(parse_study(content()))}


def test_what_is_written_out_and_recorded_means_the_same() -> None:
    study = parse_study(content())
    again = parse_study(json.loads(json.dumps(written_out(study), sort_keys=True)))
    assert [run.id for run in runs_of(again)] == [run.id for run in runs_of(study)]
    run = runs_of(study)[-1]
    record = json.dumps(run.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    assert Run.model_validate_json(record).id == run.id


def test_ids_are_those_of_the_mix_and_of_nothing_else() -> None:
    runs = runs_of(parse_study(content()))
    assert len({run.id for run in runs}) == len(runs) == 9
    assert runs[0].id == "denoising-unet-w8-n10-s0-8176e17964ca"  # a change renames the results of users


def test_the_target_alone_is_judged_where_it_has_three_sizes() -> None:
    study = parse_study(content())
    judged = judged_runs(study.images.source_names, runs_of(study))
    assert [run.n for run in judged] == [10, 20, 40] and all(
        shares_of(run, study.images.source_names)[0][1] == 1.0 for run in judged
    )


def test_else_the_mix_with_most_sizes() -> None:
    given = content()
    given["sweep"]["mix"] = given["sweep"]["mix"][1:]
    study = parse_study(given)
    assert [run.mix for run in judged_runs(study.images.source_names, runs_of(study))] == [
        {"photographs": 5, "deadleaves": 5},
        {"photographs": 10, "deadleaves": 10},
        {"photographs": 20, "deadleaves": 20},
    ]
    third = [run for run in runs_of(study) if run.mix["photographs"] != run.mix["deadleaves"]]
    assert (
        judged_runs(study.images.source_names, third) == third
    )  # 3 + 7, 7 + 13 and 14 + 26 are one share but for rounding


def table(name: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def change(given: dict[str, Any]) -> None:
        place = given
        for part in name.split("."):
            place = place[part]
        for key, value in values.items():
            if value is None:
                del place[key]
            else:
                place[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (table("sweep", mix=[{"photographs": 0.5, "deadleaves": 0.4}]), "sums to 0.9, neither to 1"),
        (table("sweep", mix=[{"photographs": 50, "deadleaves": 200}]), "sums to 250, neither to 1"),
        (table("sweep", mix=[{"photographs": 0.5, "deadleafs": 0.5}]), "did you mean 'deadleaves'?"),
        (table("sweep", mix=[{"photographs": 1.0}]), "images.sources.deadleaves: is in no mix"),
        (table("sweep", mix=[{"photographs": 0.0}]), "has no images of any source"),
        (table("sweep", mix=[{"photographs": 0.99, "deadleaves": 0.01}]), "is less than one image of deadleaves"),
        (table("sweep", mix=[{"photographs": -1, "deadleaves": 2}]), "mix.0.photographs: found -1"),
        (table("sweep", mix=[{"photographs": float("nan"), "deadleaves": 2}]), "found nan"),
        (table("sweep", mix=[{"photographs": True}]), "found True"),
        (table("sweep", mix="photographs"), "a list of mixes is expected"),
        (table("sweep", mix=None), "sweep.mix: is missing"),
        (table("sweep", n=None), "n is missing"),
        (table("sweep", n=None, mix={"photographs": [0], "deadleaves": [0]}), "has no images of any source"),
        (table("sweep", n=None, mix={"photographs": [0.5], "deadleaves": [1]}), "give whole numbers of images"),
        (table("images", target="leaves"), "images.target: found 'leaves'; did you mean 'deadleaves'?"),
        (table("images", folders=["."]), "say it of each, in [images.sources.photographs]"),
        (table("images", split={"val": "list.csv"}), "images.split: does not go with [images.sources]"),
        (table("images", sources={}), "images.source: is missing"),
        (table("images", sources=[1]), "a table is expected"),
        (table("images.sources", deadleaves=None), "found 'photographs' alone"),
        (table("images.sources", test={"source": "deadleaves"}), "is no name for a source"),
        (table("images.sources.deadleaves", source="nifti"), "gives volumes, which are not mixed"),
        (table("images.sources.deadleaves", source="pairs"), "gives pairs, which are not mixed"),
        (table("images.sources.deadleaves", source="leaves"), "did you mean 'deadleaves'?"),
        (table("images.sources.deadleaves", folder=["."]), "there is no such key, did you mean 'folders'?"),
        (table("images.sources.deadleaves", range=[0, 1]), "sources.deadleaves.range: is for image files"),
        (table("images.sources.photographs", test=4), "say it as images.test"),
        (table("images.sources.photographs", source="bundled"), 'set counts = "images"'),
    ],
)
def test_what_cannot_be_is_refused(change: Callable[[dict[str, Any]], None], says: str) -> None:
    given = copy.deepcopy(content())
    change(given)
    with pytest.raises(UserError) as refused:
        parse_study(given)
    assert says in str(refused.value)


def test_one_source_has_no_mixes() -> None:
    given = content()
    given["images"] = {"source": "deadleaves", "val": 1, "test": 1}
    with pytest.raises(UserError, match=r"sweep.mix: the images come from one source"):
        parse_study(given)


def test_the_study_of_the_how_to_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "mixtures.md").read_text(encoding="utf-8")
    first, grid = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    study = parse_study(tomllib.loads(first))
    assert len(runs_of(study)) == 18 and study.images.target == "photographs"
    given = tomllib.loads(first)
    given["sweep"] = {"width": [16], **tomllib.loads(grid)["sweep"]}
    assert len(runs_of(parse_study(given))) == 14
