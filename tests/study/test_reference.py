"""The reference page of the study file names every key, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from reconscale.study import Images, Recipe
from reconscale.study.problems import PROBLEMS
from reconscale.study.run import Architecture
from reconscale.study.study_file import Analysis, Override, Sweep

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "study-file.md"


def test_every_key_is_explained() -> None:
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        keys = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
        found[section.splitlines()[0]] = set(re.findall(r"`(\w+)`", " ".join(keys)))
    models = {
        "[images]": Images, "[network]": Architecture, "[sweep]": Sweep, "[recipe]": Recipe,
        "[[override]]": Override, "[analysis]": Analysis,
    }  # fmt: skip
    for title, model in models.items():
        assert found[title] == set(model.model_fields), title
    read_before = {"mask_file"}  # a file whose content becomes a key
    assert found["[problem]"] == read_before | {key for model in PROBLEMS.values() for key in model.model_fields}
