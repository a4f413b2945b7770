"""The verb noise: what noise images have, measured on them. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from reconscale.cli.display import StageProgress, echo, handle_errors, print_json
from reconscale.errors import UserError
from reconscale.format import plain, round_interval, short

if TYPE_CHECKING:
    import numpy as np

    from reconscale.data.noise_level import ImageNoise

GREYS = 255
"""Levels are said in grey levels of 255, as ``sigma`` in study files."""

DEEP = 65535
"""The largest number of 16 bits."""
DARK = 0.25
"""Images without enough pixels above this part of white are asked about."""

COPIES = 20
"""Of more copies of a scene this many are read, spread evenly: more make the level no surer, and fill memory."""

T = TypeVar("T")
Place = tuple[Path, int | None]
"""A file, and the page of it."""


def noise(
    folder: Annotated[Path, typer.Argument(help="A folder of images; with --copies, of folders or stacks.")],
    copies: Annotated[
        bool, typer.Option("--copies", help="Each folder, or each stack of pages, holds copies of one scene.")
    ] = False,
    value_range: Annotated[
        tuple[float, float] | None, typer.Option("--range", help="The values that are black and white.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="At most this many images (scenes), spread evenly.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the noise of images: Gaussian and Poisson part, ready for a study file."""
    with handle_errors():
        from reconscale.data.noise_level import measure_noise

        if value_range is not None and not value_range[0] < value_range[1]:
            raise UserError(
                "--range", "found no white above black", "give black and then white, such as --range 64 4095"
            )
        scenes = _scenes(folder, copies)
        used = [_spread(scene, COPIES) for scene in _spread(scenes, images)]
        brightest: dict[str, float] = {}
        with StageProgress() as progress:
            found = measure_noise(_read(used, value_range, progress, brightest), names=[_name(scene) for scene in used])
        if json:
            print_json(_as_json(found) | {"cautions": _cautions(found, value_range, brightest.get("uint16"))})
        else:
            echo(*noise_lines(found, value_range, brightest.get("uint16")))


