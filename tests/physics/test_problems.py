"""Problems: how noise is drawn, kept and continued."""

from __future__ import annotations

import math
import pickle
import zlib

import numpy as np
import pytest
import torch

from reconscale.data import ImageSubset, open_images
from reconscale.data.sources import list_bundled
from reconscale.physics import Batch, Denoising, InverseProblem, measure_image, problem_of
from reconscale.physics.base import Crops
from reconscale.study import PROBLEMS, DenoisingProblem, Images, profiles_of

CPU = torch.device("cpu")


OPTIONS = {
    kind: model(
        kind=kind,
        **dict(model.example) | ({"sigma": 0.02 if model.volumes else 2.0} if "sigma" in model.model_fields else {}),
    )
    for kind, model in PROBLEMS.items()
}
MULTIPLE = {"superresolution": 2, "compressed-sensing": 4}


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> ImageSubset:
    images = Images(source="deadleaves", channels="gray", size=64, total=12, patch=40, val=2, test=2)
    train = open_images(images, cache=tmp_path_factory.mktemp("cache")).train
    assert isinstance(train, ImageSubset)
    return train


def values(example: Batch) -> torch.Tensor:
    return example.y if isinstance(example.y, torch.Tensor) else example.y.values


@pytest.mark.parametrize("kind", [kind for kind, model in PROBLEMS.items() if not model.paired])
class TestContract:
    """Of problems that make what is measured; pairs, which are read, have tests of their own."""

    def make(self, kind: str, seed: int = 0) -> InverseProblem:
        return problem_of(OPTIONS[kind], CPU, seed)

    def drawn(self, problem: InverseProblem, pixels: ImageSubset, *indices: int) -> torch.Tensor:
        return torch.cat([values(e) for e in problem.examples(problem.read(pixels, indices or (0, 1), 40, None))])

    def test_every_measurement_is_fresh(self, kind: str, pixels: ImageSubset) -> None:
        problem = self.make(kind)
        assert not torch.equal(self.drawn(problem, pixels), self.drawn(problem, pixels))
        y = self.drawn(problem, pixels, 0, 0)
        assert not torch.equal(y[0], y[1])

    def test_the_seed_decides(self, kind: str, pixels: ImageSubset) -> None:
        problems = (self.make(kind), self.make(kind), self.make(kind, 1))
        streams = [[self.drawn(p, pixels), self.drawn(p, pixels)] for p in problems]
        assert torch.equal(streams[0][0], streams[1][0]) and torch.equal(streams[0][1], streams[1][1])
        assert not torch.equal(streams[0][0], streams[2][0])

    def test_two_problems_do_not_share_a_stream(self, kind: str, pixels: ImageSubset) -> None:
        first, second, alone = self.make(kind), self.make(kind), self.make(kind)
        torch.manual_seed(0)
        for _ in range(3):
            self.drawn(second, pixels)
        torch.rand(10)
        assert torch.equal(self.drawn(first, pixels), self.drawn(alone, pixels))

    def test_a_stream_continues_exactly(self, kind: str, pixels: ImageSubset) -> None:
        problem = self.make(kind)
        self.drawn(problem, pixels)
        state = problem.state()
        expected = [self.drawn(problem, pixels), self.drawn(problem, pixels, 3)]
        later = self.make(kind, seed=77)
        self.drawn(later, pixels)
        later.restore(pickle.loads(pickle.dumps(state)))
        assert torch.equal(self.drawn(later, pixels), expected[0])
        assert torch.equal(self.drawn(later, pixels, 3), expected[1])
        problem.restore(state)
        assert torch.equal(self.drawn(problem, pixels), expected[0])
        assert state.dtype == torch.uint8 and state.device == CPU

    def test_fixed_measurements_depend_on_the_name_and_seed_alone(self, kind: str, pixels: ImageSubset) -> None:
        one, other = self.make(kind), self.make(kind, seed=9)
        y = values(one.fixed(pixels, 0))
        self.drawn(other, pixels)
        other.fixed(pixels, 1)
        torch.manual_seed(123)
        assert torch.equal(y, values(other.fixed(pixels, 0)))
        twice = pixels.pick(np.array([1, 0]))  # another order, the same name
        assert torch.equal(y, values(one.fixed(twice, 1)))
        assert not torch.equal(y, values(one.fixed(pixels, 0, seed=1)))

    def test_fixed_measurements_leave_the_stream_alone(self, kind: str, pixels: ImageSubset) -> None:
        problem = self.make(kind)
        state = problem.state()
        problem.fixed(pixels, 0)
        assert torch.equal(problem.state(), state)

    def test_every_metric_of_the_problem_is_measured(self, kind: str, pixels: ImageSubset) -> None:
        problem = self.make(kind)
        example = problem.fixed(pixels, 0)
        scores = {pixels.names[0]: problem.scores(example.x, example)}
        volumes = problem.by_volume(scores, pixels.pick(np.arange(1)))
        assert set(profiles_of(kind, "image")) <= set(scores[pixels.names[0]])
        assert set(profiles_of(kind, "volume")) == {name for of in volumes.values() for name in of}
        assert scores[pixels.names[0]]["mse"] == 0

    def test_anchors_keep_the_size_and_the_classical_one_helps(self, kind: str, pixels: ImageSubset) -> None:
        problem = self.make(kind)
        anchors = problem.anchors(pixels.pick(np.arange(3)))
        example = problem.fixed(pixels, 5)
        errors = {}
        for name, anchor in anchors.items():
            x_hat = anchor.reconstruct(example.y)
            assert x_hat.shape == example.x.shape and anchor.label and x_hat.isfinite().all()
            errors[name] = problem.scores(x_hat, example)["mse"]
        assert errors["classical"] < errors["input"]
        shown = problem.shown(example.x, example)
        assert float(shown.min()) >= 0 and float(shown.max()) <= 1.0001

    def test_odd_sizes(self, kind: str, pixels: ImageSubset) -> None:
        problem = self.make(kind)
        example = problem.fixed(pixels, 0, crop=33)
        for anchor in problem.anchors(pixels.pick(np.arange(1))).values():
            side = 33 - 33 % MULTIPLE.get(kind, 1)
            assert anchor.reconstruct(example.y).shape == example.x.shape == (1, 1, side, side)

    def test_other_levels_of_noise(self, kind: str, pixels: ImageSubset) -> None:
        if kind == "mri":
            assert not self.make(kind).variants()
            return
        options = OPTIONS[kind].model_copy(update={"sigma": 2.0, "test_sigma": (1.0, 20.0)})
        problem = problem_of(options, CPU, 0)
        found = {"": problem, **problem.variants()}
        assert list(found) == ["", " at sigma 1", " at sigma 20"]
        clean = problem_of(options.model_copy(update={"sigma": 0.001}), CPU, 0).fixed(pixels, 0)
        spread = {name: float((values(of.fixed(pixels, 0)) - values(clean)).std()) for name, of in found.items()}
        assert 7 < spread[" at sigma 20"] / spread[""] < 13 and 1.5 < spread[""] / spread[" at sigma 1"] < 2.6


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (40, 33)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_classical_denoiser_keeps_the_size_and_helps(channels: int, size: tuple[int, int]) -> None:
    problem = Denoising(DenoisingProblem(kind="denoising"), CPU, 0)
    x = torch.linspace(0.2, 0.8, size[1]).expand(1, channels, *size)
    y = problem.measure_fixed(x, "ramp")
    x_hat = problem.classical(y)
    assert x_hat.shape == x.shape
    assert measure_image(x_hat, x)["mse"] < 0.5 * measure_image(y, x)["mse"]


