"""The forward model, the networks and the metrics of MRI against fastMRI 0.3.0 and deepinv.

Reference values were computed by fastMRI from the inputs that are built here: sines, no random numbers.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

from reconscale.data.volumes import transforms as transform
from reconscale.errors import UserError
from reconscale.networks import InputSpec, build
from reconscale.physics import KSpace
from reconscale.physics.baselines import cg_sense, physics_of
from reconscale.physics.metrics import measure_slice, measure_volumes
from reconscale.physics.mri import Masks
from reconscale.physics.mri_coils import (
    center_crop,
    magnitude,
    maps_of,
    simulated_maps,
    to_image,
    to_kspace,
    zero_filled,
)
from reconscale.study import MRIProblem, Network
from reconscale.training.losses import ssim_loss


def measured() -> KSpace:
    t = torch.arange(3 * 32 * 40, dtype=torch.float64).reshape(1, 3, 32, 40)
    rows, columns = torch.arange(32.0).double(), torch.arange(40.0).double()
    decay = torch.exp(-((rows - 16) ** 2)[:, None] / 60 - ((columns - 20) ** 2) / 80)
    kspace = torch.complex((torch.sin(1.3 * t) + 0.5) * decay, torch.cos(0.9 * t) * decay).to(torch.complex64)
    mask = torch.zeros(40, dtype=torch.bool)
    mask[1::3] = True
    mask[18:22] = True
    return KSpace(kspace * mask, mask.reshape(1, 1, 1, 40), (18, 4), (32, 40))


def waves(module: nn.Module) -> nn.Module:
    """The module with sines as weights; the steps of cascades stay 1."""
    for index, (name, value) in enumerate(module.named_parameters()):
        if "steps" not in name:
            t = torch.arange(value.numel(), dtype=torch.float64)
            value.data.copy_((0.3 * torch.sin(0.7 * t + index)).reshape(value.shape))
    return module


def at(image: Tensor, *places: tuple[int, int]) -> list[float]:
    return [float(image[place]) for place in places]


class TestForwardModel:
    def test_the_transform(self) -> None:
        images = to_image(measured().values)[0]
        found = [complex(images[place]) for place in ((0, 0, 0), (1, 5, 7), (2, 16, 20))]
        expected = [-0.000187 - 0.000128j, 0.009913 + 0.028137j, 1.570275 - 0.000364j]
        assert np.abs(np.array(found) - expected).max() < 2e-6

    def test_root_sum_of_squares(self) -> None:
        image = magnitude(to_image(measured().values))[0, 0]
        assert at(image, (0, 0), (5, 7), (16, 20)) == pytest.approx([0.001075, 0.048466, 2.719526], abs=2e-6)

    def test_numpy_and_torch_agree(self) -> None:
        kspace = measured().values
        assert np.allclose(transform.to_image(kspace[0].numpy()), to_image(kspace)[0].numpy(), atol=1e-6)
        rss = transform.root_sum_of_squares(kspace[0].numpy())
        assert np.allclose(rss, magnitude(to_image(kspace))[0, 0].numpy(), atol=1e-6)
        assert np.array_equal(transform.center(rss, 27, 31), center_crop(torch.from_numpy(rss), (27, 31)).numpy())

    @settings(max_examples=20, deadline=None)
    @given(
        st.integers(1, 4),
        st.integers(17, 40),
        st.integers(24, 40),
        st.sampled_from(["random", "poisson"]),
        st.integers(0, 99),
    )
    def test_every_operator_has_its_adjoint(self, coils: int, rows: int, columns: int, kind: str, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        problem = MRIProblem(kind="mri", mask=kind, acceleration=3, center_fraction=0.15)  # type: ignore[arg-type]
        mask, center = Masks(problem, generator).draw(rows, columns)
        maps = simulated_maps(coils, rows, columns)
        draw = lambda *shape: torch.randn(*shape, dtype=torch.complex64, generator=generator)  # noqa: E731
        x, y = draw(1, rows, columns), draw(1, coils, rows, columns)
        forward = to_kspace(maps * x[:, None]) * mask[None]
        back = (maps.conj() * to_image(y * mask[None])).sum(1)
        left, right = torch.vdot(y.flatten(), forward.flatten()), torch.vdot(back.flatten(), x.flatten())
        assert abs(left - right) < 1e-4 * (1 + abs(left))
        physics = physics_of(KSpace(y * mask[None], mask[None], center, (rows, columns), maps))
        real = torch.view_as_real(x).movedim(-1, 1)
        assert torch.allclose(physics.A(real), torch.view_as_real(forward).movedim(-1, 1), atol=1e-5)
        assert float(physics.adjointness_test(real).abs()) < 1e-2

    @pytest.mark.parametrize("columns, acceleration, lines", [
        (96, 4, 8), (128, 4, 10), (320, 4, 26), (321, 4, 26), (368, 4, 29), (640, 4, 51),
        (96, 8, 4), (128, 8, 5), (320, 8, 13), (321, 8, 13), (368, 8, 15), (640, 8, 26),
    ])  # fmt: skip
    def test_lines_of_fastmri(self, columns: int, acceleration: int, lines: int) -> None:
        """Lines in the middle, and in all; the equispaced ones are those of EquispacedMaskFractionFunc."""
        adjusted = acceleration * (lines - columns) / (lines * acceleration - columns)
        middle = set(range((columns - lines + 1) // 2, (columns - lines + 1) // 2 + lines))
        offsets = range(round(adjusted))
        possible = [middle | set(np.around(np.arange(o, columns - 1, adjusted)).astype(int)) for o in offsets]
        for kind in ("equispaced", "random", "gaussian"):
            problem = MRIProblem(kind="mri", mask=kind, acceleration=acceleration)  # type: ignore[arg-type]
            masks = Masks(problem, torch.Generator().manual_seed(1))
            for _ in range(8):
                mask, (first, count) = masks.draw(16, columns)
                assert count == lines and bool(mask[0, 0, first : first + count].all())
                assert abs(int(mask.sum()) - columns / acceleration) <= 2
                if kind == "equispaced":
                    assert set(mask[0, 0].nonzero().flatten().tolist()) in possible

    @pytest.mark.parametrize("columns, acceleration, totals", [
        (320, 4, [80, 80, 80]), (320, 8, [41, 40, 40]), (368, 4, [93, 93, 92]), (368, 8, [47, 47, 47]),
        (321, 4, [81, 80, 80]), (640, 4, [161, 161, 160]),
    ])  # fmt: skip
    def test_totals_of_fastmri(self, columns: int, acceleration: int, totals: list[int]) -> None:
        """The first three offsets of EquispacedMaskFractionFunc give this many lines: all of them turn up here."""
        problem = MRIProblem(kind="mri", acceleration=acceleration)
        masks = Masks(problem, torch.Generator().manual_seed(1))
        assert set(totals) <= {int(masks.draw(16, columns)[0].sum()) for _ in range(100)}

    @settings(max_examples=15, deadline=None)
    @given(st.integers(24, 90), st.integers(24, 90), st.integers(2, 8), st.integers(0, 99))
    def test_a_poisson_disc(self, rows: int, columns: int, acceleration: int, seed: int) -> None:
        problem = MRIProblem(kind="mri", mask="poisson", acceleration=acceleration, center_fraction=0.08)
        mask, (first, count) = Masks(problem, torch.Generator().manual_seed(seed)).draw(rows, columns)
        assert mask.shape == (1, rows, columns) and int(mask.sum()) == round(rows * columns / acceleration)
        top = (rows - count + 1) // 2
        assert bool(mask[0, top : top + count, first : first + count].all())

    @pytest.mark.parametrize(
        "options, columns, sentence",
        [
            ({"center_fraction": 0.01}, 40, "leaves a mask without a centre; give at least 0.025"),
            ({"acceleration": 32}, 96, "32-fold accelerated, are 3, and the centre alone takes 4"),
            ({"acceleration": 4, "center_fraction": 0.5}, 96, "the centre alone takes 48"),
        ],
    )
    def test_masks_that_cannot_be(self, options: dict[str, float], columns: int, sentence: str) -> None:
        problem = MRIProblem(kind="mri", **options)  # type: ignore[arg-type]
        with pytest.raises(UserError, match=sentence):
            Masks(problem, torch.Generator()).draw(32, columns)


class TestNetworks:
    def test_the_variational_network(self) -> None:
        network = waves(build(Network(family="varnet", width=2, cascades=2), InputSpec(1, "mri")))
        with torch.no_grad():
            image = network(measured())[0, 0]
        expected = [0.08568, 0.192459, 2.781535, 2.284303, 0.09093]
        assert at(image, (0, 0), (5, 7), (16, 20), (16, 21), (31, 39)) == pytest.approx(expected, abs=5e-5)

    def test_the_unet(self) -> None:
        network = waves(build(Network(family="unet", width=2), InputSpec(1, "mri")))
        y = measured()
        with torch.no_grad():
            image = network(KSpace(y.values, y.mask, y.center, (32, 32)))[0, 0]
        expected = [0.10302, -0.000106, 0.114983, 0.113824, 0.09946]
        assert at(image, (0, 0), (5, 7), (16, 20), (16, 21), (31, 31)) == pytest.approx(expected, abs=2e-5)


class TestMetrics:
    def volume(self) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[0:48, 0:40]
        slices = [
            (1 + s) * np.exp(-((y - 24) ** 2 + (x - 20 - s) ** 2) / 200) + 0.1 * np.sin(x / 3 + s) for s in range(3)
        ]
        truth = (np.abs(np.stack(slices).astype(np.float32)) * 3e-4).astype(np.float32)
        return truth, (truth * (1 + 0.05 * np.cos(y / 2.0)) + 2e-5 * np.sin(x * 1.7)).astype(np.float32)

    def scores(self, truth: np.ndarray, found: np.ndarray) -> dict[str, dict[str, float]]:
        peak = torch.tensor([float(transform.square(truth).max())])
        tensors = [torch.from_numpy(np.ascontiguousarray(v)) for v in (found, truth)]
        return {f"v/{i}": measure_slice(tensors[0][i][None, None], tensors[1][i][None, None], peak) for i in range(3)}

    def test_fastmris_evaluation(self) -> None:
        """Within 1e-6 of ``fastmri.evaluate`` on a volume that its centre crop cuts."""
        scores = self.scores(*self.volume())
        found = measure_volumes(scores, dict.fromkeys(scores, "v"))["v"]
        assert found["ssim-fastmri-volume-v1"] == pytest.approx(0.9430580614037992, abs=1e-6)
        assert found["psnr-fastmri-volume-v1"] == pytest.approx(34.41664595644588, abs=1e-6)
        assert found["nmse-fastmri-volume-v1"] == pytest.approx(0.0036362784449011087, abs=1e-8)

    @settings(max_examples=15, deadline=None)
    @given(st.integers(7, 30), st.integers(7, 30), st.floats(1e-6, 1e3), st.integers(0, 99))
    def test_skimage_on_any_volume(self, rows: int, columns: int, scale: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        truth = (scale * rng.random((3, rows, columns))).astype(np.float32)
        found = (truth + 0.1 * scale * rng.standard_normal(truth.shape)).astype(np.float32)
        scores = self.scores(truth, found)
        values = measure_volumes(scores, dict.fromkeys(scores, "v"))["v"]
        a, b = transform.square(truth).astype(float), transform.square(found).astype(float)
        ssim = np.mean([structural_similarity(x, y, data_range=a.max()) for x, y in zip(a, b, strict=True)])
        assert values["ssim-fastmri-volume-v1"] == pytest.approx(ssim, abs=1e-6)
        psnr = peak_signal_noise_ratio(a, b, data_range=a.max())
        assert values["psnr-fastmri-volume-v1"] == pytest.approx(psnr, abs=1e-6)
        assert values["nmse-fastmri-volume-v1"] == pytest.approx(((a - b) ** 2).sum() / (a**2).sum(), rel=1e-5)
        own = scores["v/1"]
        expected = structural_similarity(a[1], b[1], data_range=a[1].max())
        assert own["ssim-fastmri-slice-v1"] == pytest.approx(expected, abs=1e-6)

    def test_the_loss_is_fastmris(self) -> None:
        truth, found = (torch.from_numpy(v)[:, None] for v in self.volume())
        scale = truth.amax((1, 2, 3)).max().expand(3)
        windows = [1 - structural_similarity(t[0].numpy(), f[0].numpy(), data_range=float(scale[0]))
                   for t, f in zip(truth, found, strict=True)]  # fmt: skip
        assert float(ssim_loss(found, truth, scale)) == pytest.approx(np.mean(windows), abs=1e-5)

    def test_small_slices_are_refused(self) -> None:
        with pytest.raises(UserError, match="needs 7 x 7"):
            measure_slice(torch.ones(1, 1, 6, 9), torch.ones(1, 1, 6, 9), torch.ones(1))


class TestCoils:
    @pytest.mark.parametrize("coils", [1, 2, 8])
    def test_simulated_maps_keep_the_image(self, coils: int) -> None:
        maps = simulated_maps(coils, 33, 40)
        assert torch.allclose(torch.linalg.vector_norm(maps, dim=1), torch.ones(1, 33, 40), atol=1e-6)

    def test_estimated_maps_come_near_the_true_ones(self) -> None:
        """Up to a common phase: their inner product at every pixel of a smooth object is near 1."""
        true = simulated_maps(4, 64, 64)
        y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
        image = torch.polar(0.2 + torch.exp(-(x**2 + y**2) / 0.4), 0.5 * x)[None, None]
        problem = MRIProblem(kind="mri", acceleration=2, center_fraction=0.25)
        mask, center = Masks(problem, torch.Generator().manual_seed(0)).draw(64, 64)
        k = KSpace(to_kspace(true * image) * mask[None], mask[None], center, (64, 64))
        agreement = (maps_of(k).conj() * true).sum(1).abs()[0, 4:-4, 4:-4]
        assert float(agreement.min()) > 0.9 and float(agreement.mean()) > 0.98

    def test_least_squares_with_true_maps_beats_zero_filling(self) -> None:
        true = simulated_maps(6, 64, 64)
        image = torch.zeros(1, 1, 64, 64, dtype=torch.complex64)
        image[..., 16:48, 20:44] = 1
        problem = MRIProblem(kind="mri", acceleration=2, center_fraction=0.2)
        mask, center = Masks(problem, torch.Generator().manual_seed(0)).draw(64, 64)
        k = KSpace(to_kspace(true * image) * mask[None], mask[None], center, (64, 64), true)
        errors = [float((f(k) - image.abs()).square().mean()) for f in (cg_sense, zero_filled)]
        assert errors[0] < 0.05 * errors[1]
