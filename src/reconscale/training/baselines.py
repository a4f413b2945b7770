"""Baselines at n = 0: the input and a classical reconstruction, and the pictures of the report."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reconscale.data import ImageSet
from reconscale.files import read_json, to_json, write_atomic
from reconscale.physics import Batch, problem_of
from reconscale.physics.base import Baseline
from reconscale.study import Folder, Study
from reconscale.training.evaluate import EVALUATION_SEED, EvaluationSet, evaluation_sets, means, score

SIDE = 128
"""Side of a picture, in pixels."""
RULES = {"median": 50.0, "worst 5 %": 5.0}
"""Which images are shown: those at these percentiles of the classical reconstruction's PSNR on the main test set."""


@dataclass(frozen=True)
class Picture:
    """A patch that the report shows: the centre of an image that a rule has chosen.

    Attributes:
        test_set, image: which image.
        rule: how it was chosen.
    """

    test_set: str
    image: str
    rule: str


def measure_baselines(
    study: Study, images: ImageSet, folder: Folder, progress: Callable[[str, int, int], None]
) -> tuple[Picture, ...]:
    """Measure the anchors of a study once, and choose and draw its pictures.

    They are kept in ``anchors/`` of the results folder, and measured again when the images have changed.

    Args:
        study: the study.
        images: its images.
        folder: its results folder.
        progress: called with (label, images done, images).
    """
    home = folder.root / "anchors"
    path = home / "anchors.json"
    asked: dict[str, Any] = {"images": images.digest, "problem": study.problem.model_dump(mode="json")}
    asked |= {"test_patch": study.images.test_patch} if study.images.test_patch else {}
    if path.is_file():
        record = read_json(path)
        if record.get("asked") == asked:
            return tuple(Picture(study.images.main_test, p["image"], p["rule"]) for p in record["pictures"])
    problem = problem_of(study.problem, torch.device("cpu"), 0)
    with torch.inference_mode():
        offered = problem.anchors(images.val)
    sets: dict[str, dict[str, dict[str, float]]] = {}
    ranking: dict[str, dict[str, float]] = {}
    main = study.images.main_test
    on = evaluation_sets(study.images, images, problem)
    for name, of in on.items():
        offers = offered if of.problem is problem else of.problem.anchors(images.val)
        for kind, anchor in offers.items():
            tell = lambda done, total, name=name, anchor=anchor: progress(f"{anchor.label} on {name}", done, total)  # noqa: E731
            scores = score(anchor.reconstruct, of.problem, of.pixels, crop=of.crop, progress=tell)
            sets.setdefault(name, {})[kind] = means(scores, of.problem.by_volume(scores, of.pixels))
            if (name, kind) == (main, "classical"):
                ranking = scores
    profile = study.problem.picture_metric
    pictures = _chosen(ranking, main, profile) if study.problem.has_truth else ()  # else nothing to compare with
    shown = []
    for index, picture in enumerate(pictures):
        names = {kind: f"{index}-{kind}.png" for kind in ("truth", *offered)}
        draw_given(picture, on[main], offered, {kind: home / file for kind, file in names.items()})
        psnr = {"classical": ranking[picture.image][profile]}
        shown.append({"image": picture.image, "rule": picture.rule, **names, "psnr": psnr})
    labels = {kind: anchor.label for kind, anchor in offered.items()}
    classical = labels["classical"]
    record = {"asked": asked, "classical_name": classical, "labels": labels, "sets": sets, "pictures": shown}
    write_atomic(path, to_json(record))
    return pictures


def _chosen(scores: dict[str, dict[str, float]], test_set: str, profile: str) -> tuple[Picture, ...]:
    ranked = sorted(scores, key=lambda name: (scores[name][profile], name))
    chosen: dict[str, Picture] = {}
    for rule, percentile in RULES.items():
        image = ranked[round(percentile / 100 * (len(ranked) - 1))]
        chosen.setdefault(image, Picture(test_set, image, rule))
    return tuple(chosen.values())


def draw(picture: Picture, reconstruct: Callable[[Any], Tensor], of: EvaluationSet, path: Path) -> None:
    """Write the patch of a reconstruction as PNG; the whole image is reconstructed, then cut."""
    example = _example(picture, of)
    with torch.inference_mode():
        x_hat = reconstruct(example.y)
    write_atomic(path, _png(of.problem.shown(x_hat, example)))


def draw_given(picture: Picture, of: EvaluationSet, offered: Mapping[str, Baseline], paths: dict[str, Path]) -> None:
    """Write the patches of the truth and of every reconstruction without learning."""
    example = _example(picture, of)
    write_atomic(paths["truth"], _png(of.problem.shown(example.x, example)))
    for kind, anchor in offered.items():
        draw(picture, anchor.reconstruct, of, paths[kind])


def _example(picture: Picture, of: EvaluationSet) -> Batch:
    return of.problem.fixed(of.pixels, of.pixels.names.index(picture.image), of.crop, EVALUATION_SEED)


def _png(image: Tensor) -> bytes:
    """The centre of an image (1, C, H, W) as 8-bit PNG."""
    rows, columns = image.shape[-2:]
    top, left = max(0, (rows - SIDE) // 2), max(0, (columns - SIDE) // 2)
    patch = image[0, :, top : top + SIDE, left : left + SIDE].clamp(0, 1).mul(255).round()
    array = patch.permute(1, 2, 0).cpu().numpy().astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(stream, "png")
    return stream.getvalue()
