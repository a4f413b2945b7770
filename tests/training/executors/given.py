"""Studies that are given something beside the study file: first weights, a split of their own, masks of a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from reconscale.data import write_image
from reconscale.networks import build, input_spec
from reconscale.study import load_study, runs_of
from tests import phantoms

from ...conftest import TINY

FILES = ("first.safetensors", "mask.npy", "other.npy")
"""What lies beside the study file and decides numbers."""
STUDIES = {
    "init": TINY.replace("batch = 2", 'batch = 2\ninit = "first.safetensors"'),
    "split": TINY.replace(
        'source = "deadleaves"\nsize = 32\ntotal = 12\npatch = 16\nval = 2\ntest = 2\n',
        'source = "folder"\npatch = 16\n[images.split]\ntrain = "train.txt"\nval = "scene2"\ntest = "*/03.png"\n',
    ),
    "masks": TINY.replace('kind = "denoising"', 'kind = "mri"\nmask_file = ["mask.npy", "other.npy"]')
    .replace('source = "deadleaves"\nsize = 32\ntotal = 12\npatch = 16\nval = 2', 'source = "fastmri"\nval = 1')
    .replace("test = 2", "test = 1")
    + '[network]\nfamily = "unet"\ndepth = 2\n',
}
"""Kind -> the text of the study."""


def write_given(kind: str, folder: Path, data: Path) -> Path:
    """Write a study of two runs, what it names beside it, and its images into ``data``, where it has some.

    Returns:
        The study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data.mkdir(parents=True, exist_ok=True)
    text = STUDIES[kind].replace("n = [2, 4, 8]", "n = [2]").replace("width = [2, 4]", "width = [2]")
    path = folder / "study.toml"
    if kind == "init":
        plain = folder / "plain.toml"
        plain.write_text(text.replace('init = "first.safetensors"', ""))
        run = runs_of(load_study(plain))[0]
        torch.manual_seed(5)
        save_file(build(run.network, input_spec(run.problem, 3)).state_dict(), folder / FILES[0])
        plain.unlink()
    elif kind == "split":
        for index in range(12):
            values = np.random.default_rng(index).integers(0, 256, (32, 36, 3), np.uint8)
            write_image(data / f"scene{index % 4}" / f"{index:02d}.png", values)
        (data / "train.txt").write_text("# ours\nscene0/00.png\nscene0/04.png\nscene1\n")
    else:
        for index in range(4):
            phantoms.write_fastmri(data / f"file{index}.h5", phantoms.kspace(2, seed=20 * index))
        for name, step in zip(FILES[1:], (2, 3), strict=True):
            mask = np.zeros(40, np.uint8)
            mask[::step] = mask[17:23] = 1
            np.save(folder / name, mask)
    path.write_text(text)
    return path


def copy_given(study: Path, folder: Path) -> Path:
    """A copy of the study and what lies beside it, without results."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("study.toml", *FILES):
        if (study.parent / name).is_file():
            shutil.copy(study.parent / name, folder / name)
    return folder / "study.toml"


def weights_of(study: Path) -> dict[str, bytes]:
    """The weights of every run."""
    return {path.parent.name: path.read_bytes() for path in (study.parent / "runs").glob("*/weights.safetensors")}
