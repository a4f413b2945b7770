"""What a driver of the tests does in a process of its own: `slurm_driver.py STUDY KEEP_SECONDS [key=value ...]`.

Prints every event as a line of JSON. Without any setting the local executor carries the study out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.results import Folder
from reconscale.study import Study, load_study, runs_of
from reconscale.training import ExecutionConfig, prepare
from reconscale.training.executors.local import LocalExecutor
from reconscale.training.executors.slurm import SlurmExecutor
from reconscale.training.executors.slurm_cli import parse_slurm
from reconscale.training.worker import Placement, Task


def tasks_of(study: Study, folder: Folder, keep_seconds: float) -> list[Task]:
    images = prepare(study, ExecutionConfig(device="cpu").resolved())
    return [
        Task(run, images, folder, Placement(keep_seconds=keep_seconds))
        for run in runs_of(study)
        if not folder.is_over(run)
    ]


def tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


def main() -> int:
    path, settings = Path(sys.argv[1]), sys.argv[3:]
    folder = Folder.beside(path)
    tasks = tasks_of(load_study(path), folder, float(sys.argv[2]))
    try:
        with folder.held():
            (SlurmExecutor(parse_slurm(settings), tell) if settings else LocalExecutor(1, tell)).carry_out(tasks)
    except KeyboardInterrupt:
        return 130
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
