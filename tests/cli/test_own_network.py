"""A network and images of a user's own through the command line: run, killed, changed, reported, and applied."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ..conftest import ROOT
from ..own_parts import PARTS, STUDY, put_back
from .calling import call as call_here
from .calling import refused
from .test_sweep import call, records, start


def begun(folder: Path, study: str = STUDY, parts: str = PARTS) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(study)
    (folder / "my_parts.py").write_text(parts)
    return folder / "study.toml", folder / "my_parts.py"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of an own network with batch normalisation and dropout, trained by two workers."""
    study, parts = begun(tmp_path_factory.mktemp("finished"))
    code, out, err = call("run", study, "--plugin", parts, "--keep-going", "--workers", 2)
    assert code == 0 and "6 done" in out + err, err
    return study, parts


def test_results_say_which_code_they_came_from(finished: tuple[Path, Path]) -> None:
    study, parts = finished
    with put_back():
        import reconscale as rs

        digest = rs.load_plugin(parts).digest
    found = records(study)
    assert len(found) == 6
    assert all(record["provenance"]["plugins"] == {"my_parts.py": digest} for record, _ in found.values())
    assert {record["p"] for record, _ in found.values()} == {9 * 2 * 2 + 2 + 1 + 4, 9 * 4 * 2 + 4 + 1 + 8}


def test_reading_needs_no_plugin(finished: tuple[Path, Path], tmp_path: Path) -> None:
    study, _ = finished
    with put_back():
        code, out, _ = call_here("status", study)
        assert code == 0 and out.startswith("6 done")
        code, _, err = call_here("report", study, "--out", tmp_path / "report")
        assert code == 0, err
        assert "net" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
        for verb in ("decide", "forecast", "fit"):
            assert call_here(verb, study)[0] == 0


def test_training_and_reconstructing_need_it(finished: tuple[Path, Path], tmp_path: Path) -> None:
    study, parts = finished
    run = next((study.parent / "runs").glob("*-w4-n8-*"))
    np.save(tmp_path / "image.npy", np.random.default_rng(0).random((1, 17, 23), np.float32))
    words = ("reconstruct", run, tmp_path / "image.npy", "--out", tmp_path / "out.npy")
    with put_back():
        for command in (("run", study), ("plan", study), words):
            assert f"pass --plugin {parts}" in refused(*command)
    with put_back():
        code, _, err = call_here(*words, "--plugin", parts)
        assert code == 0, err
        assert np.load(tmp_path / "out.npy").shape == (1, 17, 23)
    with put_back():  # the images of training came from a data set of the plugin's; stacks keep what they say
        tifffile.imwrite(
            tmp_path / "a.tif", np.zeros((5, 17, 23), np.uint8), imagej=True, metadata={"axes": "ZYX", "spacing": 3.0}
        )
        words = ("reconstruct", run, tmp_path / "a.tif", "--out", tmp_path / "b.tif")
        code, _, err = call_here(*words, "--plugin", parts)
        assert code == 0, err
        with tifffile.TiffFile(tmp_path / "b.tif") as file:
            assert file.series[0].axes == "ZYX" and file.imagej_metadata["spacing"] == 3.0
    with put_back():
        other = tmp_path / "my_parts.py"
        other.write_text(PARTS.replace("0.2", "0.3"))
        assert "was trained with my_parts.py as it was" in refused(*words, "--plugin", other)


def test_a_run_folder_alone_says_what_it_needs(finished: tuple[Path, Path], tmp_path: Path) -> None:
    study, _ = finished
    run = next((study.parent / "runs").glob("*-w4-n8-*"))
    alone = tmp_path / "elsewhere" / run.name
    alone.mkdir(parents=True)
    (alone / "result.json").write_bytes((run / "result.json").read_bytes())
    with put_back():
        message = refused("reconstruct", alone, tmp_path / "no.png", "--out", tmp_path / "out.png")
    assert "from my_parts.py, which is not loaded; pass --plugin" in message


def test_a_changed_file_is_noticed_and_results_are_kept(finished: tuple[Path, Path], tmp_path: Path) -> None:
    study, parts = finished
    before, text = records(study), parts.read_text()
    try:
        with put_back():
            parts.write_text(text + "# a comment\n")
            assert call_here("run", study, "--plugin", parts)[0] == 0
        parts.write_text(text.replace("0.2", "0.3"))
        with put_back():
            message = refused("run", study, "--plugin", parts)
        assert "my_parts.py has changed since 6 results came from it" in message and "the results are kept" in message
    finally:
        parts.write_text(text)
    assert records(study) == before


