"""Rows that other trainers write: the table, deepinv's trainer and Lightning."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import reconscale as rs
from reconscale.errors import UserError

from ..cli.calling import call
from ..conftest import ROOT

EXAMPLES = ROOT / "examples" / "ledger"


def test_rows_are_points(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "points.csv"
    for n, psnr in ((10, 28.0), (30, 29.5), (100, 30.25)):
        rs.Ledger(str(path), n=n, seed=0, width=8).write(psnr, p=1234, validation=psnr - 0.5, steps=400)
    points = rs.Points.from_csv(path)
    assert points.n.tolist() == [10, 30, 100] and points.y.tolist() == [28.0, 29.5, 30.25]
    assert points.p is not None and points.validation is not None and points.steps is not None
    assert (points.p[0], points.validation[2], points.steps[0]) == (1234, 29.75, 400)
    assert call("decide", path)[0] == 0


def test_a_repeated_run_writes_over_its_row_and_other_columns_stay(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("n,seed,psnr,note\n10.0,0,27.0,by hand\n30,0,29.0,too\n")
    rs.Ledger(path, n=10, seed=0).write(28.0)
    rs.Ledger(path, n=10, seed=1).write(28.5)
    assert path.read_text() == ("n,seed,psnr,note,status\n30,0,29.0,too,\n10,0,28.0,,done\n10,1,28.5,,done\n")


def test_a_run_that_diverged_is_a_row_that_forecasts_leave_out(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    for n, value in ((10, 28.0), (30, float("nan")), (100, 30.0)):
        rs.Ledger(path, n=n).write(value)
    points = rs.Points.from_csv(path)
    assert points.n.tolist() == [10, 100] and "rows-left-out" in [found.code for found in points.findings]


def test_many_may_write_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: rs.Ledger(tmp_path / "p.csv", n=10, seed=seed).write(30.0 + seed), range(24)))
    points = rs.Points.from_csv(tmp_path / "p.csv")
    assert points.seed is not None and sorted(points.seed.tolist()) == list(range(24))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "Ledger, n: found 0"),
        ({"n": 10, "seed": -1}, "Ledger, seed: found -1"),
        ({"n": 10, "width": 1.5}, "Ledger, width: found 1.5"),
        ({"n": 10, "metric": "pnsr"}, "Ledger, metric: found 'pnsr'; did you mean 'psnr'?"),
        ({"n": 10, "path": "points.txt"}, "is no name of a table; give one that ends in .csv"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        rs.Ledger(**{"path": "points.csv", **options})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("content", "value", "words"),
    [
        ("", "30", "found a str; a number is expected"),
        ("", None, "found a NoneType"),
        ("a,b\n1,2\n", 30.0, "is there, and is no table of runs: it has no column 'n'"),
        ("n,psnr\n1\n", 30.0, "line 2: found 1 cells; the header has 2"),
        ("n,ssim\n1,0.9\n", 30.0, "is a table of 'ssim', and this run measured 'psnr'"),
        ('n,psnr\n1,"30"x\n', 30.0, "is not CSV in UTF-8"),
    ],
)
def test_nothing_is_written_where_that_would_harm(tmp_path: Path, content: str, value: Any, words: str) -> None:
    path = tmp_path / "points.csv"
    if content:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        rs.Ledger(path, n=10).write(value)
    assert words in str(error.value)
    assert (path.read_text() if path.exists() else "") == content


def test_values_that_the_metric_cannot_have(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        rs.Ledger(tmp_path / "p.csv", n=10, metric="ssim").write(1.5)
    assert not (tmp_path / "p.csv").exists()


# --- deepinv -------------------------------------------------------------------------------------------------------


def trainer_of(tmp_path: Path, **options: Any) -> Any:
    import deepinv
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Trainer(rs.LedgerMixin, deepinv.Trainer):
        pass

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, y: Any, physics: Any = None, **_: Any) -> Any:  # noqa: ARG002
            return self.conv(y)

    torch.manual_seed(0)
    x = torch.rand(4, 1, 16, 16)
    loader = DataLoader(TensorDataset(x, x + 0.1 * torch.randn(x.shape)), 2)
    model = Net()
    return loader, Trainer(
        model=model, physics=deepinv.physics.Denoising(deepinv.physics.GaussianNoise(0.1)), epochs=1, device="cpu",
        optimizer=torch.optim.Adam(model.parameters(), 1e-3), train_dataloader=loader, verbose=False,
        show_progress_bar=False, save_path=None, **options,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_deepinv_calls_the_method_that_is_overridden(tmp_path: Path) -> None:
    """Pins what the mixin rests on: the hook is called once a test, with the means of the metrics."""
    loader, trainer = trainer_of(tmp_path)
    seen: list[tuple[bool, list[str]]] = []
    real = trainer.log_metrics_mlops
    trainer.log_metrics_mlops = lambda logs, step, train=True: (
        seen.append((train, sorted(logs))), real(logs, step, train))[1]  # fmt: skip
    out = trainer.test(loader)
    assert [train for train, _ in seen] == [False] and "PSNR" in seen[0][1]
    assert trainer._tested["PSNR"] == pytest.approx(out["PSNR"])


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_trainer_of_deepinv_writes_its_row(tmp_path: Path) -> None:
    loader, trainer = trainer_of(tmp_path, eval_dataloader=None)
    trainer.train()
    trainer.test(loader)
    assert not list(tmp_path.glob("*.csv"))  # without a ledger nothing is written
    trainer.ledger = rs.Ledger(tmp_path / "points.csv", n=4, seed=0, width=1)
    out = trainer.test(loader)
    points = rs.Points.from_csv(tmp_path / "points.csv")
    assert points.y.tolist() == [pytest.approx(out["PSNR"])] and points.p is not None and points.p.tolist() == [10]
    trainer.ledger = rs.Ledger(tmp_path / "other.csv", n=4, metric="ssim")
    with pytest.raises(UserError, match="trainer.test: measured 'PSNR'.*, and no 'ssim'"):
        trainer.test(loader)
    trainer.ledger = "points.csv"
    with pytest.raises(UserError, match="trainer.ledger: found a str; give rs.Ledger"):
        trainer.test(loader)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_what_it_looked_at_in_training_is_validation(tmp_path: Path) -> None:
    loader, trainer = trainer_of(tmp_path)
    trainer.eval_dataloader = loader
    trainer.train()
    looked = trainer._looked["PSNR"]
    trainer.ledger = rs.Ledger(tmp_path / "points.csv", n=4)
    trainer.test(loader)
    points = rs.Points.from_csv(tmp_path / "points.csv")
    assert points.validation is not None and points.validation.tolist() == [pytest.approx(looked)]


# --- Lightning -----------------------------------------------------------------------------------------------------

LIGHTNING = find_spec("lightning") is not None or find_spec("pytorch_lightning") is not None


@pytest.mark.skipif(LIGHTNING, reason="Lightning is installed")
def test_without_lightning_the_way_there_is_said() -> None:
    assert rs.Ledger and sys.modules.get("lightning") is None
    with pytest.raises(
        UserError, match="LedgerCallback: needs the package lightning, which is not installed; pip install"
    ):
        _ = rs.LedgerCallback


def test_without_deepinv_the_way_there_is_said(tmp_path: Path) -> None:
    script = "import sys; sys.modules['deepinv'] = None\nimport reconscale as rs\nrs.Ledger\nrs.LedgerMixin"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "needs the package deepinv, which is not installed" in done.stderr, done.stderr


@pytest.mark.skipif(not LIGHTNING, reason="Lightning is not installed")
def test_a_module_of_lightning_writes_its_rows(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "lightning_rows.py"), str(tmp_path / "points.csv")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    points = rs.Points.from_csv(tmp_path / "points.csv")
    assert points.n.tolist() == [2, 8, 24] and points.p is not None and set(points.p.tolist()) == {77}
    assert points.validation is not None and points.steps is not None and set(points.steps.tolist()) == {40}
    assert "At n = 24" in done.stdout


@pytest.mark.skipif(not LIGHTNING, reason="Lightning is not installed")
@pytest.mark.filterwarnings("ignore")
def test_lightning_logs_something_else(tmp_path: Path) -> None:
    import torch
    from lightning import LightningModule, Trainer

    class Net(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def test_step(self, batch: Any, index: int) -> None:  # noqa: ARG002
            self.log("score", self.layer(batch).mean())

    loader = torch.utils.data.DataLoader(torch.rand(4, 1))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "accelerator": "cpu"}
    ledger = rs.Ledger(tmp_path / "points.csv", n=4)
    with pytest.raises(UserError, match="the test logged 'score', and no 'test_psnr'; log the metric in test_step"):
        Trainer(callbacks=[rs.LedgerCallback(ledger)], **quiet).test(Net(), loader, verbose=False)
    assert not (tmp_path / "points.csv").exists()
    Trainer(callbacks=[rs.LedgerCallback(ledger, key="score")], **quiet).test(Net(), loader, verbose=False)
    assert len(rs.Points.from_csv(tmp_path / "points.csv")) == 1
    with pytest.raises(UserError, match="LedgerCallback: found a str; give rs.Ledger"):
        rs.LedgerCallback("points.csv")
