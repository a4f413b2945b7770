"""Real pairs: what is read is what is given, the affine fit, and classical filters chosen on validation pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reconscale.data import ImageSet, open_images
from reconscale.data.pairs.subset import PairSubset
from reconscale.errors import UserError
from reconscale.networks import FAMILIES, build, input_spec
from reconscale.physics import measure_image, problem_of
from reconscale.physics.metrics import affine_to_truth, psnr_affine, psnr_rgb_clip
from reconscale.physics.pairs import Pairs
from reconscale.study import Images, Network, profiles_of
from reconscale.study.images.pairs import PairsProblem
from tests import camera

CPU = torch.device("cpu")


def problem(**options: Any) -> Pairs:
    made = problem_of(PairsProblem(kind="pairs", **options), CPU, 0)
    assert isinstance(made, Pairs)
    return made


def opened(folder: Path, **pairs: Any) -> ImageSet:
    camera.write_pairs(folder, scenes=6, **{"side": 64, **pairs})
    images = Images(source="pairs", inputs="noisy", truths="clean", range=(camera.BLACK, camera.WHITE), patch=16,
                    val=2, test=1)  # fmt: skip
    return open_images(images, data=folder, cache=folder / "cache")


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return opened(tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return opened(tmp_path_factory.mktemp("larger"), factor=2)


def test_the_same_crop_is_always_the_same(same: ImageSet) -> None:
    train, made = same.train, problem()
    assert isinstance(train, PairSubset)
    first, again = (made.examples(made.read(train, [0, 2], 16, torch.Generator().manual_seed(0)))[0] for _ in range(2))
    assert torch.equal(first.y, again.y) and torch.equal(first.x, again.x)  # type: ignore[arg-type]
    assert not torch.equal(first.x, made.examples(made.read(train, [0, 2], 16, None))[0].x)
    one, two = made.fixed(train, 0), made.fixed(train, 0, seed=3)
    assert torch.equal(one.y, two.y)  # type: ignore[arg-type]


def test_the_affine_fit_takes_exposure_and_background_away() -> None:
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(affine_to_truth(0.2 * x + 0.5, x), x.double(), atol=1e-6)
    assert (psnr_affine(0.2 * x + 0.5, x) > 90).all() and (psnr_rgb_clip(0.2 * x + 0.5, x) < 12).all()
    flat = affine_to_truth(torch.ones_like(x), x)
    assert torch.allclose(flat, x.double().mean((1, 2, 3), keepdim=True).expand_as(flat))
    noisy = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    gain, offset = np.polyfit(noisy[0].flatten().double().numpy(), x[0].flatten().double().numpy(), 1)
    assert torch.allclose(affine_to_truth(noisy, x)[0], gain * noisy[0].double() + offset, atol=1e-6)


def test_both_kinds_of_metrics_are_recorded_under_their_names(same: ImageSet) -> None:
    plain, aligned = problem(), problem(align_values="affine")
    assert plain.problem.usual_profile({}) == "psnr-rgb-clip"
    assert aligned.problem.usual_profile({"align_values": "affine"}) == aligned.problem.picture_metric == "psnr-affine"
    example = plain.fixed(same.val, 0)  # type: ignore[arg-type]
    dark = 0.5 * example.x + 0.1
    scores = measure_image(dark, example.x, plain.problem)
    assert set(profiles_of("pairs")) == set(scores) and scores["psnr-affine"] > 90 > scores["psnr-rgb-clip"]
    assert plain.quick(dark, example)[1] == scores["psnr-rgb-clip"]
    assert aligned.quick(dark, example)[1] == scores["psnr-affine"]
    assert aligned.quick(dark, example)[0] == pytest.approx(scores["mse"])
    assert "psnr-affine" not in profiles_of("denoising")


def test_the_classical_filter_is_better_than_the_input(same: ImageSet) -> None:
    made = problem()
    anchors = made.anchors(same.val)  # type: ignore[arg-type]
    example = made.fixed(same.tests["test"], 0)  # type: ignore[arg-type]
    values = {kind: made.scores(anchor.reconstruct(example.y), example) for kind, anchor in anchors.items()}
    assert torch.equal(anchors["input"].reconstruct(example.y), example.y)  # type: ignore[arg-type]
    assert values["classical"]["psnr-rgb-clip"] > values["input"]["psnr-rgb-clip"] + 1
    assert anchors["classical"].label != "gain and offset"


def test_another_exposure_is_no_easy_prey(same: ImageSet) -> None:
    """Inputs of a tenth of the values: one gain for all images brings them back."""
    made, pairs = problem(), same.val
    assert isinstance(pairs, PairSubset)
    from reconscale.physics.pair_baselines import best_filter

    found = [(0.1 * y, x) for y, x in (pairs.pair_tensors(i) for i in range(2))]
    chosen = best_filter(found, 1, psnr_rgb_clip)
    y, x = found[0]
    assert psnr_rgb_clip(chosen.reconstruct(y), x) > psnr_rgb_clip(10 * y, x)
    assert made.anchors(pairs).keys() == {"input", "classical"}


def test_filters_are_chosen_in_the_metric_of_the_study(same: ImageSet) -> None:
    """Where every input has an exposure of its own, the fit for each image decides which filter is best."""
    from reconscale.physics.pair_baselines import best_filter

    assert isinstance(same.train, PairSubset)
    found = [(gain * y, x) for gain, (y, x) in zip((0.3, 0.9), map(same.train.pair_tensors, (0, 1)), strict=True)]
    chosen = best_filter(found, 1, psnr_affine)
    gains = [float(psnr_affine(chosen.reconstruct(y), x) - psnr_affine(y, x)) for y, x in found]
    assert min(gains) > 0 and sum(gains) / 2 > 1


def test_truths_that_are_larger(larger: ImageSet) -> None:
    made = problem(factor=2)
    made.check(larger.train, 16)  # type: ignore[arg-type]
    example = made.fixed(larger.val, 0)  # type: ignore[arg-type]
    anchors = made.anchors(larger.val)  # type: ignore[arg-type]
    psnr = {kind: float(psnr_rgb_clip(anchor.reconstruct(example.y), example.x)) for kind, anchor in anchors.items()}
    assert anchors["input"].label == "bicubic" and psnr["classical"] > psnr["input"]
    with pytest.raises(UserError, match="found 1, and truths are 2 times larger than inputs; set it to 2"):
        problem().check(larger.train, 16)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="images.patch: found 17, which the factor 2 does not divide"):
        made.check(larger.train, 17)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["unet", "resnet", "rfdn", "dncnn", "linear"])
def test_networks_enlarge_by_the_factor(family: str) -> None:
    network = Network(family=family, width=8, **FAMILIES[family].small)
    for factor in (1, 2):
        given = input_spec(PairsProblem(kind="pairs", factor=factor), 1)
        assert build(network, given)(torch.rand(1, 1, 32, 32)).shape == (1, 1, 32 * factor, 32 * factor)
    upsampler = FAMILIES[family].upsamplers[0]
    with pytest.raises(UserError, match=r"network.upsampler: this study of pairs enlarges nothing"):
        build(network.model_copy(update={"upsampler": upsampler}), input_spec(PairsProblem(kind="pairs"), 1))


def test_single_images_are_refused(tmp_path: Path) -> None:
    options = Images(source="deadleaves", size=32, total=4, patch=16, val=1, test=1)
    train = open_images(options, cache=tmp_path).train
    with pytest.raises(UserError, match='gives images without inputs; set it to "pairs"'):
        problem().check(train, 16)  # type: ignore[arg-type]
