"""KAIR's train.log, imitated from its ``main_train_psnr.py`` and ``utils_logger.py``."""

from __future__ import annotations

from pathlib import Path

from reconscale.importers import RunLog, import_logs
from reconscale.importers.kair import matches, read


def log(values: dict[int, float], n: str = "1,254") -> str:
    stamp = "22-01-05 10:11:12.123 : "
    head = f"""{stamp}  task: dncnn25
  model: plain
  datasets:[
    train:[
      name: train_dataset
      H_size: 40
    ]
  ]
  train:[
    manual_seed: 3
  ]

{stamp}Number of train images: {n}, iters: 20
{stamp}
Networks name: DnCNN
Params number: 555137
"""
    for step, value in values.items():
        head += f"{stamp}<epoch:  3, iter:{step:8,d}, lr:1.000e-04> G_loss: 1.234e-02 \n"
        head += f"{stamp}---1--> test_001.png | 29.50dB\n"
        head += f"{stamp}<epoch:  3, iter:{step:8,d}, Average PSNR : {value:<.2f}dB\n\n"
    return head


def test_a_run(tmp_path: Path) -> None:
    (tmp_path / "dncnn25").mkdir()
    (tmp_path / "dncnn25/train.log").write_text(log({5000: 30.81, 10000: 30.85}))
    made = import_logs(tmp_path)
    assert made.title == "KAIR logs" and made.header == ("n", "p", "seed", "psnr", "run", "step")
    assert made.rows == ((1254, 555137, 3, 30.85, "dncnn25", "10000"),)


def test_a_training_that_began_anew_in_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(log({5000: 20.0, 10000: 21.0}) + log({5000: 30.5}))
    (run,) = read(tmp_path)
    assert isinstance(run, RunLog) and run.series["psnr"] == {5000: 30.5} and "attempt 2" in run.restarted


def test_values_in_one_line(tmp_path: Path) -> None:
    """As its video networks write them."""
    line = "22-01-05 10:11:12.123 : <epoch:  3, iter:   5,000, Average PSNR: 30.85 dB; SSIM: 0.8510; PSNR_Y: 32.1 dB\n"
    (tmp_path / "train.log").write_text(log({}) + line)
    (run,) = read(tmp_path)
    assert isinstance(run, RunLog) and run.series == {"psnr": {5000: 30.85}, "ssim": {5000: 0.851},
                                                      "psnr_y": {5000: 32.1}}  # fmt: skip


def test_other_logs_of_this_name(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("2024-01-01 loss 0.1\n")
    assert not matches(tmp_path)
