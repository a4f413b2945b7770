"""The noise of a camera, in the numbers of its data sheet: gain, read noise, black level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from reconscale.study.base import FrozenModel
from reconscale.study.noise_levels import GREY, UNIT


class Camera(FrozenModel):
    """A camera that counts s electrons where the image is s, with the variance ``s + read_noise^2`` (EMVA 1288).

    In a file a pixel has the value ``black + s / gain``. ``reconscale noise --range`` measures these numbers.

    Attributes:
        gain: electrons for each grey level of the file. (Data sheets that give grey levels for each electron give
            1 / gain.) Clean images then stand for what the camera saw, and ``images.range`` says which values are black
            and white.
        electrons: instead of ``gain``: counted by a pixel at white. Fewer than the camera counted are a shorter
            exposure.
        read_noise: standard deviation of the noise of reading, in electrons.
        black: the value of the file where there is no light, as a check of ``images.range``.
    """

    gain: float | None = Field(default=None, gt=0, le=1e6)
    electrons: float | None = Field(default=None, gt=0, le=1e9)
    read_noise: float = Field(default=0.0, ge=0, le=1e6)
    black: float | None = None

    def counted(self, limits: tuple[float, float] | None) -> float:
        """Electrons of a pixel at white.

        Args:
            limits: ``images.range``, the values that are black and white.

        Raises:
            ValueError: neither ``gain`` nor ``electrons`` is given, or both; or black and white are not known.
        """
        if (self.gain is None) == (self.electrons is None):
            said = "found both gain and electrons" if self.gain else "found neither gain nor electrons"
            raise ValueError(f"camera: {said}; give one of them: electrons for each grey level, or at white")
        if self.black is not None and (limits is None or limits[0] != self.black):
            found = "no images.range" if limits is None else f"images.range[0] = {limits[0]:g}"
            raise ValueError(
                f"camera.black: found {self.black:g} and {found}; set images.range = [{self.black:g}, WHITE]"
            )
        if self.electrons is not None:
            return self.electrons
        if limits is None:
            raise ValueError("camera.gain: needs the values of black and white; set images.range = [BLACK, WHITE]")
        assert self.gain is not None
        return self.gain * (limits[1] - limits[0])


def fill_in_camera(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a study file with ``sigma`` and ``photons`` of its problem as its camera has them.

    Of images that are noisy already the camera says which noise they have.

    The ids of runs are those of a study that says ``sigma`` and ``photons``.

    Args:
        content: of a study file; what is no table is left to be refused.

    Raises:
        ValueError: the camera contradicts the study; the sentence begins with the key.
    """
    problem, images = content.get("problem"), content.get("images")
    if not isinstance(problem, Mapping) or problem.get("kind") != "denoising" or problem.get("camera") is None:
        return content
    camera = problem["camera"]
    if isinstance(camera, Mapping):
        try:
            camera = Camera.model_validate(camera)
        except ValidationError:  # said with its place when the problem is looked at
            return {**content, "problem": {**problem, "photons": 1.0}}
    if not isinstance(camera, Camera):
        return content
    for key in ("sigma", "photons"):
        if key in problem:
            raise ValueError(f"problem.{key}: a camera says it; leave it or problem.camera out")
    try:
        electrons = camera.counted(_limits_of(images))
    except ValueError as error:
        raise ValueError(f"problem.{error}") from error
    if not 0 < electrons <= 1e9 or camera.read_noise > electrons:
        raise ValueError(f"problem.camera: counts {electrons:.3g} electrons at white, and has read noise of "
                         f"{camera.read_noise:g}; check gain, read_noise and images.range")  # fmt: skip
    levels = {"sigma": GREY * camera.read_noise / electrons, "photons": electrons, "sigma_unit": UNIT}
    return {**content, "problem": {**problem, **levels}}


def _limits_of(images: Any) -> tuple[float, float] | None:
    """``images.range``; none where it is not given, or is left to be refused."""
    limits = images.get("range") if isinstance(images, Mapping) else getattr(images, "range", None)
    if not isinstance(limits, tuple | list) or len(limits) != 2:
        return None
    black, white = limits
    return (float(black), float(white)) if isinstance(black, int | float) and isinstance(white, int | float) else None
