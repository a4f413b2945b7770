"""The anchors at n = 0: the measurement itself and a classical reconstruction, and the pictures of the report."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reconscale.files import read_json, to_json, write_whole
from reconscale.imaging import PROBLEMS, ImageSet
from reconscale.study import Folder, Study
from reconscale.training.evaluate import EVALUATION_SEED, Measures, means, score

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


def anchors(
    study: Study, images: ImageSet, folder: Folder, progress: Callable[[str, int, int], None]
) -> tuple[Picture, ...]:
    """Measure the anchors of a study once, and choose and draw its pictures.

    They are kept in ``anchors/`` of the folder of results, and measured anew when the images have changed.

    Args:
        study: the study.
        images: its images.
        folder: its folder of results.
        progress: called with (label, images done, images).
    """
    home = folder.root / "anchors"
    path = home / "anchors.json"
    asked = {"images": images.digest, "problem": study.problem.model_dump(mode="json")}
    if path.is_file():
        record = read_json(path)
        if record.get("asked") == asked:
            return tuple(Picture(study.images.main_test, p["image"], p["rule"]) for p in record["pictures"])
    problem = PROBLEMS[study.problem.kind](study.problem, torch.device("cpu"), 0)
    sets, classical_scores = {}, {}
    for name, pixels in images.tests.items():
        tell = lambda done, of, name=name: progress(f"anchors on {name}", done, of)  # noqa: E731
        given = score(lambda y: y, problem, pixels, torch.device("cpu"))
        classical_scores[name] = score(problem.classical, problem, pixels, torch.device("cpu"), progress=tell)
        sets[name] = {"input": means(given), "classical": means(classical_scores[name])}
    main = study.images.main_test
    pictures = _chosen(classical_scores[main], main)
    shown = []
    for index, picture in enumerate(pictures):
        names = {kind: f"{index}-{kind}.png" for kind in ("truth", "input", "classical")}
        draw_given(picture, problem, images, {kind: home / file for kind, file in names.items()})
        psnr = {"classical": classical_scores[main][picture.image]["psnr-rgb-clip"]}
        shown.append({"image": picture.image, "rule": picture.rule, **names, "psnr": psnr})
    record = {"asked": asked, "classical_name": problem.classical_name, "sets": sets, "pictures": shown}
    write_whole(path, to_json(record))
    return pictures


def _chosen(scores: dict[str, dict[str, float]], test_set: str) -> tuple[Picture, ...]:
    ranked = sorted(scores, key=lambda name: (scores[name]["psnr-rgb-clip"], name))
    chosen: dict[str, Picture] = {}
    for rule, percentile in RULES.items():
        image = ranked[round(percentile / 100 * (len(ranked) - 1))]
        chosen.setdefault(image, Picture(test_set, image, rule))
    return tuple(chosen.values())


def draw(
    picture: Picture, reconstruct: Callable[[Tensor], Tensor], problem: Measures, images: ImageSet,
    device: torch.device, path: Path,
) -> None:  # fmt: skip
    """Write the patch of a reconstruction as PNG; the whole image is reconstructed, then cut."""
    x = _truth(picture, images).to(device)
    with torch.inference_mode():
        x_hat = reconstruct(problem.measure_fixed(x, picture.image, EVALUATION_SEED))
    write_whole(path, _png(x_hat))


def draw_given(picture: Picture, problem: Measures, images: ImageSet, paths: dict[str, Path]) -> None:
    """Write the patches of the truth, the measurement and the classical reconstruction."""
    x = _truth(picture, images)
    y = problem.measure_fixed(x, picture.image, EVALUATION_SEED)
    shown = {"truth": x, "input": y, "classical": problem.classical(y)}  # type: ignore[attr-defined]
    for kind, path in paths.items():
        write_whole(path, _png(shown[kind]))


def _truth(picture: Picture, images: ImageSet) -> Tensor:
    pixels = images.tests[picture.test_set]
    return pixels.tensor(pixels.names.index(picture.image))


def _png(image: Tensor) -> bytes:
    """The centre of an image (1, C, H, W) as 8-bit PNG."""
    rows, columns = image.shape[-2:]
    top, left = max(0, (rows - SIDE) // 2), max(0, (columns - SIDE) // 2)
    patch = image[0, :, top : top + SIDE, left : left + SIDE].clamp(0, 1).mul(255).round()
    array = patch.permute(1, 2, 0).cpu().numpy().astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(stream, "png")
    return stream.getvalue()
