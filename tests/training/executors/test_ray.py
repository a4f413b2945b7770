"""A cluster of two nodes on this machine: the same results as without one, also when a node is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from reconscale.data import open_images
from reconscale.errors import UserError
from reconscale.results import Folder
from reconscale.results.trunks import TRUNK
from reconscale.study import load_study, runs_of
from reconscale.training.executors.local import LocalExecutor
from reconscale.training.executors.ray_worker import DriverActor, RemoteCall, carry_out_here, fetch
from reconscale.training.initial_weights import keep_initial
from reconscale.training.worker import Placement, Task, run_task

from ...cli.calling import call
from ...cli.test_sweep import records
from ...conftest import TINY
from .cluster import Nodes, two_nodes
from .given import STUDIES, copy_given, weights_of, write_given

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

STUDY = TINY.replace("[2, 4, 8]", "[4]").replace("steps = 30", "steps = 300")
"""Four runs of some seconds."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster that only those with its token may use."""
    with pytest.MonkeyPatch.context() as patch, two_nodes(tmp_path_factory.mktemp("ray"), patch) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run by the local executor."""
    return carried_out(tmp_path_factory.mktemp("here"))


def carried_out(folder: Path, *flags: object) -> Path:
    path = folder / "study.toml"
    path.write_text(STUDY)
    process = start(path, *flags)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return path


def start(path: Path, *flags: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reconscale", "run", path, "--keep-going", *flags]
    return subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def until(true: Callable[[], object], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def checkpoints(study: Path) -> list[Path]:
    return list((study.parent / "runs").glob("*/checkpoint.pt"))


def test_the_same_results_and_a_driver_that_dies(nodes: Nodes, finished: Path, tmp_path: Path) -> None:
    """The driver is killed half-way; the same command continues, and notes it."""
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    process = start(path, "--ray", nodes.address, "--checkpoint-seconds", 0.2)
    until(lambda: checkpoints(path))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    carried_out(tmp_path, "--ray", nodes.address)
    assert records(path) == records(finished)
    assert "driver died" in (path.parent / "runs" / "faults.jsonl").read_text()


def test_interrupted(nodes: Nodes, finished: Path, tmp_path: Path) -> None:
    """Ctrl-C keeps the state of the runs on the nodes."""
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    process = start(path, "--ray", nodes.address, "--checkpoint-seconds", 1000)
    until(lambda: list((path.parent / "runs").glob("*/run.log")))
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130 and "continue with" in err
    assert checkpoints(path) or list((path.parent / "runs").glob("*/result.json"))


def test_without_a_shared_folder(nodes: Nodes, finished: Path, tmp_path: Path) -> None:
    """A node that sees another folder begins with the driver's checkpoint and sends back what it writes."""
    import ray

    study = load_study(finished)
    images = open_images(study.images)
    run = runs_of(study)[0]
    home = tmp_path / "runs"
    task = Task(run, images, Folder(home), Placement(keep_seconds=0.2))
    ray.init(address=nodes.address, log_to_driver=False)
    try:
        line = ray.remote(num_cpus=0)(DriverActor).remote(images.files())
        ray.get(line.write_below.remote(home))
        slot = ray.remote(num_cpus=1, max_retries=0)(carry_out_here)
        assert ray.get(slot.remote(task, line, "the token of a folder that this is not")) == {}
        heard = ray.get(line.heard.remote())
        copied = fetched(images.files()[0], tmp_path, RemoteCall(line))
    finally:
        ray.shutdown()
    assert {"start", "progress", "end"} == {event["event"] for event in heard} and any("kept" in e for e in heard)
    assert (home / run.id / "checkpoint.pt").is_file()  # as it was sent on the way
    assert records(home.parent / "study.toml")[run.id] == records(finished)[run.id]
    assert copied == images.files()[0].read_bytes()


@pytest.mark.parametrize("kind", STUDIES)
def test_what_a_study_is_given_reaches_the_nodes(nodes: Nodes, tmp_path: Path, kind: str) -> None:
    """Bit for bit: first weights, a split by lists, masks of files."""
    data = tmp_path / "data"
    here = write_given(kind, tmp_path / "here", data)
    there = copy_given(here, tmp_path / "there")
    process = start(there, "--data", data, "--no-probe", "--workers", 2, "--ray", nodes.address)
    code, out, err = call("run", here, "--data", data, "--no-probe", "--workers", 1, "--keep-going")
    assert code == 0 and "2 done" in out, out + err
    said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert records(there) == records(here) and weights_of(there) == weights_of(here)


def test_first_weights_reach_a_node_that_shares_no_folder(nodes: Nodes, tmp_path: Path) -> None:
    import ray

    here = write_given("init", tmp_path / "here", tmp_path / "data")
    assert call("run", here, "--no-probe", "--workers", 1, "--keep-going")[0] == 0
    study, home = load_study(here), tmp_path / "runs"
    images, run = open_images(study.images), runs_of(study)[0]
    keep_initial(study, Folder(home))
    ray.init(address=nodes.address, log_to_driver=False)
    try:
        line = ray.remote(num_cpus=0)(DriverActor).remote(images.files())
        ray.get(line.write_below.remote(home))
        slot = ray.remote(num_cpus=1, max_retries=0)(carry_out_here)
        task = Task(run, images, Folder(home), Placement())
        assert ray.get(slot.remote(task, line, "the token of a folder that this is not")) == {}
        with pytest.raises(PermissionError):
            ray.get(line.initial.remote("../study"))
    finally:
        ray.shutdown()
    assert records(home.parent / "study.toml")[run.id] == records(here)[run.id]


