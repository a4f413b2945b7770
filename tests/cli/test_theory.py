"""The theory's verbs, as a user calls them."""

import csv
import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest

from .calling import call, refused

SMALL = ("--setting", "3,20,0.1", "--setting", "2,8,0", "--runs", "2", "--workers", "1")


def reconscale(*words):
    code, out, err = call(*words)
    assert code == 0, err
    return out


def test_curve_says_where_it_turns():
    said = reconscale("theory", "curve", "--n", "1,8,16", "--n", "100", "--n", "1e3", "--runs", "2")
    assert "floor R* = 0.002494: the risk of the best linear estimator" in said
    assert "cliff at n = dim = 10" in said
    assert "knee (twice the floor) at n = 23; 2 dim + sigma (1 - sigma) ambient = 25" in said
    assert "in brackets: the median, where the mean is infinite" in said
    assert re.findall(r"^ +(\d[\d,]*) ", said, re.MULTILINE) == ["1", "8", "16", "100", "1,000"]
    assert "next: reconscale theory curve --dim 10 --ambient 100 --sigma 0.05 --n " in said


def test_curve_as_json_and_csv(tmp_path):
    words = ("theory", "curve", "--dim", "2", "--ambient", "10", "--sigma", "0.2", "--n", "1,10,30", "--runs", "3")
    out = tmp_path / "curve.csv"
    record = json.loads(reconscale(*words, "--json", "--csv", out))
    assert record["model"] == {"dim": 2, "ambient": 10, "sigma": 0.2}
    assert [row["n"] for row in record["rows"]] == [1, 10, 30]
    assert record["rows"][1]["converged"] is None  # infinite
    assert len(record["runs"]) == 9
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["expected_converged"] != "" for row in rows] == [True, False, True]
    assert float(rows[2]["early_stopped"]) == record["rows"][2]["drawn"]["early_stopped"][0]
    assert "already exists" in refused("theory", "curve", "--n", "4", "--csv", str(out))
    reconscale(*words, "--csv", str(out), "--force")


@pytest.mark.parametrize(
    "words",
    [
        ("--sigma", 0),
        ("--dim", 5, "--ambient", 5, "--sigma", 0.3),
        ("--dim", 1, "--ambient", 1, "--sigma", 1),
        ("--dim", 3, "--ambient", 5, "--sigma", 3, "--n", "1,2,3,4,5,6,7"),
        ("--dim", 2, "--ambient", 9, "--sigma", 1e-5, "--n", "1,2,3,9,20"),
        ("--dim", 2, "--ambient", 9, "--sigma", 1e6, "--n", "1,2,3,9,20"),
        ("--dim", 3, "--ambient", 2000, "--n", 1998),
        ("--dim", 3, "--ambient", 1e6, "--sigma", 0, "--n", "1,2,1e4,1e7"),
        ("--dim", 900, "--ambient", 1e5, "--sigma", 0, "--n", "500,1e6"),
    ],
)
def test_every_corner_has_finite_numbers(words):
    record = json.loads(reconscale("theory", "curve", *words, "--runs", 2, "--json"), parse_constant=pytest.fail)
    model = record["model"]
    for row in record["rows"]:
        drawn = row["drawn"]
        kept = [*drawn["early_stopped"], *drawn["pca"], row["early_stopped"], row["pca"], row["projection"]]
        assert all(value is not None and -1e-15 <= value < 3 for value in kept)
        infinite = model["sigma"] > 0 and abs(row["n"] - model["ambient"]) <= 1
        assert (row["converged"] is None) == infinite
        assert drawn["converged"][0] is not None


