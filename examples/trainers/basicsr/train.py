"""Fill in an option file of BasicSR and train with it, as ``python -m basicsr.train -opt`` does. It knows nothing of
reconscale.

BasicSR seeds before it looks at ``--force_yml manual_seed=``, which therefore leaves the initial weights as they were:
the seed must stand in the file.
"""

import argparse
import sys
from pathlib import Path

import yaml
from basicsr.train import train_pipeline

parser = argparse.ArgumentParser()
for name in ("--train", "--val", "--test", "--root", "--out"):
    parser.add_argument(name, type=Path, required=True)
parser.add_argument("--width", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

options = yaml.safe_load(Path(__file__).with_name("option.yml").read_text())
options["manual_seed"] = args.seed
options["network_g"]["num_feat"] = args.width
for name, meta_info in (("train", args.train), ("val", args.val), ("val_test", args.test)):
    places = {"dataroot_gt": args.root, "dataroot_lq": args.root / "lq", "meta_info_file": meta_info}
    options["datasets"][name] |= {key: str(place) for key, place in places.items()}
filled = args.out / "option.yml"
filled.write_text(yaml.safe_dump(options, sort_keys=False))

sys.argv = ["train.py", "-opt", str(filled)]
train_pipeline(str(args.out))  # everything goes below this folder
