"""What ``benchmarks/quality.py`` measures: the tasks, their test sets and lines, and the settings for every budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconscale.errors import UserError, suggest

PHOTOGRAPHS = ("natural_train/BSDS500_train", "natural_train/BSDS500_test", "natural_train/ImageNet_sample")
"""The training photographs, below the data folder."""


@dataclass(frozen=True)
class Preset:
    """The settings that serve budgets up to some size.

    Attributes:
        seconds: the largest budget that they serve, in seconds of one core.
        width: of the network.
        network, recipe, images: what the study file says beyond the defaults of version 2.
    """

    seconds: float
    width: int
    network: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One problem with its images, measured in one way.

    Attributes:
        name: for the command line.
        problem, images: tables of the study file; test sets first the main one.
        profile: of the main test set: what a level is a level of.
        profiles: what is kept of every test set.
        levels: label -> dB that times are given for, or the name of a line that was measured.
        lines: of reconstruction without training, by the names that the project has for them -> label.
        published: label -> dB, as printed, for the same test set.
        budgets: in seconds of one core.
        needs: folders below the data folder.
        presets: by budget, the smallest first; all settings were chosen on validation images.
    """

    name: str
    problem: Mapping[str, Any]
    images: Mapping[str, Any]
    profile: str
    profiles: tuple[str, ...]
    levels: Mapping[str, float | str]
    lines: Mapping[str, str]
    published: Mapping[str, float]
    budgets: tuple[float, ...]
    needs: tuple[str, ...]
    presets: tuple[Preset, ...]

    def preset(self, seconds: float) -> Preset:
        """The settings for a budget."""
        return next((preset for preset in self.presets if seconds <= preset.seconds), self.presets[-1])

    @property
    def main(self) -> str:
        """The main test set."""
        return next(iter(self.images.get("test_sets", {})), "test")


ANY = float("inf")
LONGER = {"lr": 0.01, "hold": 0.3}
SMALL_IMAGES = {"loss": "l1", "lr": 0.01, "weight_decay": 0.1, "hold": 0.3, "batch": 16}
SLICES = {"loss": "l1", "batch": 2, "hold": 0.3, "weight_decay": 0.0}

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="denoising",
            problem={"kind": "denoising", "sigma": 25},
            images={
                "source": "folder",
                "folders": PHOTOGRAPHS,
                "val": 24,
                "val_patch": 128,
                "test": 0,
                "test_sets": {"cbsd68": "natural_test/CBSD68"},
            },
            profile="psnr-rgb-clip",
            profiles=("psnr-rgb-clip", "ssim-uniform7"),
            levels={"non-local means, tuned": 28.4, "block DCT": 30.1, "CBM3D": 30.7},
            lines={"input": "noisy", "nlm": "non-local means", "bm3d": "CBM3D", "classical": "block DCT"},
            published={"CBM3D": 30.7, "DnCNN": 31.23},  # Zhang et al. 2018 (FFDNet) print both
            budgets=(3, 10, 30, 100, 300, 1000),
            needs=(*PHOTOGRAPHS, "natural_test/CBSD68"),
            presets=(
                Preset(5, 48, {"family": "shrinkage", "depth": 1}, images={"augment": True}),
                Preset(20, 48, {"family": "shrinkage", "depth": 2}, images={"augment": True}),
                Preset(60, 48, {"family": "shrinkage", "depth": 3}, images={"augment": True}),
                Preset(200, 32, {"family": "shrinkage-unet"}, LONGER, {"augment": True, "patch": 96}),
                Preset(500, 48, {"family": "shrinkage-unet"}, LONGER, {"augment": True, "patch": 96}),
                Preset(ANY, 64, {"family": "shrinkage-unet"}, LONGER, {"augment": True, "patch": 96}),
            ),
        ),
        Task(
            name="superresolution",
            problem={"kind": "superresolution", "factor": 2},
            images={
                "source": "folder",
                "folders": PHOTOGRAPHS,
                "val": 24,
                "val_patch": 96,
                "test": 0,
                "duplicates": "skip",
                "channels": "rgb",
                "test_sets": {"set5": "natural_test/Set5", "urban100-sub8": "natural_test/Urban100_sub8"},
            },
            profile="psnr-y-crop-s",
            profiles=("psnr-y-crop-s", "psnr-rgb-clip", "ssim-uniform7"),
            levels={"bicubic": "input", "SRCNN": 36.66, "FSRCNN": 37.00},
            lines={"input": "bicubic", "classical": "back-projection"},
            published={"SRCNN": 36.66, "FSRCNN": 37.00},  # Dong et al. 2016 (FSRCNN), Set5, factor 2
            budgets=(10, 30, 100, 300),
            needs=(*PHOTOGRAPHS, "natural_test/Set5", "natural_test/Urban100_sub8"),
            presets=(
                Preset(50, 32, {"family": "resnet", "depth": 8}, SMALL_IMAGES, {"patch": 48, "augment": True}),
                Preset(150, 32, {"family": "resnet", "depth": 12}, SMALL_IMAGES, {"patch": 48, "augment": True}),
                Preset(ANY, 48, {"family": "resnet", "depth": 12}, SMALL_IMAGES, {"patch": 48, "augment": True}),
            ),
        ),
        Task(
            name="mri",
            problem={"kind": "mri", "acceleration": 4},
            images={
                "source": "complex",
                "folders": ("mri/siat_t2_brain/siat_train_s1-6.h5",),
                "matrix": 96,
                "counts": "images",
                "val": 1,
                "test": 0,
                "test_sets": {"subject7": "mri/siat_t2_brain/siat_test_s7.h5"},
            },
            profile="psnr-fastmri-volume-v1",
            profiles=("psnr-fastmri-volume-v1", "ssim-fastmri-volume-v1"),
            levels={"zero-filled": "input", "total variation": "classical"},
            lines={"input": "zero-filled", "classical": "total variation"},
            published={},
            budgets=(3, 10, 30, 100),
            needs=("mri/siat_t2_brain/siat_train_s1-6.h5", "mri/siat_t2_brain/siat_test_s7.h5"),
            presets=(
                Preset(50, 48, {"family": "unrolled-resnet", "depth": 2, "cascades": 4}, SLICES),
                Preset(ANY, 48, {"family": "unrolled-resnet", "depth": 2, "cascades": 5}, SLICES),
            ),
        ),
        Task(
            name="tomography",
            problem={"kind": "tomography", "angles": 16, "sigma": 2},
            images={
                "source": "deadleaves",
                "channels": "gray",
                "size": 48,
                "total": 500,
                "patch": 48,
                "val_patch": 48,
                "test_patch": 48,
                "val": 24,
                "test": 40,
            },
            profile="psnr-rgb-clip",
            profiles=("psnr-rgb-clip", "ssim-uniform7"),
            levels={"filtered back-projection": "input", "total variation": "classical"},
            lines={"input": "filtered back-projection", "classical": "total variation"},
            published={},
            budgets=(3, 10, 30, 100),
            needs=(),
            presets=(
                Preset(
                    ANY,
                    48,
                    {"family": "unrolled-resnet", "depth": 2, "cascades": 3},
                    {"batch": 8, "hold": 0.3, "weight_decay": 0.0},
                    {"augment": True},
                ),
            ),
        ),
    )
}


