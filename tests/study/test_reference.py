"""The reference page of the study file names every key, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from reconscale.study import Images, Recipe
from reconscale.study.analysis_settings import Analysis
from reconscale.study.camera import Camera
from reconscale.study.problems import PROBLEMS
from reconscale.study.run import Architecture
from reconscale.study.sweep import Override, Sweep

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "study-file.md"


def test_every_key_is_explained() -> None:
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        for part in re.split(r"^### ", section, flags=re.MULTILINE):
            keys = re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE)
            found[part.splitlines()[0]] = set(re.findall(r"`(\w+)`", " ".join(keys)))
    models = {
        "[images]": Images, "[network]": Architecture, "[sweep]": Sweep, "[recipe]": Recipe,
        "[[override]]": Override, "[analysis]": Analysis, "A camera": Camera,
    }  # fmt: skip
    for title, model in models.items():
        assert found[title] == set(model.model_fields), title
    read_before = {"mask_file", "camera"}  # what becomes other keys when the file is read
    assert found["[problem]"] == read_before | {key for model in PROBLEMS.values() for key in model.model_fields}
