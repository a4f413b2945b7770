"""The verb ``theory from-images``: the learning curve of a linear estimator on the user's images. It needs no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.display import StageProgress, console, echo, errors, handle_errors, plain_table, print_json
from reconscale.cli.options import Spreadsheet, check_output_path, parse_sizes
from reconscale.errors import UserError, suggest

if TYPE_CHECKING:
    from reconscale.data.patches import Cut
    from reconscale.theory.images import LinearCurve, Spectrum
    from reconscale.theory.operators import Operator

OPTIONS = {
    "superresolution": {"factor": "--factor"},
    "masked-fourier": {"acceleration": "--acceleration", "center": "--center"},
    "inpainting": {"keep": "--keep"},
    "compressed-sensing": {"keep": "--keep"},
}
"""Problem -> its options and their flags."""


def from_images(  # noqa: PLR0913 - flags
    source: Annotated[Path, typer.Argument(help="A folder of images, an array (.npy, .npz), or a study.")],
    problem: Annotated[
        str | None,
        typer.Option(
            help="denoising, superresolution, masked-fourier, inpainting or compressed-sensing. "
            "[default: the study's, or denoising]"
        ),
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Noise, in grey levels of 255. [default: the study's, or 25]")
    ] = None,
    patch: Annotated[int, typer.Option(help="Patch side in pixels.")] = 8,
    factor: Annotated[int | None, typer.Option(help="For superresolution. [default: 2]")] = None,
    acceleration: Annotated[float | None, typer.Option(help="For masked-fourier. [default: 4]")] = None,
    center: Annotated[
        float | None, typer.Option(help="For masked-fourier: the fraction of central lines. [default: 0.125]")
    ] = None,
    keep: Annotated[
        float | None, typer.Option(help="For inpainting, compressed-sensing: the fraction measured. [default: 0.25]")
    ] = None,
    n: Annotated[list[str] | None, typer.Option(help="Sizes, such as 100 or 10,30,100. [default: a grid]")] = None,
    counts: Annotated[str, typer.Option(help="What n counts: images (all their patches) or patches.")] = "images",
    within: Annotated[
        list[float] | None,
        typer.Option(help="Distance to the limit in dB: which n reaches it? [default: 0.5, 0.1]"),
    ] = None,
    channels: Annotated[str, typer.Option(help="auto, gray or rgb.")] = "auto",
    data: Annotated[Path | None, typer.Option(help="For a study: the folder of its images.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the patch positions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Also write the curve to this CSV file.")] = None,
    spreadsheet: Spreadsheet = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compute the linear learning curve of your images. An explanation, not a forecast."""
    with handle_errors():
        from threadpoolctl import threadpool_limits

        from reconscale.files import write_atomic
        from reconscale.laws.spreadsheets import check_spreadsheet
        from reconscale.theory.images import linear_curve, spectrum_of

        check_spreadsheet(spreadsheet)
        if out is not None:
            check_output_path(out, source, force)
        asked = {"factor": factor, "acceleration": acceleration, "center": center, "keep": keep}
        with StageProgress() as tell, threadpool_limits(1):
            cut, kind, level = _cut(source, problem, sigma, patch, channels, data, seed, tell)
            operator = _operator(kind, cut, level, asked)
            spectrum = spectrum_of(cut.patches, operator)
            each = cut.each if counts == "images" else 1
            counted: dict[str, Any] = {"counts": counts, "per_image": each}
            sizes = [float(size) for size in parse_sizes(n)] or _grid(counts, cut)
            curve = linear_curve(spectrum, sizes, **counted, progress=lambda d, of: tell("computing the curve", d, of))
            near = _near(spectrum, within or [0.5, 0.1], counted)
        if out is not None:
            write_atomic(out, _csv(curve, spreadsheet))
        if json:
            _warn_of_dark(cut)
            print_json(_record(spectrum, curve, near, cut))
            return
        console.print(_shown(curve, counts))
        _warn_of_dark(cut)
        lines = _sentences(spectrum, curve, near, cut, counts)
        echo(*lines, *([f"table: {out}"] if out is not None else []))


def _warn_of_dark(cut: Cut) -> None:
    """Say so where all patches lie in a corner of the range, as 12 bits in files of 16."""
    from reconscale.data.pixel_values import CORNER

    high = float(cut.patches.values.max())
    if high <= CORNER:
        said = (
            f"caution: no pixel of any patch is above {100 * high:.2g} % of the range of its file: if that is white, "
        )
        more = "sigma is too large for these images; bring them to the whole range, or give a study with images.range"
        errors.print(said + more, markup=False, highlight=False, soft_wrap=True)


def _cut(  # noqa: PLR0913 - what was asked
    source: Path, problem: str | None, sigma: float | None, patch: int, channels: str, data: Path | None, seed: int,
    tell: Any,
) -> tuple[Cut, str, float]:  # fmt: skip
    """The patches, the problem and its noise from 0 to 1."""
    from reconscale.data.patches import patches_at, patches_of
    from reconscale.errors import check_int, check_real

    if channels not in ("auto", "gray", "rgb"):
        raise UserError("--channels", f"found '{channels}'", suggest(channels, ("auto", "gray", "rgb")))
    check_int("--seed", seed, 0)
    if sigma is not None:
        check_real("--sigma", sigma)
    if not _is_study(source):
        if data is not None:
            raise UserError("--data", f"{source} is no study", "leave it out: it says where a study's images are")
        level = 25.0 if sigma is None else sigma
        cut = patches_at(source, patch, channels=channels, seed=seed, progress=tell)  # type: ignore[arg-type]
        return cut, problem or "denoising", level / 255
    from reconscale.data.image_set import open_images
    from reconscale.data.subset import ImageSubset
    from reconscale.study import DenoisingProblem, load_our_study

    study = load_our_study(source)
    options = study.images
    if options.volumes or not isinstance(study.problem, DenoisingProblem):
        raise UserError(
            source, f"is a study of {study.problem.kind}", "give a study of denoising, or a folder of images"
        )
    if options.sources:
        raise UserError(source, "has images of several sources", "give a study, or a folder, of one of them")
    train = open_images(options, data=data, progress=tell).train
    assert isinstance(train, ImageSubset)  # sources of volumes are refused above
    crop = options.patch if options.crop == "center" else None
    cut = patches_of(train, patch, crop=crop, units=options.counts == "units", seed=seed, progress=tell)
    return cut, problem or study.problem.kind, (study.problem.sigma if sigma is None else sigma) / 255


