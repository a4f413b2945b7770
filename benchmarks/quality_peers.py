"""The peers of ``benchmarks/quality.py``: recipes of others, as they are published, in fp32 on one thread.

A peer with a schedule of its own is one long run that is measured at several moments; what a recipe leaves open is
tried for ``PILOT`` seconds on the validation images, which is not counted. Its images lie in memory as ours do, its
validations and tests are not counted either. ``version-1`` (a fixed number of steps) has a run for each budget, like
ours.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from quality_tasks import Task, study_content
from quality_training import CPU, Enough, Material, Moments, Reconstruct, by_schedule, evaluating, material, measured
from reconscale.data import ImageSubset
from reconscale.errors import UserError, suggest
from reconscale.training.evaluate import means, score

STUDIES = Path(__file__).parents[1] / "studies"
PILOT = 60.0
"""Seconds of the processor that each setting of a peer is tried for."""


@dataclass(frozen=True)
class Peer:
    """A recipe of others.

    Attributes:
        tasks: that it is for.
        source: where the recipe is written.
        train: trains until the last moment; gives what a row says of it. None: a run for each budget.
        study: for recipes that the project has: a study file, by its folder.
        changes: to the tables of that study file.
        n: training images; none: all.
        tried: settings that the recipe leaves open, tried on validation images.
        moments: seconds of the processor at which its run is measured in the whole benchmark.
        test: seconds that one test of it takes, for the time that is left: a guess.
    """

    tasks: tuple[str, ...]
    source: str
    train: Callable[[Material, Mapping[str, Any], Moments], dict[str, Any]] | None = None
    study: Mapping[str, str] | None = None
    changes: Mapping[str, Mapping[str, Any]] | None = None
    n: int | None = None
    tried: tuple[Mapping[str, Any], ...] = ({},)
    moments: tuple[float, ...] = (10, 30, 100, 300)
    test: float = 60.0

    def content(self, task: Task) -> dict[str, Any]:
        """The study file that its images (and, of the project's recipes, its training) come from."""
        if self.study is None:
            return study_content(task, task.presets[0], {})
        place = STUDIES / self.study[task.name]
        read = tomllib.loads((place if place.suffix == ".toml" else place / "study.toml").read_text())
        others = ("folders", "test_sets", "test_patch")
        kept = {key: value for key, value in read["images"].items() if key not in others}
        content = {**read, "images": {**kept, **task.images}}
        for table, values in (self.changes or {}).items():
            content[table] = {**content.get(table, {}), **values}
        if "width" not in (self.changes or {}).get("sweep", {}):
            content["sweep"] = {**content["sweep"], "width": (max(content["sweep"]["width"]),)}
        return content


def _through_the_loop(given: Material, setting: Mapping[str, Any], moments: Moments) -> dict[str, Any]:
    """A recipe that the project's own loop runs."""
    study = given.study.model_copy(update={"recipe": given.study.recipe_with(setting)})
    return by_schedule(Material(given.task, study, given.images, given.seed, given.n), moments)


class _Crops(torch.utils.data.Dataset[Tensor]):
    """Random crops of the training images, which lie in memory; with the eight symmetries of the square if asked."""

    def __init__(self, given: Material, patch: int, *, turns: bool) -> None:
        pixels = given.images.training(given.training_images, given.seed)
        assert isinstance(pixels, ImageSubset)
        self.pixels, self.patch = pixels, patch
        self.generator = torch.Generator().manual_seed(given.seed)
        self.turns = self.generator if turns else None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        crop = self.pixels.crops([index], self.patch, generator=self.generator, turns=self.turns)
        return self.pixels.to_unit(crop, CPU)[0]


def _deepinv(name: str) -> Callable[[Material, Mapping[str, Any], Moments], dict[str, Any]]:
    """The trainer of deepinv with one of its networks, as its examples put them together."""

    def train(given: Material, setting: Mapping[str, Any], moments: Moments) -> dict[str, Any]:
        import deepinv

        warnings.simplefilter("ignore")
        torch.manual_seed(given.seed)
        noise = deepinv.physics.GaussianNoise(25 / 255, rng=torch.Generator(CPU).manual_seed(given.seed))
        physics = deepinv.physics.Denoising(noise)
        model = deepinv.models.ArtifactRemoval(getattr(deepinv.models, name)(pretrained=None, device=CPU))
        optimizer = torch.optim.Adam(model.parameters(), lr=setting["lr"], weight_decay=setting["weight_decay"])
        crops = _Crops(given, 64, turns=False)
        loader = torch.utils.data.DataLoader(crops, batch_size=setting["batch"], shuffle=True)
        moments.shown = lambda: evaluating(model, lambda y: model(y, physics))
        moments.watch(optimizer)
        trainer = deepinv.Trainer(
            model=model, physics=physics, train_dataloader=loader, optimizer=optimizer, epochs=10**9,
            losses=deepinv.loss.SupLoss(metric=deepinv.metric.MSE()), online_measurements=True, device=CPU,
            verbose=False, show_progress_bar=False, save_path=None,
        )  # fmt: skip
        with suppress(Enough):
            trainer.train()
        return _row(name, model, given, setting)

    return train


class _DnCNN(nn.Module):
    """DnCNN with batch normalisation (Zhang et al. 2017), initialised as KAIR does: for colour 20 layers, 64 wide."""

    def __init__(self, width: int = 64, depth: int = 20) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            norm = nn.BatchNorm2d(width, momentum=0.9, eps=1e-4)
            nn.init.uniform_(norm.weight, 0.1, 1.0)
            layers += [nn.Conv2d(width, width, 3, padding=1), norm, nn.ReLU(inplace=True)]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))
        for layer in self.noise:
            if isinstance(layer, nn.Conv2d):
                nn.init.orthogonal_(layer.weight, gain=0.2)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, y: Tensor) -> Tensor:
        """Take the estimated noise away."""
        found: Tensor = y - self.noise(y)
        return found