def _spread(items: Sequence[T], most: int) -> Sequence[T]:
    return items[:: max(1, -(-len(items) // most))]


def _name(scene: Sequence[Place]) -> Path:
    path, page = scene[0]
    return path if page is not None or len(scene) == 1 else path.parent


def _scenes(folder: Path, copies: bool) -> list[list[Place]]:
    """The copies of each scene: one image each, or all that a folder or a stack of pages holds.

    Raises:
        UserError: there is no image, or a scene of one copy.
    """
    from reconscale.data.folders import image_files, with_pages
    from reconscale.data.image_files import KINDS, read_header

    if not folder.is_dir():
        raise UserError(folder, "is not a folder", "name a folder of images")
    files = image_files(folder)
    _, places = with_pages([str(path.relative_to(folder)) for path in files], files)
    if not places:
        raise UserError(folder, f"holds no {KINDS}", "name a folder of images")
    if not copies:
        return [[(folder / name, page)] for name, page in places]
    scenes: dict[Path, list[Place]] = {}
    for name, page in places:
        path = folder / name
        scenes.setdefault(path.parent if page is None else path, []).append((path, page))
    if alone := next((scene for scene, members in scenes.items() if len(members) == 1), None):
        read_header(*scenes[alone][0])  # says why a stack is none
        raise UserError(alone, "holds one image, and --copies wants two or more of a scene",
                        "put the copies of each scene into a folder of its own, or leave --copies out")  # fmt: skip
    return list(scenes.values())


def _read(
    scenes: Sequence[Sequence[Place]],
    limits: tuple[float, float] | None,
    progress: Any,
    brightest: dict[str, float],
) -> Iterator[list[np.ndarray]]:
    """The images, from 0 (black) to 1 (white); notes the largest value that files of each type hold."""
    import numpy as np

    from reconscale.data.image_checks import check_values
    from reconscale.data.image_files import read_pixels

    for done, scene in enumerate(scenes):
        progress("images", done, len(scenes))
        read = []
        for path, page in scene:
            image = read_pixels(path, page, limits)
            kind = image.dtype.name
            brightest[kind] = max(brightest.get(kind, 0.0), float(image.max()))
            if limits is None:
                image = check_values(path, image, None)
                white = 1.0 if image.dtype.kind == "f" else float(2 ** (8 * image.dtype.itemsize) - 1)
                read.append(image / white)
            else:
                check_values(path, image, limits)
                most = np.iinfo(image.dtype).max if image.dtype.kind in "iu" else limits[1]
                if limits[1] > most:
                    raise UserError(path, f"holds at most {most} in each pixel, and white is {limits[1]:g} by --range",
                                    "give the white of these files, and measure other files apart")  # fmt: skip
                read.append((image.astype(float) - limits[0]) / (limits[1] - limits[0]))
        yield read
    progress("images", len(scenes), len(scenes))


def noise_lines(found: ImageNoise, limits: tuple[float, float] | None, brightest: float | None = None) -> list[str]:
    """What was found, in sentences, and the lines of a study file; ``brightest``: the largest value of 16-bit files."""
    one = found.copies == 1
    of = (
        f"{found.images} image{'s' * (found.images != 1)}, one copy each"
        if one
        else (f"{found.images} scene{'s' * (found.images != 1)} of up to {found.copies} copies")
    )
    lines = [
        f"standard deviation of the noise, in grey levels of {GREYS}: {_grey(found.deviation(0))} at black, "
        f"{_grey(found.deviation(0.5))} at mid grey, {_grey(found.deviation(1))} at white ({of})",
        f"Gaussian part: sigma = {_grey(found.sigma)}{_between(found.sigma_interval, GREYS)}",
    ]
    if found.photons:
        lines.append(f"Poisson part: {short(found.photons)} photons at white{_between(found.photons_interval)}")
    else:
        lines.append("Poisson part: none was found, the noise is Gaussian as far as can be seen: leave photons out")
    if limits is not None:
        lines.append(f"in values of the files: {short((limits[1] - limits[0]) * found.sigma)} at black")
        lines += _camera_line(found, limits)
    lines += [f"caution: {sentence}" for sentence in _cautions(found, limits, brightest)]
    return [*lines, "in a study file:", *_study_lines(found)]


def _camera_line(found: ImageNoise, limits: tuple[float, float]) -> list[str]:
    """The same in the numbers of a data sheet, as ``problem.camera`` takes them; nothing without a Poisson part."""
    if not found.photons:
        return []
    gain, read_noise = found.photons / (limits[1] - limits[0]), found.sigma * found.photons
    numbers = f"gain = {float(f'{gain:.3g}'):g}, read_noise = {float(f'{read_noise:.3g}'):g}, black = {limits[0]:g}"
    return [f"as a camera (electrons for each value of the files; electrons): camera = {{ {numbers} }}, in [problem] "
            f"instead of sigma and photons, with images.range = [{limits[0]:g}, {limits[1]:g}]"]  # fmt: skip


def _study_lines(found: ImageNoise) -> list[str]:
    """The problem, as a study file takes it: one with levels below 1 of 255 must say that they are meant."""
    level = GREYS * found.sigma
    said = plain(level, 2) if level >= 1 else f"{float(f'{level:.2g}'):g}"
    lines = ["  [problem]", '  kind = "denoising"', f"  sigma = {said}"]
    if 0 < level < 1:
        lines.append('  sigma_unit = "grey levels"')
    lines += [f"  photons = {float(f'{found.photons:.3g}'):g}"] if found.photons else []
    if found.copies == 1 and found.is_white:  # of several copies the mean of a scene may serve as its truth
        lines += ["  # to train on these images themselves, which nobody has without noise:", '  truth = "noisy"',
                  "  [recipe]", '  loss = "neighbor2neighbor"']  # fmt: skip
    return lines


def _cautions(found: ImageNoise, limits: tuple[float, float] | None, deepest: float | None) -> list[str]:
    """Why the numbers may be of something else than of white noise; deepest: the largest value of 16-bit files."""
    said = []
    brightest = max(found.means)
    if limits is None and deepest is not None and deepest < DARK * DEEP:
        said.append(
            f"no 16-bit file holds more than {deepest:,.0f} of {DEEP:,}: where white is less than that, as of 12 "
            "bits in 16, give --range"
        )
    elif brightest < DARK and limits is None:
        said.append(
            f"next to nothing is above {100 * brightest:.0f} % of white: where white is less than the largest "
            "number of the type, as of 12 bits in 16, give --range"
        )
    if not found.is_steady:
        said.append(
            f"copies differ in more than noise, which is less than is printed: {100 * (found.regional or 0):.1g} % of "
            "their variance is left in averages over 16 x 16 pixels (white noise: 0.4 %, more where the exposure "
            f"flickered), and at edges they differ {found.at_edges or 1:.2f} times as much as elsewhere (noise: 1, "
            "more where the scene or the camera moved)"
        )
    if found.copies == 1 and not found.is_white:
        said.append(
            "of one copy, this is no bound: fine texture counts as noise, and noise that compression, scaling or "
            "demosaicing has spread over neighbours is missed; two copies of a scene and --copies measure it"
        )
    elif found.copies == 1:
        said.append(
            "of one copy, fine texture counts as noise: an upper bound, far above where there is little noise; two "
            "copies of a scene and --copies measure it"
        )
    if not found.is_white:
        said.append(
            f"the noise is {found.coarseness:.1f} times as coarse as white noise: neighbouring pixels have noise in "
            "common, as after demosaicing, scaling or JPEG compression, or what was measured is texture; white noise "
            "that is simulated stands for other images, and losses without truth go wrong"
        )
    return said


def _grey(level: float) -> str:
    return round_interval(GREYS * level)


def _between(interval: tuple[float, float] | None, scale: float = 1.0) -> str:
    if interval is None:
        return ""
    low, high = (round_interval(scale * end).replace("never", "any number") for end in interval)
    return f" (90 % interval {low} to {high})"


def _as_json(found: ImageNoise) -> dict[str, Any]:
    """All numbers; levels in grey levels of 255."""
    entries = asdict(found) | {"white": found.is_white, "steady": found.is_steady}
    entries["sigma"] = GREYS * found.sigma
    entries["sigma_interval"] = found.sigma_interval and [GREYS * end for end in found.sigma_interval]
    entries["means"] = [GREYS * mean for mean in found.means]
    entries["deviations"] = [GREYS * deviation for deviation in found.deviations]
    return entries