def test_results_of_two_versions_are_never_mixed(finished: tuple[Path, Path], tmp_path: Path) -> None:
    """Somebody copies results of another version into the folder by hand."""
    study, _ = finished
    other, _ = begun(tmp_path / "mixed", STUDY.replace("n = [2, 4, 8]", "n = [2]").replace("[2, 4]", "[2]"))
    for run in (study.parent / "runs").glob("*-w2-n2-*"):
        place = other.parent / "runs" / run.name
        place.mkdir(parents=True)
        for file in run.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
    (other.parent / "my_parts.py").write_text(PARTS.replace("0.2", "0.3"))
    with put_back():
        assert "has changed since 1 result came from it" in refused(
            "run", other, "--plugin", other.parent / "my_parts.py"
        )


def test_killed_and_continued(tmp_path: Path) -> None:
    """kill -9 changes nothing in the results, although the network draws random numbers of its own."""
    longer = (
        STUDY.replace("steps = 20", "steps = 400").replace("[2, 4, 8]", "[8]").replace("width = [2, 4]", "width = [4]")
    )
    whole, parts = begun(tmp_path / "whole", longer)
    code, _, err = call("run", whole, "--plugin", parts, "--keep-going")
    assert code == 0, err
    killed, parts = begun(tmp_path / "killed", longer)
    words = ("run", killed, "--plugin", parts, "--keep-going", "--checkpoint-seconds", 0)
    process = start(*words)
    deadline = time.monotonic() + 200
    while not list((killed.parent / "runs").glob("*/checkpoint.before.pt")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list((killed.parent / "runs").glob("*/result.json"))
    code, _, err = call(*words)
    assert code == 0, err
    ours, theirs = (
        {name: record | {"provenance": None} for name, (record, _) in records(of).items()} for of in (killed, whole)
    )
    assert ours == theirs


def test_a_run_under_way_begins_again_where_the_code_has_changed(tmp_path: Path) -> None:
    study, parts = begun(tmp_path / "study", STUDY.replace("[2, 4, 8]", "[8]").replace("width = [2, 4]", "width = [4]"))
    code, _, err = call("run", study, "--plugin", parts, "--keep-going")
    assert code == 0, err
    (run,) = (study.parent / "runs").glob("*-w4-*")
    (run / "result.json").unlink()
    (run / "checkpoint.pt").write_bytes(b"of the older code")
    parts.write_text(PARTS.replace("0.2", "0.3"))
    code, _, err = call("run", study, "--plugin", parts, "--keep-going")
    assert code == 0 and "1 run that was under way begins again, as my_parts.py has changed" in err
    kept = json.loads((study.parent / "runs" / "plugins.json").read_text())["code"]
    assert json.loads((run / "result.json").read_text())["provenance"]["plugins"] == kept
    assert not (run / "checkpoint.damaged").exists()


def test_the_examples_are_what_the_page_shows(tmp_path: Path) -> None:
    """From a module and a data set to a verdict in 25 lines, and a study with four own parts from a plugin."""
    place = tmp_path / "own_parts"
    shutil.copytree(ROOT / "examples" / "own_parts", place, ignore=shutil.ignore_patterns("runs", "report"))
    page = (ROOT / "docs" / "how-to" / "bring-your-own-network.md").read_text(encoding="utf-8")
    script, parts = ((place / name).read_text(encoding="utf-8") for name in ("verdict.py", "my_parts.py"))
    assert len(script.splitlines()) <= 25
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks[0] == script and blocks[1] in parts and len(blocks) == 4
    more = tmp_path / "more.py"  # a metric, and a mask
    more.write_text("import reconscale as rs\n" + blocks[2] + blocks[3])
    loaded = "import sys, reconscale as rs; rs.load_plugin(sys.argv[1]); print(*rs.METRICS, *rs.MASKS)"
    listed = subprocess.run([sys.executable, "-c", loaded, more], capture_output=True, text=True, check=True).stdout
    assert "similarity" in listed and "every-other" in listed
    for name in ("verdict.toml", "study.toml"):  # fewer steps: this is no measurement
        (place / name).write_text((place / name).read_text(encoding="utf-8").replace("steps = 200", "steps = 40"))
    done = subprocess.run([sys.executable, "verdict.py"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "At n = 64 images and p = 153 we measure" in done.stdout, done.stderr
    shutil.rmtree(place / "runs")
    code, _, err = call("run", place, "--plugin", place / "my_parts.py", "--keep-going")
    assert code == 0, err
    with put_back():
        code, out, err = call_here("decide", place, "--profile", "mae", "--worthwhile", "2")
        assert code == 0 and "[mae]" in out, err
