"""Problems: how noise is drawn, kept and continued."""

from __future__ import annotations

import math
import pickle
import zlib

import pytest
import torch

from reconscale.imaging import PROBLEMS, Denoising, measure_image
from reconscale.imaging.bundled import list_bundled
from reconscale.study import DenoisingProblem, Images

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", PROBLEMS)
class TestContract:
    @pytest.fixture
    def x(self) -> torch.Tensor:
        return torch.rand(4, 3, 20, 24, generator=torch.Generator().manual_seed(5))

    def make(self, kind: str, seed: int = 0) -> Denoising:
        return PROBLEMS[kind](DenoisingProblem(kind=kind), CPU, seed)

    def test_every_measurement_is_fresh(self, kind: str, x: torch.Tensor) -> None:
        problem = self.make(kind)
        assert not torch.equal(problem.measure(x), problem.measure(x))
        same = x[:1].expand(4, -1, -1, -1)
        y = problem.measure(same)
        assert not torch.equal(y[0], y[1])

    def test_the_seed_decides(self, kind: str, x: torch.Tensor) -> None:
        streams = [[p.measure(x), p.measure(x)] for p in (self.make(kind), self.make(kind), self.make(kind, 1))]
        assert torch.equal(streams[0][0], streams[1][0]) and torch.equal(streams[0][1], streams[1][1])
        assert not torch.equal(streams[0][0], streams[2][0])

    def test_two_problems_do_not_share_a_stream(self, kind: str, x: torch.Tensor) -> None:
        first, second, alone = self.make(kind), self.make(kind), self.make(kind)
        torch.manual_seed(0)
        for _ in range(3):
            second.measure(x)
        torch.rand(10)
        assert torch.equal(first.measure(x), alone.measure(x))

    def test_a_stream_continues_exactly(self, kind: str, x: torch.Tensor) -> None:
        problem = self.make(kind)
        problem.measure(x)
        state = problem.state()
        expected = [problem.measure(x), problem.measure(x[:2])]
        later = self.make(kind, seed=77)
        later.measure(x)
        later.restore(pickle.loads(pickle.dumps(state)))
        assert torch.equal(later.measure(x), expected[0]) and torch.equal(later.measure(x[:2]), expected[1])
        problem.restore(state)
        assert torch.equal(problem.measure(x), expected[0])
        assert state.dtype == torch.uint8 and state.device == CPU

    def test_fixed_measurements_depend_on_the_name_and_seed_alone(self, kind: str, x: torch.Tensor) -> None:
        one, other = self.make(kind), self.make(kind, seed=9)
        y = one.measure_fixed(x[:1], "a/b.png")
        other.measure(x)
        other.measure_fixed(x[1:2], "another")
        torch.manual_seed(123)
        assert torch.equal(y, other.measure_fixed(x[:1], "a/b.png"))
        assert not torch.equal(y, one.measure_fixed(x[:1], "a/c.png"))
        assert not torch.equal(y, one.measure_fixed(x[:1], "a/b.png", seed=1))

    def test_fixed_measurements_leave_the_stream_alone(self, kind: str, x: torch.Tensor) -> None:
        problem = self.make(kind)
        state = problem.state()
        problem.measure_fixed(x[:1], "a")
        assert torch.equal(problem.state(), state)

    @pytest.mark.parametrize("size", [(8, 8), (9, 31), (40, 33)])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_classical_baseline_keeps_the_size_and_helps(
        self, kind: str, channels: int, size: tuple[int, int]
    ) -> None:
        problem = self.make(kind)
        x = torch.linspace(0.2, 0.8, size[1]).expand(1, channels, *size)
        y = problem.measure_fixed(x, "ramp")
        x_hat = problem.classical(y)
        assert x_hat.shape == x.shape and problem.classical_name
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
