"""Synthetic studies: results that follow a power law with a floor, written the way training writes them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.files import to_json, write_atomic
from reconscale.results import Folder, Result
from reconscale.results.result import Validation
from reconscale.study import Run, Study, runs_of
from reconscale.study.study_file import parse_study

NAMES = ("baby.png", "bridge.png", *(f"photo-{index:02}.png" for index in range(22)))


def study_of(name: str = "denoising-photos", **changes: Any) -> Study:
    content: dict[str, Any] = {
        "name": name,
        "problem": {"kind": "denoising", "sigma": 25.0},
        "images": {
            "source": "folder",
            "patch": 128,
            "val": 24,
            "test": 48,
            "test_sets": {"urban": "urban100", "medical": "xray"},
        },
        "network": {"family": "unet", "depth": 2},
        "sweep": {"n": [10, 30, 100, 300, 600], "width": [8, 16, 32], "seed": [0, 1, 2]},
        "recipe": {"steps": 4000, "batch": 16},
    }
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return parse_study(content)


def parameters(width: int) -> int:
    return 1820 * width * width + 23 * width + 3


def error(n: float, p: float) -> float:
    return 0.00095 + 0.0011 * (n / 10) ** -0.45 + 0.00035 * (p / 1e5) ** -0.5 * (n / 100) ** 0.1


def result_of(run: Run) -> Result:
    rng = np.random.default_rng([run.n, run.network.width, run.seed])
    p = parameters(run.network.width)
    images: dict[str, dict[str, dict[str, float]]] = {}
    noise = rng.normal(0, 0.006)
    for index, name in enumerate(("test", "val", *run.images.test_sets)):
        level = error(run.n, p) * (1, 1.05, 1.4, 0.6)[index] * np.exp(noise + rng.normal(0, 0.002))
        hard = np.linspace(0.6, 1.4, len(NAMES))
        images[name] = {image: metrics(level * float(h)) for image, h in zip(NAMES, hard, strict=True)}
    means = {
        name: {key: float(np.mean([values[key] for values in of_set.values()])) for key in metrics(0.1)}
        for name, of_set in images.items()
    }
    looks = []
    for step in range(0, run.recipe.steps + 1, run.recipe.steps // 20):
        psnr = means["val"]["psnr-rgb-clip"] - 9 * np.exp(-step / (0.12 * run.recipe.steps)) + rng.normal(0, 0.02)
        looks.append(Validation(step=step, samples=step * 16, lr=1e-3, mse=float(10 ** (-psnr / 10)), psnr=float(psnr)))
    seconds = 40 * (run.network.width / 8) ** 1.5 * rng.uniform(0.95, 1.05)
    return Result(
        status="done",
        run=run,
        p=p,
        flops=2.0 * p / 4,
        steps=run.recipe.steps,
        samples=run.recipe.steps * 16,
        best_step=run.recipe.steps,
        validation=tuple(looks),
        metrics=means,
        images=images,
        provenance={
            "python": "3.11.9",
            "torch": "2.6.0",
            "device": "NVIDIA A100" if run.seed else "cpu",
            "images": "9f2c01aa",
        },
        times={"train": float(seconds), "validation": 4.0, "test": 2.0},
    )


def metrics(mse: float) -> dict[str, float]:
    psnr = float(-10 * np.log10(mse))
    return {"mse": float(mse), "psnr-rgb-clip": psnr, "psnr-y": psnr + 1.2, "ssim-uniform7": float(1 - 40 * mse)}


def write_results(study: Study, root: Path, keep: Callable[[Run], bool] = lambda run: True) -> Folder:
    folder = Folder(root)
    for run in runs_of(study):
        if keep(run):
            result_of(run).write(folder.of(run))
    return folder


def spoil(folder: Folder, run: Run, reason: str, status: str = "failed") -> None:
    old = folder.of(run) / "images.csv"
    old.unlink(missing_ok=True)
    Result.model_validate({"status": status, "run": run, "p": 1000, "reason": reason}).write(folder.of(run))


def png(pixels: np.ndarray) -> bytes:
    """A grey PNG file from (H, W) values in [0, 1]."""
    grey = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    rows = b"".join(b"\x00" + row.tobytes() for row in grey)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def scene(size: int = 96) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    return 0.5 + 0.3 * np.sin(18 * x * (1 + y)) * (y < 0.6) + 0.25 * ((x - 0.6) ** 2 + (y - 0.7) ** 2 < 0.05)


def write_pictures(study: Study, folder: Folder, images: Sequence[str] = NAMES[:2], **more: Any) -> None:
    truth, rng = scene(), np.random.default_rng(0)
    items = []
    root = folder.root / "anchors"
    for index, image in enumerate(images):
        item: dict[str, Any] = {
            "image": image,
            "rule": ("median", "worst 5 %")[index % 2],
            "psnr": {"input": 20.17, "classical": 27.2 - index},
        }
        for kind, noise in (("truth", 0.0), ("input", 0.1), ("classical", 0.045)):
            item[kind] = f"{kind}-{index}.png"
            write_atomic(root / item[kind], png(truth + noise * rng.standard_normal(truth.shape)))
        items.append(item)
        for run in runs_of(study):
            if folder.is_over(run):
                noise = 0.045 * (run.n / 10) ** -0.2
                write_atomic(
                    folder.of(run) / f"picture-{index}.png", png(truth + noise * rng.standard_normal(truth.shape))
                )
    means = {"input": {"psnr-rgb-clip": 20.17}, "classical": {"psnr-rgb-clip": 27.05}}
    record = {"classical_name": "BM3D", "sets": {"test": means}, "pictures": items, **more}
    write_atomic(root / "anchors.json", to_json(record))
