"""Studies with [command]: what is run, what is read, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reconscale.errors import UserError
from reconscale.jobs.lists import WRITERS, Item
from reconscale.results.external_results import ExternalFolder
from reconscale.study.external import load_external

from ..cli.calling import call, refused

TRAIN = """
import argparse, json, math, os, sys, time
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("list", "test", "width", "seed", "out"):
    parser.add_argument("--" + name)
args = parser.parse_args()
n = len(Path(args.list).read_text().splitlines())
tests = Path(args.test).read_text().splitlines()
base = 25 + 3 * math.log10(n) + 0.1 * int(args.width) + 0.01 * int(args.seed)
each = [base + 0.001 * int(Path(item).stem) for item in tests]
result = {"psnr": each, "validation": base, "p": 100 * int(args.width)}
out = Path(args.out)
print("trained on", n)
"""
GOOD = TRAIN + '(out / "metrics.json").write_text(json.dumps(result))\n'
STUDY = """
name = "mine"
[command]
run = ["python", "train.py", "--list", "{train}", "--test", "{test}", "--width", "{width}", "--seed", "{seed}", "--out", "{folder}"]
[images]
folders = ["photos"]
patterns = ["**/*.txt"]
val = 3
test = 4
unit = "photographs"
[sweep]
n = [2, 4, 8]
width = [4, 8]
seed = [0, 1]
"""  # noqa: E501


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "my study")


def write_study(folder: Path) -> Path:
    """Items, a script that trains, and a study file."""
    for number in range(30):
        path = folder / "photos" / f"scene {number // 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    (folder / "train.py").write_text(GOOD)
    (folder / "study.toml").write_text(STUDY)
    return folder


def change(study: Path, *pairs: tuple[str, str]) -> Path:
    text = (study / "study.toml").read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (study / "study.toml").write_text(text)
    return study


def one_run(study: Path) -> Path:
    return change(
        study, ("n = [2, 4, 8]", "n = [4]"), ("width = [4, 8]", "width = [4]"), ("seed = [0, 1]", "seed = [0]")
    )


def results_of(study: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(study.glob("runs/*/result.json")):
        record = json.loads(path.read_text())
        found[path.parent.name] = {key: record[key] for key in ("status", "run", "p", "metrics", "reason")}
    return found


def test_a_command_is_run_only_where_it_is_allowed(study: Path) -> None:
    (study / "train.py").write_text("from pathlib import Path\nPath('harm').touch()\n")
    assert "would run this on your machine: python train.py --list" in refused("run", study)
    for words in (("status",), ("plan",), ("data",), ("decide",), ("report",), ("fit",), ("forecast",)):
        call(*words, study)
    assert not (study / "harm").exists() and not (study / "runs").exists()


def test_a_study_with_a_command(study: Path) -> None:
    code, out, errors = call("run", study, "--allow-commands", "--workers", 2)
    assert code == 0 and "12 done" in out and "[12/12]" in errors
    assert call("decide", study)[1].startswith("COLLECT MORE")
    assert call("report", study)[0] == 0 and (study / "report" / "report.html").is_file()
    folder = ExternalFolder.beside(study)
    results = folder.results(load_external(study).runs())
    assert {result.p for result in results} == {400, 800}
    for result in results:
        home = folder.of(result.run)
        assert (home / "stdout.log").read_text() == f"trained on {result.run.n}\n"
        assert len((home / "lists" / "train.txt").read_text().splitlines()) == result.run.n
        assert set(result.images["test"]) == set(json.loads((study / "runs" / "items.json").read_text())["test"])
    assert call("run", study, "--allow-commands")[0] == 0


def test_the_version_of_a_study_file_may_be_said(study: Path) -> None:
    before = [run.id for run in load_external(study).runs()]
    change(study, ('name = "mine"', 'version = 2\nname = "mine"'))
    assert [run.id for run in load_external(study).runs()] == before
    assert call("status", study)[0] == 0
    change(study, ("version = 2", "version = 3"))
    assert "version: found 3" in refused("status", study)


def test_no_shell_reads_a_command(study: Path) -> None:
    change(one_run(study), ('"--out", "{folder}"]', '"--out", "{folder}", "; touch harm", "$(touch harm)", "&&"]'))
    (study / "train.py").write_text(
        "import sys, json, pathlib\nassert sys.argv[-3:] == ['; touch harm', '$(touch harm)', '&&'], sys.argv\n"
        "pathlib.Path(sys.argv[-4], 'metrics.json').write_text(json.dumps({'psnr': 3.0}))\n"
    )
    assert call("run", study, "--allow-commands")[0] == 0 and not (study / "harm").exists()


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("{width}", "{widht}")], "command.run: found {widht}; did you mean 'width'?"),
        ([('"--list", "{train}", ', "")], "{train} is missing"),
        ([("{folder}", "out")], "{folder} is missing"),
        ([('run = ["python", ', 'run = [" ", ')], "command.run: is empty"),
        ([("[images]", 'result = "../m.json"\n[images]')], "give a place below {folder}"),
        ([("[images]", 'result = "/tmp/m.json"\n[images]')], "give a place below {folder}"),
        ([("[images]", 'list = "yaml"\n[images]')], "command.list: found 'yaml'"),
        ([("[images]", "time_limit = 0.0\n[images]")], "command.time_limit: found 0.0"),
        ([("width = [4, 8]", "")], "sweep.width: goes with {width}"),
        ([('patterns = ["**/*.txt"]', "")], "images.patterns: is missing"),
        ([('patterns = ["**/*.txt"]', 'patterns = ["*.png"]')], "nothing below"),
        ([('folders = ["photos"]', 'folders = ["fotos"]')], "there is no folder 'fotos'"),
        ([('folders = ["photos"]', 'folders = ["../.."]')], "there is no folder '../..'"),
        ([("val = 3", 'val = 3\ngroup = "("')], "is not a regular expression"),
        ([("val = 3", 'val = 3\ngroup = "patient(.)"')], "matches nothing in"),
        ([("val = 3", 'val = 3\nlist = "items.txt"')], "is given together with patterns"),
        ([("n = [2, 4, 8]", "n = [2, 400]")], "n: found 400; at most 23 of the 30 items"),
        ([("[sweep]", '[analysis]\nmetric = "pnsr"\n[sweep]')], "did you mean 'psnr'?"),
        ([("[sweep]", '[images.sources.a]\nfolders = ["a"]\n[sweep]')], "images.sources: is for functions"),
        ([('["python", ', '["no-such-program", ')], "there is no program 'no-such-program'"),
        ([("[images]", "[callable]\nname = 'x'\n[images]")], "one of the two trains"),
    ],
)
def test_what_a_study_file_cannot_say(study: Path, pairs: list[tuple[str, str]], says: str) -> None:
    assert says in refused("run", change(study, *pairs), "--allow-commands")
    assert not list(study.glob("runs/n*"))


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        ("sys.exit(3)", "the command: ended with exit code 3; see stdout.log"),
        ("raise ValueError('no such option')", "exit code 1 (ValueError: no such option)"),
        ("raise ValueError('2 errors\\nseed\\n  is 0')", "exit code 1 (ValueError: 2 errors seed is 0)"),
        ("raise ValueError", "exit code 1 (ValueError)"),
        ("print('first\\nno GPU here', file=sys.stderr); sys.exit(4)", "exit code 4 (no GPU here)"),
        ("os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)"),
        ("pass", "wrote no metrics.json into {folder}"),
        ("(out / 'metrics.json').write_text('31.2 31.3')", "wrote more than one result into metrics.json"),
        ("(out / 'metrics.json').write_text('')", "wrote a metrics.json that is not JSON"),
        ("(out / 'metrics.json').write_text('[1, 2]')", "found 2 values for 4 test items"),
        ('(out / "metrics.json").write_text(\'{"psnr": 1, "psnr": 2}\')', "wrote 'psnr' twice into metrics.json"),
        ('(out / "metrics.json").write_text(\'{"psnr": NaN}\')', "psnr is nan: training diverged"),
        ('(out / "metrics.json").write_text(\'{"ssim": 0.9}\')', "gave ssim back, without 'psnr'"),
        ("(out / 'metrics.json').write_text('{}'); os.utime(out / 'metrics.json', (1e9, 1e9))", "older than the run"),
        ("(out / 'metrics.json').symlink_to('/etc/passwd')", "left a link as metrics.json"),
        ("(out / 'metrics.json').mkdir()", "cannot be read"),
    ],
)
def test_a_run_that_gives_no_result(study: Path, ending: str, says: str) -> None:
    (one_run(study) / "train.py").write_text(TRAIN + ending + "\n")
    code, out, _ = call("run", study, "--allow-commands")
    assert code == 1 and says in out and "--retry-failed" in out
    (study / "train.py").write_text(GOOD)
    assert call("run", study, "--allow-commands", "--retry-failed")[0] in (0, 1)


def test_two_results_where_one_is_expected(study: Path) -> None:
    change(one_run(study), ("[images]", 'result = "*/metrics.json"\n[images]'))
    ending = "for name in 'ab':\n    (out / name).mkdir()\n    (out / name / 'metrics.json').write_text('30')\n"
    (study / "train.py").write_text(TRAIN + ending)
    assert "wrote 2 results (a/metrics.json, b/metrics.json)" in call("run", study, "--allow-commands")[1]


def test_a_command_that_hangs_is_ended_with_what_it_started(study: Path) -> None:
    change(one_run(study), ("[images]", "time_limit = 1.0\n[images]"))
    ending = (
        "import subprocess\nother = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "Path('other').write_text(str(other.pid))\ntime.sleep(600)\n"
    )
    (study / "train.py").write_text(TRAIN + ending)
    began = time.monotonic()
    code, out, _ = call("run", study, "--allow-commands")
    assert code == 1 and "was not over after 1 seconds and was ended" in out and time.monotonic() - began < 60
    assert ended(int((study / "other").read_text()))


def ended(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_result_of_an_earlier_attempt_does_not_count(study: Path) -> None:
    run = load_external(one_run(study)).runs()[0]
    files = ExternalFolder.beside(study).of(run) / "files"
    files.mkdir(parents=True)
    (files / "metrics.json").write_text("99")
    (study / "train.py").write_text(TRAIN)
    assert "wrote no metrics.json" in call("run", study, "--allow-commands")[1]


def test_folders_stay_together(study: Path) -> None:
    change(study, ("val = 3", 'val = 3\ngroup = "folder"'))
    assert call("run", study, "--allow-commands", "--workers", 2)[0] == 0
    held = json.loads((study / "runs" / "items.json").read_text())
    sides = [{Path(name).parent for name in held[part]} for part in ("val", "test")]
    for path in study.glob("runs/n*/lists/train.txt"):
        trained = {Path(line).parent.relative_to(study) for line in path.read_text().splitlines()}
        assert not trained & (sides[0] | sides[1])


def test_changed_files_are_refused(study: Path) -> None:
    call("run", one_run(study), "--allow-commands")
    (study / "photos" / "scene 0" / "0.txt").unlink()
    assert "began with other items, groups, val or test" in refused("run", study, "--allow-commands")


@pytest.mark.parametrize("flags", [("--devices", 2), ("--stack", 4), ("--track", "wandb"), ("--probe",)])
def test_flags_that_are_for_networks_of_ours(study: Path, flags: tuple[object, ...]) -> None:
    assert "is for networks of ours" in refused("run", study, "--allow-commands", *flags)


def test_a_list_file(study: Path) -> None:
    change(one_run(study), ('folders = ["photos"]\npatterns = ["**/*.txt"]', 'list = "items.txt"'))
    names = [f"photos/scene {number // 3}/{number}.txt" for number in range(12)]
    (study / "items.txt").write_text("# mine\n" + "\n".join(names) + "\n")
    assert call("run", study, "--allow-commands")[0] == 0
    (study / "items.txt").write_text("\n".join([*names, "photos/gone.txt"]))
    assert "names 'photos/gone.txt', which is not below" in refused("run", study, "--allow-commands")


def test_lists_in_the_forms_of_other_trainers(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    items = [Item(name, str(tmp_path / name)) for name in ("a/1.png", "b/1.png")]
    written = {kind: write(tmp_path / kind, items) for kind, write in WRITERS.items()}
    assert written["paths"].read_text() == f"{tmp_path}/a/1.png\n{tmp_path}/b/1.png\n"
    assert json.loads(written["json"].read_text()) == [item.path for item in items]
    assert written["fastmri"].read_text() == "1.png\n1.png\n"
    assert written["basicsr"].read_text() == "a/1.png\nb/1.png\n"
    assert {path.name: path.read_text() for path in written["links"].iterdir()} == {
        "a__1.png": "a/1.png",
        "b__1.png": "b/1.png",
    }
    WRITERS["links"](tmp_path / "links", items[:1])
    assert len(list((tmp_path / "links").iterdir())) == 1
    with pytest.raises(UserError, match="has a space"):
        WRITERS["basicsr"](tmp_path / "x", [Item("a b.png", "a b.png")])
    with pytest.raises(UserError, match="has a line end"):
        WRITERS["paths"](tmp_path / "x", [Item("a\nb.png", "a\nb.png")])


def test_a_study_that_is_killed_half_way_goes_on(study: Path, tmp_path: Path) -> None:
    (study / "train.py").write_text(TRAIN + "time.sleep(0.3)\n" + GOOD.removeprefix(TRAIN))
    command = [sys.executable, "-m", "reconscale", "run", str(study), "--allow-commands", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(results_of(study)) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    kept = results_of(study)
    assert 3 <= len(kept) < 12
    (study / "train.py").write_text(GOOD)
    assert call("run", study, "--allow-commands", "--workers", 2)[0] == 0
    whole = results_of(study)
    assert len(whole) == 12 and all(whole[name] == result for name, result in kept.items())
    for path in study.glob("runs/n*/result.json"):
        path.unlink()
    assert call("run", study, "--allow-commands", "--workers", 1)[0] == 0
    assert results_of(study) == whole


def sets_of(study: Path) -> dict[str, set[str]]:
    """The names in the lists of all runs of a study."""
    found: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for path in study.glob("runs/*/lists/*.txt"):
        found[path.stem] |= {Path(line).stem for line in path.read_text().splitlines()}
    return found


def with_split(study: Path, split: str, counts: str = "") -> Path:
    return change(
        study,
        ("val = 3\ntest = 4\n", counts),
        ('unit = "photographs"', f'unit = "photographs"\n[images.split]\n{split}'),
    )


def test_lists_folders_and_patterns_divide_the_items(study: Path) -> None:
    (study / "held.csv").write_text("file,set\nphotos/scene 0/1.txt,val\nphotos/scene 0/2.txt,test\n")
    (study / "test.txt").write_text("# ours\n./photos/scene 9/27.txt\nphotos/scene 9/28.txt\n")
    places = '["test.txt", "photos/scene 8", "*7/2?.txt", "photos/scene 0/0.txt"]'
    one_run(with_split(study, f'val = "held.csv"\ntest = {places}'))
    code, _, errors = call("run", study, "--allow-commands")
    assert code == 0 and "none of the sets" not in errors, errors
    found = sets_of(study)
    assert found["val"] == {"1"} and found["test"] == {"27", "28", "24", "25", "26", "21", "22", "23", "0"}
    assert len(found["train"]) == 4 and not found["train"] & (found["val"] | found["test"])
    before = results_of(study)
    assert call("run", study, "--allow-commands")[0] == 0 and results_of(study) == before
    (study / "test.txt").write_text("photos/scene 9/27.txt\n")
    assert "began with other items, groups, val or test" in refused("run", study, "--allow-commands")
    assert results_of(study) == before


def test_items_in_no_set_are_left_out_and_said(study: Path) -> None:
    train = '["photos/scene 1", "photos/scene 2", "photos/scene 3"]'
    one_run(with_split(study, f'train = {train}\ntest = "photos/scene 4"', "val = 2\n"))
    code, _, errors = call("run", study, "--allow-commands")
    assert code == 0 and "18 items are in none of the sets of images.split" in errors
    found = sets_of(study)
    assert found["test"] == {"12", "13", "14"} and len(found["val"]) == 2
    assert found["val"] | found["train"] <= {str(i) for i in range(3, 12)}


def test_groups_stay_whole_where_a_list_names_a_part(study: Path) -> None:
    one_run(with_split(study, 'test = "photos/scene 4/12.txt"', 'group = "folder"\nval = 2\n'))
    code, _, errors = call("run", study, "--allow-commands")
    assert code == 0 and "3 items are used nowhere, as their groups are held out" in errors  # 13, 14, and one of val's
    assert not {"13", "14"} & set.union(*sets_of(study).values())


def test_a_split_is_a_part_of_the_names_of_runs(study: Path) -> None:
    before = [run.id for run in load_external(study).runs()]
    assert before[0] == "n2-w4-s0-c83259005261"  # as it was before there were splits
    with_split(study, 'test = "photos/scene 4"', "val = 3\n")
    one = [run.id for run in load_external(study).runs()]
    change(study, ("scene 4", "scene 5"))
    assert len({*before, *one, *(run.id for run in load_external(study).runs())}) == 36


@pytest.mark.parametrize(
    ("split", "counts", "says"),
    [
        ('test = "photos/scene 44"', "val = 3\n", "images.split.test: 'photos/scene 44' is none of the 30 photographs"),
        ('test = "*.png"', "val = 3\n", "'*.png' fits none of the 30 photographs; names are such as 'photos/scene"),
        ('test = "lost.csv"', "val = 3\n", "found 'lost.csv', which does not exist below"),
        ('test = "../t.csv"', "val = 3\n", "which is not below the data folder"),
        ('test = "empty.txt"', "val = 3\n", "lists none of the photographs for test"),
        ("test = []", "val = 3\n", "images.split.test: the list is empty"),
        ('test = "photos/scene 4"', "val = 3\ntest = 4\n", "images.test: found 4, and split.test says which"),
        ('test = "photos/scene 4"', "", "images.val: is missing"),
        ('test = "photos/scene 4"\nval = "*/14.txt"', "", "split.val and test: both hold 'photos/scene 4/14.txt'"),
        (
            'test = "photos/scene 4/12.txt"\nval = "*/14.txt"',
            'group = "folder"\n',
            "both hold the group 'photos/scene 4', with 'photos/scene 4/14.txt' and 'photos/scene 4/12.txt'",
        ),
        ('train = "photos/scene 1"\ntest = "photos/scene 4"', "val = 3\n", "nothing is left to train on"),
        ('test = "."', "val = 3\n", "nothing is left to train on"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be(study: Path, split: str, counts: str, says: str) -> None:
    (study / "empty.txt").write_text("# none\n")
    with_split(study, split, counts)
    assert says in refused("run", study, "--allow-commands")
    assert not (study / "runs" / "items.json").exists()