def _is_study(source: Path) -> bool:
    return source.suffix == ".toml" or (source / "study.toml").is_file()


def _operator(kind: str, cut: Cut, sigma: float, asked: dict[str, Any]) -> Operator:
    from reconscale.theory.operators import OPERATORS, operator_of

    if kind not in OPERATORS:
        raise UserError("--problem", f"found '{kind}'", suggest(kind, OPERATORS))
    given = {name: value for name, value in asked.items() if value is not None}
    if unused := set(given) - set(OPTIONS.get(kind, {})):
        flags = ", ".join(f"--{name}" for name in sorted(OPTIONS.get(kind, {}))) or "none"
        raise UserError(f"--{min(unused)}", f"has no meaning for {kind}", f"its options: {flags}")
    return operator_of(kind, cut.patches.shape, sigma, **given)


def _grid(counts: str, cut: Cut) -> list[float]:
    """From as few images or patches as give something to ten times what there is."""
    from reconscale.theory.images import FEWEST

    first, last = (FEWEST, 10 * cut.available) if counts == "images" else (100, 10 * len(cut.patches))
    steps = [base * 10**power for power in range(8) for base in (1, 3)]
    return [float(size) for size in steps if first <= size < last] + [float(last)]


def _near(spectrum: Spectrum, decibels: list[float], counted: dict[str, Any]) -> dict[float, float | None]:
    from reconscale.errors import check_real
    from reconscale.theory.images import n_within_db

    return {check_real("--within", db, open_end=True): n_within_db(spectrum, db, **counted) for db in decibels}


def _shown(curve: LinearCurve, counts: str) -> Table:
    table = plain_table(f"n ({counts})", "MSE", "PSNR, dB", "dB below its limit")
    table.title = "the best linear estimator on patches: an explanation, not a forecast"
    for n, mse, psnr in zip(curve.n, curve.mse, curve.psnr, strict=True):
        away = 10 * math.log10(mse / curve.floor) if curve.floor > 0 else math.inf
        table.add_row(f"{n:,.0f}", f"{mse:.4g}", f"{psnr:.2f}", f"{away:.3f}")
    return table


def _sentences(
    spectrum: Spectrum, curve: LinearCurve, near: dict[float, float | None], cut: Cut, counts: str
) -> list[str]:
    from reconscale.theory.images import FEWEST

    size, patch = cut.patches.shape[0], spectrum.operator
    lines = [f"{patch.name}: {patch.words}; {len(cut.patches):,} patches of {size} x {size} from {cut.used:,} images"]
    if curve.floor > 0:
        lines.append(f"limit (Wiener filter) {-10 * math.log10(curve.floor):.2f} dB; "
                     f"predicting the mean image {-10 * math.log10(curve.power):.2f} dB")  # fmt: skip
    else:
        lines.append("limit: no error; the measurements determine the image")
    for db, found in near.items():
        reached = "at no n up to the largest computed" if found is None else f"at n = {found:,.0f} {counts}"
        if found is not None and found < FEWEST and counts == "images":
            reached = f"with {FEWEST} images or fewer"
        lines.append(f"within {db:g} dB of it {reached}")
    if spectrum.slope is not None:
        lines.append(f"variances fall like rank^-{spectrum.slope:.2f}")
    if counts == "images":
        lines.append(f"each image has {curve.per_image:,} overlapping patches, whose errors are correlated")
    lines += [f"caution: {text}" for text in spectrum.cautions]
    if counts == "images" and min(curve.n) < FEWEST:
        lines.append(f"caution: below n = {FEWEST} images the curve is too optimistic (by 1 to 2 dB for one image)")
    lines.append("the limit of a network may be better or worse; a study measures it (docs/tutorial.md)")
    return lines


def _csv(curve: LinearCurve, spreadsheet: str) -> str:
    from reconscale.laws.csv_table import table_text

    tail = (curve.counts, curve.per_image, curve.floor)
    rows = [(*row, *tail) for row in zip(curve.n, curve.mse, curve.psnr, strict=True)]
    return table_text(["n", "mse", "psnr", "counts", "per_image", "floor"], rows, spreadsheet)


def _record(spectrum: Spectrum, curve: LinearCurve, near: dict[float, float | None], cut: Cut) -> dict[str, Any]:
    from dataclasses import asdict

    from reconscale.report.analysis import json_safe

    operator = spectrum.operator
    return dict(json_safe({
        "problem": operator.name, "measurement": operator.words, "sigma": operator.sigma, "shape": list(operator.shape),
        "patches": len(cut.patches), "images": cut.used, "available": cut.available,
        "curve": asdict(curve) | {"psnr": list(curve.psnr)}, "within": {f"{db:g}": found for db, found in near.items()},
        "floor": curve.floor, "floor_held_out": spectrum.floor, "slope": spectrum.slope,
        "cautions": list(spectrum.cautions),
    }))  # fmt: skip
