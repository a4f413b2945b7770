"""Baselines at n = 0: the input and a classical reconstruction, and the pictures of the report."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reconscale.data import ImageSet, ImageSubset, Slices
from reconscale.files import read_json, to_json, write_atomic
from reconscale.physics import Batch, problem_of
from reconscale.physics.base import Baseline
from reconscale.results import Folder
from reconscale.results.baseline_record import read_baselines
from reconscale.study import Study
from reconscale.training.evaluate import EVALUATION_SEED, EvaluationSet, evaluation_sets, means

LEAST_VOLUMES = 2
"""Volumes that baselines are measured on at least, where there are as many; networks are compared on the same ones."""
SAMPLE = 256
"""Pixels a side of the images that baselines are timed on."""
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


@dataclass(frozen=True)
class _Work:
    """One reconstruction without learning of one set of images.

    Attributes:
        name, kind: the test set, and what the baseline is called in records.
        anchor: the baseline.
        of: the test set.
        rows: the images that it is measured on.
    """

    name: str
    kind: str
    anchor: Baseline
    of: EvaluationSet
    rows: tuple[int, ...]


def measure_baselines(
    study: Study, images: ImageSet, folder: Folder, progress: Callable[[str, int, int], None]
) -> tuple[Picture, ...]:
    """Measure the anchors of a study once, and choose and draw its pictures.

    They are kept in ``anchors/`` of the results folder, image by image, so that an interrupted command loses nothing,
    and measured again when the images have changed. A record of an older version, on all test images, stays.

    Args:
        study: the study.
        images: its images.
        folder: its results folder.
        progress: called with (label, images done, images), and with the seconds spent and expected.
    """
    home = folder.root / "anchors"
    path = home / "anchors.json"
    most, main = study.analysis.baseline_images, study.images.main_test
    asked = _asked(study, images)
    before = read_json(path) if path.is_file() else {}
    drawn = tuple(Picture(main, p["image"], p["rule"]) for p in before.get("pictures", ()))
    if are_measured(study, images, folder):
        return drawn
    work, offered = _work_of(study, images, most)
    with torch.inference_mode():
        scores = _measured(work, ScoreLog(home / "scores.jsonl", {"asked": asked, "most": most}), progress)
    sets: dict[str, dict[str, dict[str, float]]] = {}
    for item in work:
        mine = scores[item.name, item.kind]
        picked = item.of.pixels.pick(np.array(item.rows))
        sets.setdefault(item.name, {})[item.kind] = means(mine, item.of.problem.by_volume(mine, picked))
    ranking = scores.get((main, "classical"), {})
    profile = study.problem.picture_metric
    pictures = _chosen(ranking, main, profile) if study.problem.has_truth else ()  # else nothing to compare with
    if before.get("asked") == asked and {picture.image for picture in drawn} <= set(ranking):
        pictures = drawn  # runs that are over have drawn these
    shown = []
    of = next(item.of for item in work if item.name == main)
    for index, picture in enumerate(pictures):
        names = {kind: f"{index}-{kind}.png" for kind in ("truth", *offered)}
        draw_given(picture, of, offered, {kind: home / file for kind, file in names.items()})
        psnr = {"classical": ranking[picture.image][profile]}
        shown.append({"image": picture.image, "rule": picture.rule, **names, "psnr": psnr})
    labels = {kind: anchor.label for kind, anchor in offered.items()}
    counts = {item.name: _measured_on(item) for item in work}
    record = {"asked": asked, "classical_name": labels["classical"], "labels": labels, "sets": sets, "pictures": shown,
              "most": most, "counts": counts}  # fmt: skip
    write_atomic(path, to_json(record))
    (home / "scores.jsonl").unlink(missing_ok=True)
    return pictures


def _asked(study: Study, images: ImageSet) -> dict[str, Any]:
    """What baselines depend on, besides how many images they are measured on."""
    asked: dict[str, Any] = {"images": images.digest, "problem": study.problem.model_dump(mode="json")}
    return asked | ({"test_patch": study.images.test_patch} if study.images.test_patch else {})


def _measured_on(item: _Work) -> dict[str, Any]:
    """On which images of its test set; where these are not all, by name."""
    pixels, record = item.of.pixels, {"used": len(item.rows), "of": len(item.of.pixels)}
    if len(item.rows) == len(pixels):
        return record
    names = {"images": [pixels.names[row] for row in item.rows]}
    if isinstance(pixels, Slices):
        names["volumes"] = list(dict.fromkeys(pixels.volume_names[row] for row in item.rows))
    return record | names


def are_measured(study: Study, images: ImageSet, folder: Folder) -> bool:
    """Whether the results folder holds the baselines of a study, on as many images as it asks for.

    Not where an older version did not write down on which: networks could not be compared with them.
    """
    path, most = folder.root / "anchors" / "anchors.json", study.analysis.baseline_images
    record = read_json(path) if path.is_file() else {}
    if record.get("asked") != _asked(study, images):
        return False
    known = read_baselines(folder)
    images_of = () if known is None else known.images.values()
    return all(on.is_known for on in images_of) and (
        record.get("most", most) >= most or all(on.is_all for on in images_of)
    )


def baselines_kept(study: Study, images: ImageSet, folder: Folder) -> str:
    """That they stay on more images than the study asks for now, as more were asked for before; else empty."""
    known, most = read_baselines(folder), study.analysis.baseline_images
    more = [
        f"{on.used} of {on.of} images of {name}"
        for name, on in ({} if known is None else known.images).items()
        if name in images.tests and on.used > len(spread_rows(images.tests[name], most))
    ]
    if not more:
        return ""
    return (
        f"analysis.baseline_images is {most} now, but what needs no training was measured on {' and '.join(more)} "
        f"before, and that is kept: it is the better yardstick. Delete {folder.root / 'anchors'} to measure it on "
        f"{most} instead."
    )


def baseline_seconds(study: Study, images: ImageSet) -> float:
    """Estimate the wall time of all baselines: each is timed on one image of ``SAMPLE`` pixels a side at most."""
    work, _ = _work_of(study, images, study.analysis.baseline_images)
    paces: dict[str, float] = {}
    total = 0.0
    with torch.inference_mode():
        for item in work:
            if item.kind not in paces:
                crop = min(item.of.crop or SAMPLE, SAMPLE)
                began = time.perf_counter()
                _scored(replace(item, of=replace(item.of, crop=crop)), item.rows[0])
                paces[item.kind] = (time.perf_counter() - began) / item.of.pixels.area(item.rows[0], crop)
            total += paces[item.kind] * sum(item.of.pixels.area(row, item.of.crop) for row in item.rows)
    return total


def _work_of(study: Study, images: ImageSet, most: int) -> tuple[list[_Work], Mapping[str, Baseline]]:
    """Everything that is to be measured, and the baselines of the study's own problem by their kinds."""
    problem = problem_of(study.problem, torch.device("cpu"), 0)
    with torch.inference_mode():
        offered = problem.anchors(images.val)
    work = []
    for name, of in evaluation_sets(study.images, images, problem).items():
        rows = tuple(spread_rows(of.pixels, most).tolist())
        offers = offered if of.problem is problem else of.problem.anchors(images.val)
        work += [_Work(name, kind, anchor, of, rows) for kind, anchor in offers.items()]
    return work, offered