def test_trunks_reach_a_node_that_shares_no_folder(nodes: Nodes, tmp_path: Path) -> None:
    """A run continues from an earlier one there, and gives what it gives from its beginning."""
    import ray

    home, path, alone = tmp_path / "runs", tmp_path / "study.toml", tmp_path / "alone"
    runs = []
    for doublings in (1, 3):
        path.write_text(f'{STUDY}policy = "converge"\ntolerance = 1e-9\ndoublings = {doublings}\n'.replace("300", "30"))
        runs.append(runs_of(load_study(path))[0])
    (first, longer), images = runs, open_images(load_study(path).images)
    assert run_task(Task(longer, images, Folder(alone / "runs"), Placement()), lambda message: None) == "done"
    ray.init(address=nodes.address, log_to_driver=False)
    try:
        line = ray.remote(num_cpus=0)(DriverActor).remote(images.files())
        ray.get(line.write_below.remote(home))
        slot = ray.remote(num_cpus=1, max_retries=0)(carry_out_here)
        steps = []
        for run in runs:
            task = Task(run, images, Folder(home), Placement())
            assert ray.get(slot.remote(task, line, "the token of a folder that this is not")) == {}
            heard = ray.get(line.heard.remote())
            steps.append(min(event["step"] for event in heard if "step" in event))
        assert ray.get(line.trunks.remote(longer.id)) == sorted((first.id, longer.id))
        assert ray.get(line.trunk.remote(longer.id, "../study")) == b""
    finally:
        ray.shutdown()
    assert (home / first.id / TRUNK).is_file()
    assert 2 * first.recipe.steps <= steps[1]  # it did not begin anew
    assert records(path)[longer.id] == records(alone / "study.toml")[longer.id]


def fetched(path: Path, tmp_path: Path, ask: RemoteCall) -> bytes:
    """What a node gets that does not have the file: here under another name."""
    missing = tmp_path / "node" / path.name

    def renamed(method: str, *arguments: object) -> object:
        return [str(missing)] if method == "files" else ask(method, str(path), *arguments[1:])

    fetch(renamed)
    return missing.read_bytes()


def test_nothing_but_images_is_read_and_nothing_but_results_written(tmp_path: Path) -> None:
    line = DriverActor((tmp_path / "pixels.bin",))
    with pytest.raises(PermissionError):
        line.keep("run", "result.json", b"")
    line.write_below(tmp_path)
    with pytest.raises(PermissionError):
        line.read("/etc/passwd", 0)
    for run, name in (("../x", "result.json"), ("run", "../result.json"), ("run", "a/b")):
        with pytest.raises(PermissionError):
            line.keep(run, name, b"")


@pytest.mark.parametrize("address, part", [("127.0.0.1:1", "refused"), ("ray://here", "expected host:port")])
def test_no_cluster(tmp_path: Path, address: str, part: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    _, err = (process := start(path, "--ray", address)).communicate(timeout=100)
    assert process.returncode == 2 and f"no cluster of Ray answers at '{address}'" in err and part in err
    assert "Traceback" not in err


def test_a_node_is_lost(nodes: Nodes, finished: Path, tmp_path: Path) -> None:
    """One of two nodes is killed half-way: its runs continue at the other one from their checkpoints. Comes last."""
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    process = start(path, "--ray", nodes.address, "--checkpoint-seconds", 0.2)
    until(lambda: len(checkpoints(path)) == 2)
    nodes.kill_one()
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert records(path) == records(finished)
    assert "node lost" in (path.parent / "runs" / "faults.jsonl").read_text()


def test_a_gpu_that_is_shared_out(tmp_path: Path) -> None:
    """Workers on several GPUs see one each: the one with the fewest runs."""
    local = LocalExecutor(2, lambda event: None, devices=("4", "5"))
    seen = local.apply(os.getenv, "CUDA_VISIBLE_DEVICES")
    assert seen == ["4"]


def test_what_breaks_while_it_is_measured_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """In a line, not by a traceback of the worker."""
    told: list[dict[str, object]] = []
    assert LocalExecutor(1, told.append).apply(int, "two") == [None]
    assert [event["event"] for event in told] == ["note"] and "ValueError: invalid literal" in str(told[0]["text"])
    assert "Traceback" not in capfd.readouterr().err


def test_a_mistake_in_a_worker_is_raised(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        LocalExecutor(1, lambda event: None).apply(load_study, tmp_path / "none.toml")


def test_ray_ends_on_the_machine_of_the_command(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says so, the fault is noted, and the next command continues."""
    monkeypatch.setenv("RAY_ADDRESS", "local")  # not the two nodes
    monkeypatch.setenv("RAY_worker_niceness", "0")  # as in `nodes`
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    process = start(path, "--ray", "auto", "--workers", 2, "--checkpoint-seconds", 0.2)
    until(lambda: checkpoints(path))
    os.kill(raylet_below(process.pid), signal.SIGKILL)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2 and "Ray ended on this machine" in err and "Traceback" not in err, err
    assert "the one of this command" in (path.parent / "runs" / "faults.jsonl").read_text()
    carried_out(tmp_path)
    assert records(path) == records(finished)


def raylet_below(driver: int) -> int:
    """The process of Ray that a command has started."""
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        if fields["Name"] == "raylet" and int(fields["PPid"]) == driver:
            return int(fields["Pid"])
    raise AssertionError("no raylet below the command")
