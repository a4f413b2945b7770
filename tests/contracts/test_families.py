"""What every network family promises, for every problem that it is made for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reconscale.errors import UserError
from reconscale.networks import FAMILIES, InputSpec, build, size_of
from reconscale.networks.registry import min_image_size
from reconscale.physics import KSpace
from reconscale.physics.mri import Masks
from reconscale.physics.mri_coils import simulated_maps, to_kspace, zero_filled
from reconscale.physics.superresolution import crop_to_multiple, downscale
from reconscale.study import MRIProblem, Network

CASES = [
    (family, InputSpec(channels, kind, factor))
    for family, known in FAMILIES.items()
    for kind, factors in (("denoising", (1,)), ("superresolution", (2, 3)), ("mri", (1,)))
    if known.made_for(kind)
    for factor in factors
    for channels in ((1, 3) if factor == 1 and kind != "mri" else (1,))
]


def small(family: str, width: int) -> Network:
    """The family's network with few blocks; one head, so that any width will do."""
    return Network(family=family, width=width, **FAMILIES[family].small)


def measured(given: InputSpec, x: Tensor, coils: int = 2, seed: int = 0) -> Tensor | KSpace:
    """What a network is given of images x."""
    generator = torch.Generator().manual_seed(seed)
    if given.kind == "superresolution":
        return downscale(crop_to_multiple(x, given.factor), given.factor)
    if given.kind == "denoising":
        return x + 0.1 * torch.randn(x.shape, generator=generator)
    rows, columns = x.shape[-2:]
    problem = MRIProblem(kind="mri", mask="random", acceleration=2, center_fraction=0.2)
    mask, center = Masks(problem, generator).draw(rows, columns)
    maps = simulated_maps(coils, rows, columns)
    return KSpace(
        to_kspace(maps * x) * mask[None], mask[None], center, (rows, columns), maps.expand(len(x), -1, -1, -1)
    )


MRI = InputSpec(1, "mri")