def test_same_numbers_with_two_workers():
    words = ("theory", "curve", "--n", "5,40", "--runs", "3", "--seed", "7", "--json")
    assert reconscale(*words, "--workers", 2) == reconscale(*words, "--workers", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dim", "20", "--ambient", "10"), "dim: found 20; a whole number from 1 to 10 is expected"),
        (("--dim", "2.5"), "dim: found 2.5; a whole number"),
        (("--dim", "ten"), "--dim: found 'ten'"),
        (("--ambient", "1e13"), "ambient: found 10000000000000"),
        (("--ambient", "inf"), "ambient: found inf"),
        (("--sigma=-0.1",), "sigma: found -0.1; a number of 0 or more"),
        (("--sigma", "nan"), "sigma: found nan"),
        (("--sigma", "1e-9"), "sigma: found 1e-09; 0, or 1e-05 to 1e+06 is expected"),
        (("--sigma", "1e300"), "sigma: found 1e+300"),
        (("--n", "0"), "--n: found 0"),
        (("--n", "8,,9"), "--n: found ''"),
        (("--n", "1.5"), "--n: found 1.5"),
        (("--n", "1e400"), "--n: found inf"),
        (("--n", "8", "--runs", "0"), "--runs: found 0"),
        (("--n", "8", "--seed=-1"), "--seed: found -1"),
        (("--n", "8", "--workers", "0"), "--workers: found 0"),
        (("--n", "8", "--csv", "curve.txt"), "does not end in .csv"),
        (("--dim", "1e5", "--ambient", "1e5", "--n", "10"), "dim: found 100,000; at most 6,000"),
        (("--dim", "4000", "--ambient", "1e6", "--n", "1e5"), "need a matrix of 100,000 rows"),
    ],
)
def test_curve_refuses_in_one_sentence(words, said):
    assert said in refused("theory", "curve", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--setting", "10,100"), "dim,ambient,sigma are expected"),
        (("--setting", "a,b,c"), "--setting: found 'a'"),
        (("--setting", "3,20,0.1", "--setting", "3,20,.1"), "is given twice"),
        (("--setting", "30,20,0.1"), "dim: found 30"),
        (("--out", __file__), "is a file; name a folder by --out"),
    ],
)
def test_reproduce_refuses_in_one_sentence(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused("theory", "reproduce", *words)
    assert not list(tmp_path.iterdir())


class _Loads(HTMLParser):
    """Everything on a page that a browser would fetch, and its links to files."""

    def __init__(self):
        super().__init__()
        self.fetched, self.links = [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.fetched += [v for k, v in values.items() if k in ("src", "data", "poster") and not v.startswith("data:")]
        if tag == "a":
            self.links.append(values["href"])


def test_reproduce_writes_a_page_that_opens_offline(tmp_path):
    out = tmp_path / "theory"
    said = reconscale("theory", "reproduce", *SMALL, "--out", out)
    assert f"report: {out / 'theory.html'}" in said.replace("\n", "")
    page = (out / "theory.html").read_text()
    loads = _Loads()
    loads.feed(page)
    assert loads.fetched == []
    assert all((out / link).is_file() for link in loads.links)
    assert "default-src 'none'" in html.unescape(page)
    assert page.count('class="plot"') == 2
    texts = [json.loads(html.unescape(text)) for text in re.findall(r'class="plot" [^>]*data-texts="([^"]*)"', page)]
    assert ["optimum R*" in {text.split("\n")[0] for text in said} for said in texts] == [True, False]  # it is 0
    assert all("PCA" in {text.split("\n")[0] for text in said} for said in texts)
    assert "--setting 3,20,0.1 --setting 2,8,0" in page
    assert (out / "settings.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((out / "risks.csv").read_text().splitlines()))
    assert {(row["dim"], row["sigma"]) for row in rows} == {("3", "0.1"), ("2", "0.0")}
    json.loads((out / "numbers.json").read_text(), parse_constant=pytest.fail)
    again = tmp_path / "again"
    reconscale("theory", "reproduce", *SMALL, "--out", str(again))
    for name in ("risks.csv", "summary.csv", "fits.csv", "settings.png", "settings.svg"):
        assert (out / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupt_ends_cleanly_and_writes_nothing(tmp_path):
    words = [sys.executable, "-m", "reconscale", "theory", "reproduce", "--runs", "500", "--workers", "2"]
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    process = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "training sets, about" in process.stderr.readline()  # it is under way
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "stopped, nothing is lost" in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


STARTED = """
import sys
from typer.testing import CliRunner
from reconscale.cli import app
result = CliRunner().invoke(app, sys.argv[1:])
assert result.exit_code == 0, result.output
print(sorted({"torch", "deepinv", "scipy", "matplotlib"} & set(sys.modules)))
"""


def loaded_by(*words):
    """The heavy packages that a command imports."""
    command = [sys.executable, "-c", STARTED, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_theory_needs_no_torch(tmp_path):
    assert loaded_by("theory", "--help") == "[]"
    assert "matplotlib" not in loaded_by("theory", "curve", "--n", "8", "--runs", 1)
    assert loaded_by("theory", "reproduce", *SMALL, "--out", tmp_path) == "['matplotlib', 'scipy']"


def test_help_names_the_verbs():
    said = reconscale("theory", "--help")
    assert "curve" in said
    assert "reproduce" in said
