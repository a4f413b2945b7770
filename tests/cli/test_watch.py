"""`reconscale watch`: the page follows a study that another process trains, and shows nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest

import reconscale as rs
from reconscale.cli.watch_report import Shown
from reconscale.cli.watch_server import PageServer
from reconscale.errors import UserError
from reconscale.report.live_page import live_page, waiting_page
from reconscale.results.under_way import NAME, UnderWay

from ..jobs.test_command import GOOD, STUDY
from .calling import refused
from .watching import wait_for, watching

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SMALL = """
name = "small"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 32
total = 12
patch = 16
val = 2
test = 2
[sweep]
n = [2, 4, 8]
width = [2]
seed = [0]
[recipe]
steps = 30
batch = 2
"""
MEASURE = """
import reconscale as rs

def train(job):
    return 25 + len(job.train) ** 0.5 + 0.01 * job.seed

rs.measure(train, list(range(40)), n=[2, 4, 8], seed=2, val=4, test=6, metric="psnr", folder={folder!r})
"""


def ours(folder: Path) -> list[str]:
    folder.mkdir()
    (folder / "study.toml").write_text(SMALL)
    return ["-m", "reconscale", "run", str(folder), "--keep-going", "--workers", "1", "--no-probe"]


def of_a_command(folder: Path) -> list[str]:
    for number in range(30):
        path = folder / "photos" / f"scene {number // 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    (folder / "train.py").write_text(GOOD)
    (folder / "study.toml").write_text(STUDY)
    return ["-m", "reconscale", "run", str(folder), "--allow-commands", "--workers", "1"]


def of_a_function(folder: Path) -> list[str]:
    folder.mkdir()
    script = folder.parent / "measure.py"
    script.write_text(MEASURE.format(folder=str(folder)))
    subprocess.run([sys.executable, str(script)], check=True, capture_output=True)  # writes the study file
    shutil.rmtree(folder / "runs")
    return [str(script)]


@pytest.mark.parametrize(
    ("make", "runs"), [(ours, 3), (of_a_command, 12), (of_a_function, 6)], ids=["ours", "command", "function"]
)
def test_a_study_that_is_trained_meanwhile(make: Callable[[Path], list[str]], runs: int, tmp_path: Path) -> None:
    """From before the first result to the last; then a result is damaged."""
    study = tmp_path / "my study"
    train = make(study)
    with watching(study) as watch:
        before = watch.until(lambda status: "runs over" in status["line"])
        assert before["line"] == f"0 of {runs} runs over; no `reconscale run` is working in this folder now"
        page = watch.get()[1]
        assert "<h1>my study</h1>" in page and "There is no result yet." in page
        assert subprocess.run([sys.executable, *train], capture_output=True).returncode == 0
        after = watch.until(lambda now: now["page"] != before["page"] and now["line"].startswith(f"{runs} of"))
        assert after["line"] == f"{runs} of {runs} runs over" and not after["trouble"]
        assert not (study / "runs" / NAME).exists() and not (study / "report").exists()
        watch.until(lambda _: watch.get("points.csv")[1].count("\n") > runs)  # reports of fewer runs came before
        page, table = watch.get()[1], watch.get("points.csv")
        assert 'id="answer"' in page and f'data-page="{watch.status["page"]}"' in page
        assert table[2]["Content-Type"] == "text/csv; charset=utf-8" and table[1].count("\n") == runs + 1
        for name in ("quality.png", "quality.svg", "numbers.json"):
            assert watch.get(name)[0] == 200

        result = next(study.glob("runs/*/result.json"))
        whole = result.read_text()
        result.write_text(whole[:50])
        trouble = watch.until(lambda status: status["trouble"] != "")["trouble"]
        assert "is not valid JSON" in trouble and result.parent.name in trouble
        assert 'id="answer"' in watch.get()[1]  # the last good page
        result.write_text(whole)
        watch.until(lambda status: status["trouble"] == "")
        code, err = watch.end()
        assert code == 0 and "Traceback" not in err
        assert err.splitlines()[-1] == "watch has ended; the study is not touched" and f"{runs} of {runs}" in err


def test_time_left_and_runs_under_way(tmp_path: Path) -> None:
    """Both processes at once; the one that trains is stopped, and killed."""
    train = ours(tmp_path / "long")
    file = tmp_path / "long" / "study.toml"
    file.write_text(SMALL.replace("steps = 30", "steps = 2000"))
    with watching(tmp_path / "long") as watch:
        process = subprocess.Popen([sys.executable, *train], stderr=subprocess.PIPE, start_new_session=True)
        try:
            watch.until(lambda status: "preparing" in status["line"])
            line = watch.until(lambda now: " left; training: " in now["line"] and " %)" in now["line"])["line"]
            assert line.startswith(("0 of 3 runs over; at most about ", "0 of 3 runs over; about "))
            assert "-n2-s0-" in line or "-n8-s0-" in line
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert (tmp_path / "long" / "runs" / NAME).exists()  # nobody was there to take it away
        watch.until(lambda status: status["line"].endswith("no `reconscale run` is working in this folder now"))
        assert watch.end(signal.SIGTERM)[0] == 0


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    """Its sentence is shown, and the page stays: here a baseline record is damaged."""
    study = tmp_path / "study"
    assert subprocess.run([sys.executable, *ours(study)], capture_output=True).returncode == 0
    with watching(study) as watch:
        good = watch.until(lambda _: 'id="answer"' in watch.get()[1])
        record = study / "runs" / "anchors" / "anchors.json"
        whole = record.read_text()
        record.write_text("[]")
        trouble = watch.until(lambda status: status["trouble"] != "")["trouble"]
        assert trouble.startswith("The report could not be written; what is shown is the last one that could. ")
        assert "anchors.json: is damaged" in trouble and watch.status["page"] == good["page"]
        assert trouble.split(". ")[0] in watch.get()[1]
        record.write_text(whole)
        watch.until(lambda status: status["trouble"] == "")
        assert watch.end()[0] == 0


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no script"])
def test_a_browser_loads_the_page_again(scripts: bool, tmp_path: Path) -> None:
    """Its title changes when the first result has landed, although nobody asks for it."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    train = ours(tmp_path / "seen")
    with watching(tmp_path / "seen") as watch, browser(watch.url, tmp_path / "profile", scripts) as titles:
        wait_for(lambda: titles() == ["seen: no result yet"] or None, titles)
        assert subprocess.run([sys.executable, *train], capture_output=True).returncode == 0
        (title,) = wait_for(lambda: None if titles() == ["seen: no result yet"] else titles(), titles)
        assert title.startswith("small: ")
        watch.end()