def _kair(given: Material, setting: Mapping[str, Any], moments: Moments) -> dict[str, Any]:
    """KAIR's recipe for DnCNN: L1, Adam, the rate halved at 200,000 steps, random crops, flips and turns."""
    torch.manual_seed(given.seed)
    network = _DnCNN().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=setting["lr"])
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, range(200_000, 10**6 + 1, 200_000), gamma=0.5)
    crops = _Crops(given, setting["patch"], turns=True)
    loader = torch.utils.data.DataLoader(crops, batch_size=setting["batch"], shuffle=True, drop_last=True)
    moments.shown = lambda: evaluating(network)
    moments.watch(optimizer)
    with suppress(Enough):
        for x in _forever(loader):
            loss = functional.l1_loss(network(x + 25 / 255 * torch.randn_like(x)), x)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
    return _row("DnCNN", network, given, setting)


def _forever(loader: torch.utils.data.DataLoader[Tensor]) -> Iterator[Tensor]:
    while True:
        yield from loader


def _row(family: str, network: nn.Module, given: Material, setting: Mapping[str, Any]) -> dict[str, Any]:
    p = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    return {"p": p, "family": family, "n": given.training_images, "settings": dict(setting)}


DEEPINV = (
    {"lr": 1e-4, "weight_decay": 1e-4, "batch": 1},
    {"lr": 5e-4, "weight_decay": 1e-8, "batch": 1},
    {"lr": 1e-3, "weight_decay": 0.0, "batch": 1},
    {"lr": 1e-3, "weight_decay": 0.0, "batch": 4},
)
"""Of deepinv's examples demo_r2r_denoising (batch 1 on a CPU), demo_n2n_denoising and demo_sure_denoising (the same),
and demo_training; the last of them also with batches of 4."""
SLOW = (30.0, 100.0, 300.0)
"""Moments of networks whose test takes as long as their training."""
DENOISING = ("denoising",)
PAPER = {"denoising": "denoising-paper"}
OF_THE_PAPER = "Klug and Heckel 2023, the official scheme (policy 'paper', studies/denoising-paper)"
OF_DEEPINV = "deepinv 0.5: Trainer, examples/self-supervised-learning and examples/models/demo_training.py"