@pytest.mark.parametrize("sigma", [5.0, 25.0, 50.0])
def test_noise_is_white_gaussian_and_not_clipped(sigma: float) -> None:
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=sigma), CPU, 0)
    x = torch.zeros(1, 1, 400, 500)
    for y in (problem.measure(x), problem.measure_fixed(x, "a")):
        z = (y - x) / (sigma / 255)
        count = z.numel()
        assert abs(float(z.mean())) < 5 / math.sqrt(count)
        assert float(z.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * count))
        assert float((z**4).mean()) == pytest.approx(3, abs=0.1)
        assert abs(float((z[..., 1:] * z[..., :-1]).mean())) < 5 / math.sqrt(count)
        assert y.min() < 0


def test_fixed_noise_never_changes() -> None:
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=255.0), CPU, 0)
    y = problem.measure_fixed(torch.zeros(1, 1, 8, 8), "photographs/a.png", seed=0)
    assert y.flatten()[:4].tolist() == pytest.approx([0.487719, 1.333212, 0.908200, 0.856642], abs=1e-5)


def test_the_classical_baseline_on_a_photograph() -> None:
    listing = list_bundled(Images(source="bundled", channels="gray", val=1, test=1), None)
    image = listing.load(listing.names.index("camera/0-1"))
    x = torch.from_numpy(image[None, ..., 0].copy())[None] / 255
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=25.0), CPU, zlib.crc32(b"any"))
    y = problem.measure_fixed(x, "camera")
    gain = measure_image(problem.classical(y), x)["psnr-rgb-clip"] - measure_image(y, x)["psnr-rgb-clip"]
    assert gain > 7


