"""The verbs curves and statement, and what they add to a report."""

import json
from pathlib import Path

import pytest

from reconscale.laws import Points

from .calling import call, refused

STUDIES = Path(__file__).parents[2] / "studies"
TOMOGRAPHY = STUDIES / "tomography-deadleaves"


def test_all_and_one():
    _, out, _ = call("curves")
    assert "lodopab-200-learnedpd-psnr" in out and "mri-pools-varnet-4x-id-ssim" in out
    _, out, _ = call("curves", "lodopab-200-learnedpd-psnr")
    assert "33.64" in out and "Apache-2.0 (Daniel Otero Baguer" in out and "sha256: " in out
    _, out, _ = call("curves", "ct", "--metric", "ssim", "--json")
    assert {row["metric"] for row in json.loads(out)} == {"ssim"}


def test_a_curve_becomes_a_csv(tmp_path):
    out = tmp_path / "ct.csv"
    call("curves", "lodopab-200-fbp-unet-psnr", "--out", out)
    points = Points.from_csv(out)
    assert points.y.tolist() == [29.33, 31.58, 32.6, 33.19, 33.55] and points.unit == "slices"
    assert "already exists" in refused("curves", "lodopab-200-fbp-unet-psnr", "--out", out)
    assert "name one curve" in refused("curves", "ct", "--out", tmp_path / "more.csv")


def test_beside_a_study():
    _, out, _ = call("curves", "ct", "--beside", TOMOGRAPHY)
    assert "your tomography-deadleaves" in out and "problem" in out
    assert "reconscale-tomography-deadleaves" not in out  # a curve is not beside itself
    assert "from oterobaguer/dip-ct-benchmark" in out and "Apache-2.0" in out


def test_beside_a_csv(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("n,psnr\n3,29.7\n35,32.4\n358,33.2\n3582,33.5\n35820,33.6\n")
    _, out, _ = call("curves", "lodopab-200-learnedpd-psnr", "--beside", path, "--group", "ct", "--json")
    record = json.loads(out)
    assert "Your kind of problem was not said: --group" in call("curves", "ct", "--beside", path)[1]
    own, other = record["curves"]
    assert own["own"] == 1 and other["alike"] == "problem slope gain"
    assert other["gain_low90"] < other["gain"] < other["gain_high90"]


def test_refused(tmp_path):
    assert "found 'ctt'" in refused("curves", "ctt")
    path = tmp_path / "errors.csv"
    path.write_text("n,nmse\n10,0.2\n30,0.1\n")
    assert "found none in" in refused("curves", "ct", "--beside", path)


def test_the_statement_of_a_study():
    _, out, _ = call("statement", STUDIES / "denoising-photos")
    for words in (
        "35 networks", "3, 10, 30, 100, 300, 638 images", "24 images for validation", "'cbsd68' has 68 images",
        "90 % interval", "90 % power", "items 19 to 21 of CLAIM 2024", "the largest one tried",
    ):  # fmt: skip
        assert words in out


def test_the_statement_of_volumes_counts_patients():
    _, out, _ = call("statement", STUDIES / "mri-brain" / "unet-4x", "--json")
    text = " ".join(json.loads(out)["statement"])
    assert "300 slices of 15 volumes of 5 patients" in text and "at the level of patients" in text
    assert "has 1 patient; what it can tell apart is not known" in text


def test_the_statement_of_a_csv_invents_nothing(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("n,psnr\n10,28\n30,29\n100,29.7\n")
    _, out, _ = call("statement", path)
    assert "What item 21 of CLAIM" in out and "asks for is to be added" in out and "items 19" not in out
    assert "answers item" not in out  # nothing is known of the test set
    assert "to be added by the authors" in out and "are not known from these numbers" in out
    assert "disjoint at the level" not in out and "seed" not in out


def test_the_statement_needs_a_curve(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("n,psnr\n10,28\n10,29\n")
    assert "found one size" in refused("statement", path)


@pytest.mark.parametrize("flags", [(), ("--beside", "lodopab-200-learnedpd-psnr", "--statement")])
def test_a_report_shows_them_on_request(tmp_path, flags):
    path = tmp_path / "mine<b>.csv"
    path.write_text("n,psnr\n10,28\n30,29\n100,29.7\n300,30\n")
    call("report", path, "--out", tmp_path / "report", *flags)
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert ("Beside published curves" in html) == bool(flags) == ("Sample size, for a methods section" in html)
    assert (tmp_path / "report" / "published.csv").is_file() == bool(flags)
    assert "mine<b>" not in html
    assert ("--beside lodopab-200-learnedpd-psnr --statement" in html) == bool(flags)


@pytest.mark.parametrize(("group", "words"), [("nosuch", "known here: ct, denoising, mri"), ("tomography", "'ct'")])
def test_an_unknown_group_is_refused(tmp_path, group, words):
    path = tmp_path / "points.csv"
    path.write_text("n,psnr\n10,30\n100,31\n1000,31.5\n")
    assert words in refused("curves", "--beside", path, "--group", group)


def test_a_forecast_like_published_ones(tmp_path):
    out = tmp_path / "own.csv"
    call("curves", "lodopab-200-fbp-unet-psnr", "--out", out)
    _, said, _ = call("forecast", out, "--like", "lodopab-200-learnedgd-psnr")
    assert "This forecast leans on 1 published curve: lodopab-200-learnedgd-psnr." in said
    assert "Had you stopped at n = 3,582" in said and "measured: 33.55 dB, " in said
    _, said, _ = call("forecast", out, "--like", "ct", "--json")
    like = json.loads(said)["like"]
    assert len(like["curves"]) == 4 and like["backtest"]["helped"] in (True, False)
    assert "together with --law" in refused("forecast", out, "--like", "ct", "--law", "power")
    assert "groups are ct" in refused("forecast", out, "--like", "cx")