PEERS: dict[str, Peer] = {
    "paper-16-n100": Peer(
        DENOISING, OF_THE_PAPER, _through_the_loop, PAPER, {"sweep": {"width": (16,)}, "images": {"patch": 256}}, 100
    ),
    "paper-16-n300": Peer(
        DENOISING, OF_THE_PAPER, _through_the_loop, PAPER, {"sweep": {"width": (16,)}, "images": {"patch": 256}}, 300
    ),
    "paper-32-n300": Peer(
        DENOISING, OF_THE_PAPER, _through_the_loop, PAPER, {"sweep": {"width": (32,)}, "images": {"patch": 256}}, 300
    ),
    "deepinv-dncnn": Peer(DENOISING, OF_DEEPINV, _deepinv("DnCNN"), tried=DEEPINV, moments=SLOW, test=200),
    "deepinv-drunet": Peer(DENOISING, OF_DEEPINV, _deepinv("DRUNet"), tried=DEEPINV, moments=SLOW, test=700),
    "kair-dncnn": Peer(
        DENOISING,
        "github.com/cszn/KAIR, options/train_dncnn.json; the rate 1e-3 from cszn/DnCNN, dncnn_pytorch/main_train.py",
        _kair,
        tried=({"lr": 1e-4, "batch": 64, "patch": 40}, {"lr": 1e-3, "batch": 64, "patch": 40}),
        moments=SLOW,
        test=200,
    ),
    "edsr-baseline": Peer(
        ("superresolution",),
        "Lim et al. 2017, the baseline: width 64, depth 16, L1, Adam 1e-4, batch 16, crops of 96; also at 1e-3",
        _through_the_loop,
        {"superresolution": "../tests/study/version_1/superresolution-photos--edsr-2x.toml"},
        {
            "network": {"depth": 16},
            "sweep": {"width": (64,)},
            "images": {"patch": 96, "crop": "random", "augment": True},
            "recipe": {"batch": 16, "lr_width": 64, "warmup": 0.0, "decay": "none"},
        },
        tried=({"lr": 1e-4}, {"lr": 1e-3}),
        moments=SLOW,
    ),
    "version-1": Peer(
        ("denoising", "superresolution", "mri", "tomography"),
        "this project before: Adam and a cosine, as in the study files of version 1",
        study={
            "denoising": "../tests/study/version_1/denoising-photos.toml",
            "superresolution": "../tests/study/version_1/superresolution-photos--edsr-2x.toml",
            "mri": "../tests/study/version_1/mri-brain--unrolled-4x.toml",
            "tomography": "../tests/study/version_1/tomography-deadleaves.toml",
        },
    ),
}


def peer_named(name: str, task: Task) -> Peer:
    """A peer for a task.

    Raises:
        UserError: there is none of that name, or it is for other tasks.
    """
    if name not in PEERS:
        raise UserError("--peer", f"found '{name}'", suggest(name, PEERS))
    if task.name not in PEERS[name].tasks:
        fitting = ", ".join(other for other, peer in PEERS.items() if task.name in peer.tasks)
        raise UserError("--peer", f"'{name}' is not for {task.name}", f"known here: {fitting}")
    return PEERS[name]


def along(peer: Peer, task: Task, data: Path | None, seed: int, at: tuple[float, ...]) -> dict[str, Any]:
    """Train a peer in one long run and test it at some moments: a row.

    What the recipe leaves open is tried for ``PILOT`` seconds, or a fifth of the last moment where that is less.
    """
    assert peer.train is not None
    pilot = min(PILOT, at[-1] / 5)
    given = material(task, peer.content(task), data, seed, peer.n)
    setting, tried = _chosen(peer, given, pilot)
    moments = Moments(at, measured(task, given.images, given.problem))
    row = peer.train(given, setting, moments)
    last = moments.curve[-1]
    return {**row, **last, "curve": moments.curve, "tried": tried, "source": peer.source}


def _chosen(peer: Peer, given: Material, pilot: float) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """The setting that is best on validation images after ``pilot`` seconds, and what each had there."""
    assert peer.train is not None
    if len(peer.tried) == 1:
        return peer.tried[0], []
    crop = given.study.images.val_patch

    def look(reconstruct: Reconstruct, last: bool) -> dict[str, Any]:
        found = score(reconstruct, given.problem, given.images.val, crop=crop)
        return {"val_psnr": means(found)[given.task.profile]}

    tried = []
    for setting in peer.tried:
        moments = Moments((pilot,), look)
        peer.train(given, setting, moments)
        tried.append({**setting, **moments.curve[-1]})
    best = max(range(len(tried)), key=lambda place: _or_worst(tried[place]["val_psnr"]))
    return peer.tried[best], tried


def _or_worst(value: float) -> float:
    return value if value == value else float("-inf")  # a run that diverged has NaN