@contextmanager
def browser(url: str, profile: Path, scripts: bool) -> Iterator[Callable[[], list[str]]]:
    """A browser without a window on an address; what gives the titles of its pages."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
    if not scripts:
        command.append("--blink-settings=scriptEnabled=false")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        there = profile / "DevToolsActivePort"
        port = wait_for(lambda: there.read_text().splitlines()[0] if there.exists() else None, lambda: command)

        def titles() -> list[str]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
                return [page["title"] for page in json.load(answer) if page["type"] == "page"]

        yield titles
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def server() -> Iterator[PageServer]:
    report = waiting_page("<b>", "none")
    shown = Shown("t", "1 of 2 <i>", "bad & worse", {"report.html": report.encode(), "points.csv": b"n,y\n"})
    with PageServer("127.0.0.1", 0, lambda: shown) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def raw(server: PageServer, request: str) -> tuple[str, str]:
    """The first line and the rest of the answer to a request as it is."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    first, _, rest = answer.decode().partition("\r\n")
    return first, rest


@pytest.mark.parametrize(
    "name",
    ["/../../../../etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd", "/etc/passwd", "/study.toml", "/./points.csv",
     "/points.csv/", "/.", "/..", "/%70oints.csv", "/points.csv%00", "file:///etc/passwd", "http://other/points.csv",
     "*"],
)  # fmt: skip
def test_nothing_of_the_file_system(server: PageServer, name: str) -> None:
    first, rest = raw(server, f"GET {name} HTTP/1.1\nHost: 127.0.0.1\n\n")
    assert " 404 " in first or " 400 " in first
    assert "root:" not in rest and "n,y" not in rest


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost:9000", 200), ("[::1]:8707", 200), ("127.0.0.1.evil.example", 403), ("", 403),
     ("evil.example", 403), ("evil.example:8707", 403), ("192.0.2.7", 403), ("[::1", 403), ("localhost.evil", 403)],
)  # fmt: skip
def test_other_names_are_refused(server: PageServer, host: str, status: int) -> None:
    """A page of somebody else whose name leads to this machine (DNS rebinding) reads nothing."""
    for name in ("/", "/status.json", "/points.csv", "/none"):
        first, rest = raw(server, f"GET {name} HTTP/1.1\nHost: {host}\n\n")
        assert f" {404 if status == 200 and name == '/none' else status} " in first, first
        assert "Access-Control" not in rest and "Cross-Origin-Resource-Policy: same-origin" in rest
        if status == 403:
            assert "1 of 2" not in rest and "n,y" not in rest
    assert " 403 " in raw(server, "GET / HTTP/1.0\n\n")[0]