def crops_of(pixels: ImageSubset, side: int = 40) -> Crops:
    return Crops(pixels, pixels.crops([0, 1], side, generator=None), pixels.names[:2])


def test_poisson_noise_grows_with_the_signal(pixels: ImageSubset) -> None:
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=0.0, photons=100.0), CPU, 0)
    for value in (0.1, 0.9):
        x = torch.full((1, 1, 300, 300), value)
        y = problem.measure(x)
        assert float(y.mean()) == pytest.approx(value, rel=0.01)
        assert float(y.std()) == pytest.approx(math.sqrt(value / 100), rel=0.02)
        assert torch.allclose(100 * y, (100 * y).round(), atol=1e-4)
    mixed = Denoising(DenoisingProblem(kind="denoising", sigma=25.5, photons=100.0), CPU, 0)
    spread = float(mixed.measure(torch.full((1, 1, 300, 300), 0.4)).std())
    assert (
        spread == pytest.approx(math.hypot(0.1, math.sqrt(0.4 / 100)), rel=0.02) == pytest.approx(mixed.level, rel=0.02)
    )


def test_a_blind_range_has_a_level_for_each_image() -> None:
    options = DenoisingProblem(kind="denoising", sigma=25.0, sigma_range=(5.0, 50.0))
    problem = Denoising(options, CPU, 0)
    levels = 255 * problem.measure(torch.zeros(200, 1, 20, 20)).std((1, 2, 3))
    assert 4 < float(levels.min()) < 9 and 44 < float(levels.max()) < 56
    assert float(levels.mean()) == pytest.approx(27.5, abs=3)
    x = torch.zeros(1, 1, 300, 300)
    assert float(255 * problem.measure_fixed(x, "a").std()) == pytest.approx(25, rel=0.02)


def test_one_noisy_copy_of_each_image(pixels: ImageSubset) -> None:
    options = DenoisingProblem(kind="denoising", noise="fixed")
    first, again = (Denoising(options, CPU, seed).examples(crops_of(pixels))[0] for seed in (0, 1))
    assert isinstance(first.y, torch.Tensor) and isinstance(again.y, torch.Tensor)
    assert torch.equal(first.y, again.y) and not torch.equal(first.y[0] - first.x[0], first.y[1] - first.x[1])
    problem = Denoising(options, CPU, 0)
    second = problem.second(first)
    assert torch.equal(second, problem.second(first)) and not torch.equal(second, first.y)
    fresh = Denoising(DenoisingProblem(kind="denoising"), CPU, 0)
    example = fresh.examples(crops_of(pixels))[0]
    assert not torch.equal(fresh.second(example), fresh.second(example))


def test_crops_are_turned_and_mirrored(pixels: ImageSubset) -> None:
    plain = pixels.crops([0] * 64, 24, generator=None)
    turned = pixels.crops([0] * 64, 24, generator=None, turns=torch.Generator().manual_seed(0))
    kinds = {tuple(crop.flatten().tolist()) for crop in turned}
    all_eight = {
        tuple((torch.rot90(c, k, (1, 2))).flatten().tolist()) for k in range(4) for c in (plain[0], plain[0].flip(-1))
    }
    assert kinds == all_eight and len(kinds) == 8


@pytest.mark.parametrize("name", ["wiener", "nlm"])
def test_classical_denoisers_of_libraries_help(name: str) -> None:
    problem = Denoising(DenoisingProblem(kind="denoising"), CPU, 0)
    x = torch.linspace(0.2, 0.8, 48).expand(1, 3, 40, 48)
    y = problem.measure_fixed(x, "ramp")
    offered = problem.anchors(None)  # type: ignore[arg-type]
    assert measure_image(offered[name].reconstruct(y), x)["mse"] < 0.5 * measure_image(y, x)["mse"]
