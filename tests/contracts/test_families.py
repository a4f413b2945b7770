"""What every network family promises, for every problem that it is made for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reconscale.imaging import KSpace
from reconscale.imaging.mri.coils import simulated_maps
from reconscale.imaging.mri.fourier import to_kspace, zero_filled
from reconscale.imaging.mri.masks import Masks
from reconscale.mistakes import Mistake
from reconscale.networks import FAMILIES, build, size_of
from reconscale.networks.families import depth_of
from reconscale.study import MRIProblem, Network

CASES = [
    (family, kind, channels)
    for family, known in FAMILIES.items()
    for kind in known.build
    for channels in ((1, 3) if kind == "denoising" else (1,))
]


def small(family: str, width: int) -> Network:
    return Network(family=family, width=width, cascades=2 if FAMILIES[family].cascades else None)


def measured(kind: str, x: Tensor, coils: int = 2, seed: int = 0) -> Tensor | KSpace:
    """What a network is given of images x."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "denoising":
        return x + 0.1 * torch.randn(x.shape, generator=generator)
    rows, columns = x.shape[-2:]
    problem = MRIProblem(kind="mri", mask="random", acceleration=2, center_fraction=0.2)
    mask, center = Masks(problem, generator).draw(rows, columns)
    maps = simulated_maps(coils, rows, columns)
    return KSpace(
        to_kspace(maps * x) * mask[None], mask[None], center, (rows, columns), maps.expand(len(x), -1, -1, -1)
    )


@pytest.mark.parametrize("family, kind, channels", CASES)
class TestFamily:
    def test_parameters_are_known_before_training(self, family: str, kind: str, channels: int) -> None:
        for width in (3, 8):
            network = small(family, width)
            module = build(network, channels, kind)
            known = size_of(network, channels, kind)
            assert known.p == sum(p.numel() for p in module.parameters() if p.requires_grad)

    def test_width_is_the_dial(self, family: str, kind: str, channels: int) -> None:
        sizes = [size_of(small(family, width), channels, kind) for width in (4, 8, 16)]
        assert sizes[0].p < sizes[1].p < sizes[2].p and sizes[0].flops < sizes[1].flops < sizes[2].flops

    @pytest.mark.parametrize("size", [(37, 53), (64, 48)])
    def test_images_of_any_size_keep_it(self, family: str, kind: str, channels: int, size: tuple[int, int]) -> None:
        x = torch.rand(2, channels, *size)
        with torch.no_grad():
            assert build(small(family, 4), channels, kind)(measured(kind, x)).shape == x.shape

    def test_the_smallest_image(self, family: str, kind: str, channels: int) -> None:
        network = small(family, 2)
        side = FAMILIES[family].least(depth_of(network, kind))
        x = torch.rand(1, channels, side, side)
        assert build(network, channels, kind)(measured(kind, x)).isfinite().all()

    def test_same_seed_same_weights(self, family: str, kind: str, channels: int) -> None:
        states = []
        for _ in range(2):
            torch.manual_seed(3)
            states.append(build(small(family, 4), channels, kind).state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_images_of_a_batch_do_not_meet(self, family: str, kind: str, channels: int) -> None:
        torch.manual_seed(1)
        module = build(small(family, 4), channels, kind).eval()
        x = torch.rand(3, channels, 48, 40)
        with torch.no_grad():
            together = module(measured(kind, x))
            if kind == "mri":
                alone = module(measured(kind, x[:1]))
                assert torch.allclose(together[:1], alone, atol=1e-4)
        assert together.isfinite().all()

    def test_it_learns(self, family: str, kind: str, channels: int) -> None:
        torch.manual_seed(0)
        side = max(16, FAMILIES[family].least(depth_of(small(family, 8), kind)))
        x = torch.rand(4, channels, side, side)
        y = measured(kind, x)
        module = build(small(family, 8), channels, kind)
        optimizer = torch.optim.Adam(module.parameters(), 3e-3)
        losses = []
        for _ in range(30):
            loss = (module(y) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < (0.5 if kind == "denoising" or family != "unrolled" else 0.95) * losses[0]


@pytest.mark.parametrize("family", [name for name, known in FAMILIES.items() if "mri" in known.build])
class TestMRI:
    def test_the_scale_of_the_measurement_is_the_scale_of_the_image(self, family: str) -> None:
        torch.manual_seed(0)
        module = build(small(family, 4), 1, "mri").eval()
        y = measured("mri", torch.rand(1, 1, 48, 48))
        assert isinstance(y, KSpace)
        small_ = KSpace(y.values * 1e-5, y.mask, y.center, y.size, y.maps)
        with torch.no_grad():
            assert torch.allclose(module(small_) * 1e5, module(y), rtol=2e-3, atol=2e-3)

    def test_coils_that_were_measured(self, family: str) -> None:
        """Maps are estimated where none are given; the image is the middle of what the k-space shows."""
        y = measured("mri", torch.rand(1, 1, 64, 48), coils=4)
        assert isinstance(y, KSpace)
        real = KSpace(y.values, y.mask, y.center, (40, 40))
        with torch.no_grad():
            assert build(small(family, 4), 1, "mri")(real).shape == (1, 1, 40, 40)


def test_the_unrolled_network_begins_with_least_squares() -> None:
    """Before training it takes gradient steps alone; of one coil that is the zero-filled image."""
    y = measured("mri", torch.rand(1, 1, 48, 48), coils=1)
    assert isinstance(y, KSpace)
    with torch.no_grad():
        x_hat = build(Network(family="unrolled", width=4), 1, "mri")(y)
    assert torch.allclose(x_hat, zero_filled(y), atol=1e-5)


def test_cascades_have_weights_of_their_own() -> None:
    for family in ("unrolled", "varnet"):
        sizes = [size_of(Network(family=family, width=4, cascades=c), 1, "mri").p for c in (1, 2, 3)]
        assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


def test_published_numbers_of_parameters() -> None:
    """Counted in fastMRI 0.3.0's VarNet and Unet; the unrolled network has a formula."""
    assert size_of(Network(family="varnet", width=18), 1, "mri").p == 29_936_966
    assert size_of(Network(family="varnet", width=18, cascades=8), 1, "mri").p == 20_119_610
    assert size_of(Network(family="varnet", width=4, cascades=4), 1, "mri").p == 969_966
    assert size_of(Network(family="unet", width=32), 1, "mri").p == 7_756_097
    unrolled = size_of(Network(family="unrolled", width=8, depth=5, cascades=5), 1, "mri").p
    assert unrolled == 5 * ((5 - 2) * 9 * 8**2 + (36 + 5 - 1) * 8 + 3)


def test_an_unknown_family() -> None:
    with pytest.raises(Mistake, match="did you mean 'unet'"):
        build(Network(family="unett", width=4), 3)


@pytest.mark.parametrize(
    "network, kind, sentence",
    [
        (
            Network(family="dncnn", width=4),
            "mri",
            "'dncnn' is not made for mri; families for mri: unet, unrolled, varnet",
        ),
        (Network(family="unet", width=4, cascades=3), "mri", "'unet' has no cascades"),
        (Network(family="unrolled", width=4, depth=1), "mri", "at least 2 layers"),
    ],
)
def test_networks_that_cannot_be(network: Network, kind: str, sentence: str) -> None:
    with pytest.raises(Mistake, match=sentence):
        build(network, 1, kind)