def task_named(name: str) -> Task:
    """A task.

    Raises:
        UserError: there is none of that name.
    """
    if name not in TASKS:
        raise UserError("--task", f"found '{name}'", suggest(name, TASKS))
    return TASKS[name]


def check_data(task: Task, data: Path | None) -> None:
    """Refuse before anything is computed where images are missing.

    Raises:
        UserError: the data folder, or a folder in it that the task needs, is not there.
    """
    if not task.needs:
        return
    if data is None:
        raise UserError(
            "--data", f"is missing, and {task.name} needs images", "give the folder, or set $RECONSCALE_DATA"
        )
    for needed in task.needs:
        if not (data / needed).exists():
            raise UserError(data / needed, "is not there", f"{task.name} needs it: give another folder by --data")


SETTINGS = {
    "family": ("network", "family"),
    "depth": ("network", "depth"),
    "norm": ("network", "norm"),
    "head": ("network", "head"),
    "cascades": ("network", "cascades"),
    "lr": ("recipe", "lr"),
    "batch": ("recipe", "batch"),
    "weight_decay": ("recipe", "weight_decay"),
    "optimizer": ("recipe", "optimizer"),
    "precision": ("recipe", "precision"),
    "loss": ("recipe", "loss"),
    "warmup": ("recipe", "warmup"),
    "hold": ("recipe", "hold"),
    "patch": ("images", "patch"),
    "crop": ("images", "crop"),
    "augment": ("images", "augment"),
}
"""Flags that change a preset, by the table and key of the study file."""


def study_content(task: Task, preset: Preset, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a study file of version 2 for one budget; n, seed and the number of steps are still open.

    Args:
        task: the task.
        preset: its settings.
        changes: names in ``SETTINGS``, and ``width`` -> value; they win.
    """
    tables: dict[str, dict[str, Any]] = {
        "network": dict(preset.network), "recipe": dict(preset.recipe), "images": {**task.images, **preset.images},
    }  # fmt: skip
    for name, value in changes.items():
        if name != "width":
            table, key = SETTINGS[name]
            tables[table][key] = value
    width = changes.get("width", preset.width)
    sweep = {"n": (1,), "width": (width,), "seed": (0,)}
    return {"version": 2, "name": f"quality-{task.name}", "problem": dict(task.problem), "sweep": sweep, **tables}