@pytest.mark.parametrize("family, given", CASES, ids=lambda case: getattr(case, "kind", case))
class TestFamily:
    def test_parameters_are_known_before_training(self, family: str, given: InputSpec) -> None:
        for width in (6, 8):
            network = small(family, width)
            module = build(network, given)
            known = size_of(network, given)
            assert known.p == sum(p.numel() for p in module.parameters() if p.requires_grad)

    def test_width_is_the_dial(self, family: str, given: InputSpec) -> None:
        sizes = [size_of(small(family, width), given) for width in (4, 8, 16)]
        assert sizes[0].p < sizes[1].p < sizes[2].p and sizes[0].flops < sizes[1].flops < sizes[2].flops

    @pytest.mark.parametrize("size", [(37, 53), (64, 48)])
    def test_images_of_any_size_keep_it(self, family: str, given: InputSpec, size: tuple[int, int]) -> None:
        x = torch.rand(2, given.channels, *size)
        with torch.no_grad():
            x_hat = build(small(family, 4), given)(measured(given, x))
        assert x_hat.shape == crop_to_multiple(x, given.factor).shape

    def test_the_smallest_image(self, family: str, given: InputSpec) -> None:
        network = small(family, 2)
        side = min_image_size(network, given)
        x = torch.rand(1, given.channels, side, side)
        assert build(network, given)(measured(given, x)).isfinite().all()

    def test_same_seed_same_weights(self, family: str, given: InputSpec) -> None:
        states = []
        for _ in range(2):
            torch.manual_seed(3)
            states.append(build(small(family, 4), given).state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_images_of_a_batch_do_not_meet(self, family: str, given: InputSpec) -> None:
        torch.manual_seed(1)
        module = build(small(family, 4), given).eval()
        x = torch.rand(3, given.channels, 48, 40)
        with torch.no_grad():
            together = module(measured(given, x))
            if given.kind == "mri":
                alone = module(measured(given, x[:1]))
                assert torch.allclose(together[:1], alone, atol=1e-4)
        assert together.isfinite().all()

    def test_it_learns(self, family: str, given: InputSpec) -> None:
        torch.manual_seed(0)
        side = max(16, min_image_size(small(family, 8), given)) // given.factor * given.factor
        x = torch.rand(4, given.channels, side, side)
        y = measured(given, x)
        module = build(small(family, 8), given)
        optimizer = torch.optim.Adam(module.parameters(), 3e-3)
        losses = []
        for _ in range(30):
            loss = (module(y) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        slow = given.kind == "superresolution" or family in ("unrolled", "unrolled-resnet", "swinir", "restormer")
        assert losses[-1] < (0.95 if slow else 0.6) * losses[0]


@pytest.mark.parametrize("family", [name for name, known in FAMILIES.items() if known.made_for("mri")])
class TestMRI:
    def test_the_scale_of_the_measurement_is_the_scale_of_the_image(self, family: str) -> None:
        torch.manual_seed(0)
        module = build(small(family, 4), MRI).eval()
        y = measured(MRI, torch.rand(1, 1, 48, 48))
        assert isinstance(y, KSpace)
        small_ = KSpace(y.values * 1e-5, y.mask, y.center, y.size, y.maps)
        with torch.no_grad():
            assert torch.allclose(module(small_) * 1e5, module(y), rtol=2e-3, atol=2e-3)

    def test_coils_that_were_measured(self, family: str) -> None:
        """Maps are estimated where none are given; the image is the middle of what the k-space shows."""
        y = measured(MRI, torch.rand(1, 1, 64, 48), coils=4)
        assert isinstance(y, KSpace)
        real = KSpace(y.values, y.mask, y.center, (40, 40))
        with torch.no_grad():
            assert build(small(family, 4), MRI)(real).shape == (1, 1, 40, 40)


@pytest.mark.parametrize("family", ["unrolled", "unrolled-resnet"])
def test_unrolled_networks_begin_with_least_squares(family: str) -> None:
    """Before training they take gradient steps alone; of one coil that is the zero-filled image."""
    y = measured(MRI, torch.rand(1, 1, 48, 48), coils=1)
    assert isinstance(y, KSpace)
    with torch.no_grad():
        x_hat = build(Network(family=family, width=4), MRI)(y)
    assert torch.allclose(x_hat, zero_filled(y), atol=1e-5)


def test_cascades_have_weights_of_their_own() -> None:
    for family in ("unrolled", "unrolled-resnet", "varnet"):
        sizes = [size_of(Network(family=family, width=4, cascades=c), MRI).p for c in (1, 2, 3)]
        assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


def test_published_numbers_of_parameters() -> None:
    """Counted in fastMRI 0.3.0's VarNet and Unet; the unrolled network has a formula."""
    assert size_of(Network(family="varnet", width=18), MRI).p == 29_936_966
    assert size_of(Network(family="varnet", width=18, cascades=8), MRI).p == 20_119_610
    assert size_of(Network(family="varnet", width=4, cascades=4), MRI).p == 969_966
    assert size_of(Network(family="unet", width=32), MRI).p == 7_756_097
    unrolled = size_of(Network(family="unrolled", width=8, depth=5, cascades=5), MRI).p
    assert unrolled == 5 * ((5 - 2) * 9 * 8**2 + (36 + 5 - 1) * 8 + 3)


@pytest.mark.parametrize(
    "network, p",
    [
        (Network(family="swinir", width=102), 3_747_531),
        (Network(family="swinir", width=180), 11_504_163),
        (Network(family="swinir", width=480, heads=8), 81_156_963),
        (Network(family="swinir", width=606), 129_228_411),
        (Network(family="swinir", width=60, depth=4), 905_283),
        (Network(family="swinir", width=12, heads=2, depth=2, layers=2), 11_571),
        (Network(family="drunet", width=64), 32_640_960),
        (Network(family="restormer", width=48), 26_111_668),
        (Network(family="dncnn", width=64, depth=20), 668_227),
    ],
)
def test_published_numbers_of_parameters_of_images(network: Network, p: int) -> None:
    """Counted in deepinv 0.5.0; the paper's SwinIRs have 3.7 to 129 million."""
    assert size_of(network, InputSpec(3)).p == p


@pytest.mark.parametrize(
    "network, factor, p",
    [
        (Network(family="edsr", width=64), 2, 1_369_859),
        (Network(family="edsr", width=64), 4, 1_517_571),
        (Network(family="edsr", width=256, depth=32), 2, 40_729_603),
        (Network(family="edsr", width=256, depth=32), 4, 43_089_923),
        (Network(family="rfdn", width=50), 4, 433_448),
    ],
)
def test_published_numbers_of_parameters_of_superresolution(network: Network, factor: int, p: int) -> None:
    """Lim et al. 2017 and Liu et al. 2020, as their authors' networks have them."""
    assert size_of(network, InputSpec(3, "superresolution", factor)).p == p


def test_an_unknown_family() -> None:
    with pytest.raises(UserError, match="did you mean 'unet'"):
        build(Network(family="unett", width=4), InputSpec(3))


@pytest.mark.parametrize(
    "network, kind, sentence",
    [
        (
            Network(family="dncnn", width=4),
            "mri",
            "'dncnn' is not made for mri; families for mri: unet, unrolled, unrolled-resnet, varnet",
        ),
        (Network(family="varnet", width=4), "superresolution", "families for superresolution: unet, dncnn, drunet"),
        (Network(family="unet", width=4, cascades=3), "mri", "'unet' has no cascades"),
        (Network(family="unet", width=4, layers=3), "denoising", "'unet' has no layers"),
        (Network(family="edsr", width=4, heads=2), "denoising", "'edsr' has no heads"),
        (Network(family="linear", width=4, depth=2), "denoising", "'linear' has no depth"),
        (Network(family="unrolled", width=4, depth=1), "mri", "at least 2 layers"),
        (Network(family="swinir", width=100), "denoising", "found 100, which 6 attention heads .* like 102"),
        (Network(family="swinir", width=10, heads=4), "denoising", "found 10, which 4 attention heads"),
        (
            Network(family="dncnn", width=4, upsampler="subpixel"),
            "superresolution",
            "'dncnn' has no 'subpixel'; it has: b",
        ),
        (Network(family="unet", width=4, upsampler="subpixel"), "denoising", "denoising enlarges nothing"),
    ],
)
def test_networks_that_cannot_be(network: Network, kind: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build(network, InputSpec(1, kind, 2 if kind == "superresolution" else 1))
