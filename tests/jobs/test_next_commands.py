"""What is printed after uses of rs.measure that leave something out: sentences, and commands to copy."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ..cli.calling import call

MODULE = """
import math
def number(job): return 25 + 3 * math.log10(job.n) + 0.01 * job.seed
def bare(job): return {"psnr": [number(job)] * len(job.test)}
"""
USES = {
    "no validation": "rs.measure(my_training.bare, 60, n=[4, 8, 16], val=0, test=8, folder='out')",
    "groups": "rs.measure(my_training.number, 60, n=[4, 8, 16], groups=[i // 5 for i in range(60)], val=3, test=7, "
    "folder='out')",
    "one seed": "rs.measure(my_training.number, 60, n=[4, 8, 16], seed=1, val=4, test=8, folder='out')",
    "one run": "rs.measure(my_training.number, 60, n=4, seed=1, val=4, test=8, folder='out')",
}  # fmt: skip


def script(folder: Path, use: str) -> Path:
    (folder / "my_training.py").write_text(MODULE)
    path = folder / "my run.py"
    path.write_text(f"import my_training\nimport reconscale as rs\nprint(len({use}))\n")
    return path


def started(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("use", USES)
def test_what_is_printed_can_be_pasted(tmp_path: Path, use: str) -> None:
    path = script(tmp_path, USES[use])
    first = started(tmp_path, sys.executable, path)
    runs = {"one seed": 3, "one run": 1}.get(use, 9)
    assert first.returncode == 0 and first.stdout.strip() == str(runs), first.stderr
    assert f"{runs} run{'s' * (runs > 1)} to do, 1 at a time" in first.stderr
    out = call("status", tmp_path / "out")[1]
    assert out.splitlines()[-1] == f"next: reconscale report {shlex.quote(str(tmp_path / 'out'))}"
    if use != "one run":
        assert call(*shlex.split(out.splitlines()[-1].removeprefix("next: reconscale ")))[0] == 0
    next(tmp_path.glob("out/runs/*/result.json")).unlink()
    said = call("status", tmp_path / "out")[1].splitlines()[-1].removeprefix("continue with: ")
    there = f"cd {tmp_path} && "  # the folder was named from there
    assert (
        said == f"{there}python {shlex.quote(str(path))}"
    )  # the script that calls, and not the module of the function
    again = started(Path("/"), "bash", "-c", said.replace("python", sys.executable, 1))
    assert again.returncode == 0 and "1 run to do" in again.stderr
    assert f"run the script that calls rs.measure again: {said}" in call("run", tmp_path / "out")[2]


def test_a_script_with_arguments_and_a_budget(tmp_path: Path) -> None:
    path = script(tmp_path, USES["one seed"].replace("folder=", "budget='2runs', folder="))
    first = started(tmp_path, sys.executable, path, "--secret", "word")
    assert first.returncode == 0 and "one run at n = " in first.stderr and "width" not in first.stderr, first.stderr
    assert "secret" not in (tmp_path / "out" / "study.toml").read_text()
    lines = call("status", tmp_path / "out")[1].splitlines()[-2:]
    assert lines[0].startswith("next: reconscale report") and " && python " in lines[1]
    assert lines[1].endswith("(with its arguments)")


def test_a_command_goes_on_where_its_items_are(tmp_path: Path) -> None:
    """``status`` knows the folder that ``run --data`` was given, and sends nobody to a report of nothing."""
    items, study = tmp_path / "my data", tmp_path / "my study"
    items.mkdir(), study.mkdir()
    for index in range(8):
        (items / f"{index}.txt").write_text("x")
    (study / "study.toml").write_text(
        'name = "x"\n[command]\nrun = ["python", "train.py", "{train}", "{folder}"]\n[images]\npatterns = ["*.txt"]\n'
        "val = 1\ntest = 2\n[sweep]\nn = [1, 2]\nseed = [0]\n"
    )
    (study / "train.py").write_text("raise SystemExit('no')")
    code, out, _ = call("run", study, "--data", items, "--allow-commands")
    assert code == 1 and "next: " not in out, out
    out = call("status", study)[1]
    assert "next: " not in out
    said = out.splitlines()[-1].removeprefix("repeat them with: reconscale ")
    (study / "train.py").write_text(
        "import pathlib, sys\npathlib.Path(sys.argv[2], 'metrics.json').write_text('{\"psnr\": 30}')"
    )
    code, out, err = call(*shlex.split(said))
    assert code == 0 and out.startswith("2 done"), out + err
    assert "next: reconscale report" in out