def spread_rows(pixels: ImageSubset | Slices, most: int) -> np.ndarray:
    """At most ``most`` images, spread evenly over a set; of volumes whole ones, and ``LEAST_VOLUMES`` at least."""
    if len(pixels) <= most:
        return np.arange(len(pixels))
    if isinstance(pixels, ImageSubset):
        return np.unique(np.linspace(0, len(pixels) - 1, most).round().astype(np.int64))
    names = np.array(pixels.volume_names)
    volumes = list(dict.fromkeys(names.tolist()))
    count = min(len(volumes), max(LEAST_VOLUMES, most * len(volumes) // len(pixels)))
    chosen = {volumes[place] for place in np.linspace(0, len(volumes) - 1, count).round().astype(int).tolist()}
    return np.flatnonzero(np.isin(names, sorted(chosen)))


def _scored(item: _Work, row: int) -> dict[str, float]:
    """Every metric of one image."""
    example = item.of.problem.fixed(item.of.pixels, row, item.of.crop, EVALUATION_SEED)
    return item.of.problem.scores(item.anchor.reconstruct(example.y), example)


def _measured(
    work: list[_Work], log: ScoreLog, progress: Callable[[str, int, int], None]
) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """Metrics of all images: (set, kind) -> image -> profile -> value. The first image of each comes first.

    So the time that is left is known early. What the log holds is not measured again.
    """
    done = {(item.name, item.kind): log.known(item.name, item.kind) for item in work}
    missing = [[row for row in item.rows if item.of.pixels.names[row] not in done[item.name, item.kind]]
               for item in work]  # fmt: skip
    spent, pace = 0.0, dict[int, float]()
    for number, row in [*((i, rows[0]) for i, rows in enumerate(missing) if rows),
                        *((i, row) for i, rows in enumerate(missing) for row in rows[1:])]:  # fmt: skip
        item, began = work[number], time.perf_counter()
        image, values = item.of.pixels.names[row], _scored(item, row)
        log.add(item.name, item.kind, image, values)
        mine = done[item.name, item.kind]
        mine[image] = values
        took = time.perf_counter() - began
        spent += took
        pace[number] = took if number not in pace else 0.5 * (pace[number] + took)
        left = sum(seconds * (len(work[i].rows) - len(done[work[i].name, work[i].kind])) for i, seconds in pace.items())
        progress(f"{item.anchor.label} on {item.name}", len(mine), len(item.rows))
        progress("baselines, in seconds", round(spent), max(1, round(spent + left)))
    return {(item.name, item.kind): {name: done[item.name, item.kind][name] for name in
                                     (item.of.pixels.names[row] for row in item.rows)} for item in work}  # fmt: skip


@dataclass(frozen=True)
class ScoreLog:
    """Metrics of single images in a file, a line each, written as they are measured.

    Attributes:
        path: the file.
        about: what the metrics depend on; a file about something else is begun again.
    """

    path: Path
    about: Mapping[str, Any]

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        """What is there; a last line that is not whole, of a command that was killed, is left out."""
        found = []
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8", errors="replace").split("\n"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        if not found or found[0] != json.loads(json.dumps(self.about)):
            write_atomic(self.path, json.dumps(self.about) + "\n")
            return []
        write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in found))
        return found[1:]

    def known(self, name: str, kind: str) -> dict[str, dict[str, float]]:
        """Image -> profile -> value of what was measured before."""
        return {line["image"]: line["values"] for line in self._lines
                if isinstance(line, dict) and (line.get("set"), line.get("kind")) == (name, kind)}  # fmt: skip

    def add(self, name: str, kind: str, image: str, values: Mapping[str, float]) -> None:
        """Write one more line."""
        line = json.dumps({"set": name, "kind": kind, "image": image, "values": values})
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


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
