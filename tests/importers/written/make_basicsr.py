"""Write the logs in basicsr/: three tiny trainings by BasicSR's own training pipeline.

Needs BasicSR 1.4.2 on the path (its archive unpacked is enough, with an empty basicsr/version.py made), with addict,
lmdb, pyyaml, torch, torchvision and OpenCV. Usage: python make_basicsr.py SCRATCH-FOLDER OUT-FOLDER
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import torchvision.transforms.functional

# BasicSR 1.4.2 imports a module that newer versions of torchvision have merged into this one.
sys.modules["torchvision.transforms.functional_tensor"] = torchvision.transforms.functional

OPTIONS = """
name: edsr_n{n}_s{seed}
model_type: SRModel
scale: 2
num_gpu: 0
manual_seed: {seed}
datasets:
  train:
    name: Tiny
    type: PairedImageDataset
    dataroot_gt: {scratch}/gt{n}
    dataroot_lq: {scratch}/lq{n}
    io_backend: {{type: disk}}
    gt_size: 16
    use_hflip: true
    use_rot: true
    num_worker_per_gpu: 0
    batch_size_per_gpu: 2
    dataset_enlarge_ratio: 1
    prefetch_mode: ~
  val:
    name: Held
    type: PairedImageDataset
    dataroot_gt: {scratch}/gt2
    dataroot_lq: {scratch}/lq2
    io_backend: {{type: disk}}
  val_2:
    name: Out
    type: PairedImageDataset
    dataroot_gt: {scratch}/gt4
    dataroot_lq: {scratch}/lq4
    io_backend: {{type: disk}}
network_g:
  type: EDSR
  num_in_ch: 3
  num_out_ch: 3
  num_feat: 4
  num_block: 1
  upscale: 2
path: {{pretrain_network_g: ~, resume_state: ~}}
train:
  optim_g: {{type: Adam, lr: !!float 1e-3}}
  scheduler: {{type: MultiStepLR, milestones: [20], gamma: 0.5}}
  total_iter: 30
  warmup_iter: -1
  pixel_opt: {{type: L1Loss, loss_weight: 1.0, reduction: mean}}
val:
  val_freq: 10
  save_img: false
  pbar: false
  metrics:
    psnr: {{type: calculate_psnr, crop_border: 2, test_y_channel: false}}
    ssim: {{type: calculate_ssim, crop_border: 2, test_y_channel: false}}
logger:
  print_freq: 4
  save_checkpoint_freq: 1000
  use_tb_logger: false
  wandb: {{project: ~, resume_id: ~}}
dist_params: {{backend: nccl, port: 29500}}
"""


def main(scratch: Path, out: Path) -> None:
    import cv2
    from basicsr.train import train_pipeline
    from basicsr.utils import logger

    for n in (2, 4, 8):
        for folder in ("gt", "lq"):
            (scratch / f"{folder}{n}").mkdir(parents=True, exist_ok=True)
        for index in range(n):
            picture = cv2.GaussianBlur(np.random.default_rng(index).uniform(0, 255, (32, 32, 3)), (0, 0), 2)
            small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(scratch / f"gt{n}/{index}.png"), picture)
            cv2.imwrite(str(scratch / f"lq{n}/{index}.png"), small)
    for n, seed in ((2, 0), (4, 0), (8, 1)):
        logger.initialized_logger.clear()
        logger.logging.getLogger("basicsr").handlers.clear()
        file = scratch / f"n{n}.yml"
        file.write_text(OPTIONS.format(n=n, seed=seed, scratch=scratch))
        sys.argv[1:] = ["-opt", str(file)]
        train_pipeline(str(scratch))
        name = f"edsr_n{n}_s{seed}"
        (out / name).mkdir(parents=True, exist_ok=True)
        for log in (scratch / "experiments" / name).glob("train_*.log"):
            shutil.copy(log, out / name)


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
