"""What ``studies/mri-brain`` says beyond its reports: two networks side by side, and a measured multi-coil slice.

* The unrolled network against the U-Net at every n: the mean difference over seeds, which share their training slices,
  each at the width that its study selected on validation, with its 90 % interval (Student's t).
* One measured slice (8 coils, fully sampled), undersampled 4 times: zero-filled, CG-SENSE, total variation and the
  network of ``multicoil-4x``, by fastMRI's SSIM and PSNR; and a picture of all of them.

    python benchmarks/mri_brain.py --data DATA     # DATA holds mri/multicoil_raw/; without it, the first part alone
"""

from __future__ import annotations

import argparse
import math
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

STUDIES = Path(__file__).parents[1] / "studies" / "mri-brain"
SLICE = "mri/multicoil_raw/brain_8ch_full_ksp.npy"
PROFILES = ("ssim-fastmri-volume-v1", "psnr-fastmri-volume-v1", "nmse-fastmri-volume-v1")


def main() -> None:
    """Parse the flags and print both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=STUDIES / "report" / "multicoil.png")
    flags = parser.parse_args()
    for profile in PROFILES[:2]:
        networks(profile)
    if flags.data is not None:
        measured_slice(flags.data / SLICE, flags.out)


def networks(profile: str) -> None:
    """The difference between the two networks at every n."""
    from scipy.stats import t

    values = {name: selected(STUDIES / name, profile) for name in ("unet-4x", "unrolled-4x")}
    print(
        f"{profile}, test subject 7: mean over seeds at the selected width, and the difference with its 90 % interval"
    )
    print(f"{'n':>6}{'U-Net':>18}{'unrolled':>18}{'difference':>24}")
    for n in sorted(values["unet-4x"]):
        one, other = (values[name][n] for name in values)
        seeds = sorted(set(one[1]) & set(other[1]))
        difference = np.array([other[1][seed] - one[1][seed] for seed in seeds])
        half = t.ppf(0.95, len(seeds) - 1) * difference.std(ddof=1) / math.sqrt(len(seeds))
        mean = float(difference.mean())
        shown = [f"{np.mean(list(v.values())):.4f} (w {width})" for width, v in (one, other)]
        print(f"{n:6}{shown[0]:>18}{shown[1]:>18}{mean:>+10.4f} ({mean - half:+.4f} to {mean + half:+.4f})")
    print()


def selected(path: Path, profile: str) -> dict[int, tuple[int, dict[int, float]]]:
    """For each n the width with the best mean on validation, and seed -> value on the main test set at that width."""
    from reconscale.results import Folder
    from reconscale.study import load_study, runs_of

    study = load_study(path)
    cells: dict[int, dict[int, dict[int, tuple[float, float]]]] = {}
    for result in Folder.beside(path).results(runs_of(study), images=False):
        pair = result.metrics["val"][profile], result.metrics[study.images.main_test][profile]
        cells.setdefault(result.run.n, {}).setdefault(result.run.network.width, {})[result.run.seed] = pair
    found = {}
    for n, widths in cells.items():
        width = max(widths, key=lambda w: np.mean([val for val, _ in widths[w].values()]))
        found[n] = (width, {seed: test for seed, (_, test) in widths[width].items()})
    return found


def measured_slice(path: Path, out: Path) -> None:
    """Reconstruct a measured slice and draw it."""
    import torch

    from reconscale.physics import problem_of
    from reconscale.study import Images, MRIProblem
    from reconscale.training.apply import load_trained

    with one_slice(path, Images(source="kspace-array", folders=(path.name,), val=1, test=1)) as sets:
        problem = problem_of(MRIProblem(kind="mri", acceleration=4), torch.device("cpu"), 0)
        example = problem.fixed(sets, 0)
        (run,) = (STUDIES / "multicoil-4x" / "runs").glob("*/weights.safetensors")
        network = load_trained(run.parent).network
        offered = {anchor.label: anchor.reconstruct for anchor in problem.anchors(sets).values()}
        images: dict[str, Any] = {"all of k-space": example.x}
        with torch.inference_mode():
            for label, reconstruct in {**offered, "unrolled network": network}.items():
                images[label] = reconstruct(example.y)
                values = problem.by_volume({sets.names[0]: problem.scores(images[label], example)}, sets)
                (found,) = values.values()
                print(f"{label:18} SSIM {found[PROFILES[0]]:.4f}   PSNR {found[PROFILES[1]]:.2f} dB")
    draw({label: problem.shown(image, example)[0, 0].numpy() for label, image in images.items()}, out)
    print(f"picture: {out}")


@contextmanager
def one_slice(path: Path, options: Any) -> Any:
    """The slice as a prepared volume, in a temporary cache."""
    import tempfile

    from reconscale.data.volumes.cache import prepare_volumes
    from reconscale.data.volumes.kspace_files import list_kspace_arrays
    from reconscale.data.volumes.volume_set import Slices
    from reconscale.errors import UserError

    with tempfile.TemporaryDirectory() as cache:
        (volume,) = prepare_volumes(
            list_kspace_arrays(options, path.parent).volumes, Path(cache), None, lambda *_: None
        )
        if isinstance(volume, UserError):
            raise volume
        yield Slices((volume,), np.array([[0, 0]]))


def draw(images: dict[str, np.ndarray], out: Path) -> None:
    """All images above, and five times their difference from the truth below."""
    import matplotlib.pyplot as plt

    truth = next(iter(images.values()))
    figure, axes = plt.subplots(2, len(images), figsize=(2.1 * len(images), 5.2), layout="constrained")
    for column, (label, image) in enumerate(images.items()):
        axes[0, column].imshow(image, cmap="gray", vmin=0, vmax=0.8)
        axes[0, column].set_title(label, fontsize=9)
        axes[1, column].imshow(5 * np.abs(image - truth), cmap="magma", vmin=0, vmax=0.8)
    axes[1, 0].text(
        0.5, 0.5, "5 x |difference|", color="white", ha="center", transform=axes[1, 0].transAxes, fontsize=9
    )
    for axis in axes.flat:
        axis.set_axis_off()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)


if __name__ == "__main__":
    main()