def test_answers(server: PageServer) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert " 501 " in raw(server, f"{method} / HTTP/1.1\nHost: 127.0.0.1\n\n")[0]
    first, rest = raw(server, "HEAD /points.csv HTTP/1.1\nHost: 127.0.0.1\n\n")
    assert " 200 " in first and "Content-Length: 4" in rest and "n,y" not in rest
    assert "Python" not in rest and "sandbox" in rest
    page = raw(server, "GET / HTTP/1.1\nHost: 127.0.0.1\n\n")[1]
    assert "1 of 2 &lt;i&gt;" in page and "bad &amp; worse" in page and "connect-src &#x27;self&#x27;" in page
    assert "&lt;b&gt;: no result yet" in page and '<meta http-equiv="refresh" content="10">' in page


def test_the_policy_of_a_report_allows_its_scripts_and_no_others(tmp_path: Path) -> None:
    points = rs.Points(n=[10, 30, 100, 300], y=[20.0, 21.0, 21.8, 22.2], metric="psnr")
    report = rs.report_points(points, tmp_path, title="</head>\n<body>\n").read_text()
    page = live_page(report, "line", "", "abc")
    policy = unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0])
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    quoted = [f"'sha256-{digest}'" for digest in digests]
    assert len(scripts) == 3 and all(word in policy.partition("script-src")[2] for word in quoted)
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and page.count('id="live"') == 1
    assert page.index('id="live"') < page.index("<main>") < page.index("<h1>")


def test_pages_of_others_get_no_bar() -> None:
    with pytest.raises(ValueError, match="no place"):
        live_page("<html><body>", "", "", "")


def test_mistakes(tmp_path: Path, server: PageServer) -> None:
    (tmp_path / "study.toml").write_text(SMALL)
    (tmp_path / "points.csv").write_text("n,psnr\n1,20\n")
    assert "no training fills" in refused("watch", tmp_path / "points.csv")
    assert "is not there" in refused("watch", tmp_path / "none")
    assert "--port: found 70000" in refused("watch", tmp_path, "--port", 70000)
    assert "--port 0: any that is free" in refused("watch", tmp_path, "--port", server.server_port)
    assert "cannot be listened on" in refused("watch", tmp_path, "--host", "192.0.2.1", "--port", 0)


def test_other_addresses_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SMALL)
    with watching(tmp_path, "--host", "0.0.0.0") as watch:
        assert watch.get(Host=socket.gethostname())[0] == 200 and watch.get(Host="evil.example")[0] == 403
        code, err = watch.end()
    assert code == 0 and err.startswith("warning: whoever can reach this machine can read the report: there is no ")


def test_a_server_elsewhere_answers_to_addresses() -> None:
    with PageServer("0.0.0.0", 0, lambda: Shown("t")) as server:
        assert server.is_own("192.0.2.7:80") and not server.is_own("evil.example")
        assert server.url.startswith("http://127.0.0.1:")


def test_a_record_of_another_machine_or_version(tmp_path: Path) -> None:
    now = UnderWay(machine="elsewhere", process=1, at=100.0, left=60.0, training={"a": 0.5})
    (tmp_path / NAME).write_text(now.model_dump_json())
    found = UnderWay.read(tmp_path)
    assert found is not None and found.seconds_left(130.0) == 30.0 and found.seconds_left(1e6) == 1.0
    here = now.model_copy(update={"machine": socket.gethostname(), "process": 2**22 + 1})
    (tmp_path / NAME).write_text(here.model_dump_json())
    assert UnderWay.read(tmp_path) is None
    (tmp_path / NAME).write_text("{}")
    assert UnderWay.read(tmp_path) is None


def test_an_address_in_use_is_one_sentence() -> None:
    with PageServer("127.0.0.1", 0, lambda: Shown("t")) as first, pytest.raises(UserError, match="listened on"):
        PageServer("127.0.0.1", first.server_port, lambda: Shown("t"))
