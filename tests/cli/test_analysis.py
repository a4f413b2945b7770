"""The analysis verbs, on numbers from anywhere. None of this needs torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .calling import call

CURVE = "n,psnr,seed\n" + "".join(
    f"{n},{29.5 - 6.0 * n**-0.4 + 0.02 * s},{s}\n" for n in (10, 30, 100, 300, 600) for s in (0, 1)
)


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    path = tmp_path / "curve.csv"
    path.write_text(CURVE)
    return path


def test_fit(curve: Path) -> None:
    code, out, _ = call("fit", curve, "--law", "power+floor")
    assert code == 0 and "law power+floor of psnr, 5 sizes" in out and "90 % interval" in out
    code, out, _ = call("fit", curve, "--json")
    assert code == 0 and {fit["law"] for fit in json.loads(out)} == {"power", "power+floor", "shifted", "paper"}


def test_forecast(curve: Path) -> None:
    code, out, _ = call("forecast", curve, "--n", 1200, "--json")
    (row,) = json.loads(out)["forecast"]
    assert code == 0 and row["interval 90"][0] < row["median"] < row["interval 90"][1]
    assert row["median"] == pytest.approx(29.5 - 6.0 * 1200**-0.4 + 0.01, abs=0.2)


@pytest.mark.parametrize("ending", [".tsv", ".txt"])
def test_a_table_between_tabs(tmp_path: Path, curve: Path, ending: str) -> None:
    path = (tmp_path / "tabs").with_suffix(ending)
    path.write_text(curve.read_text().replace(",", "\t"))
    assert call("fit", path, "--json") == call("fit", curve, "--json")


def test_a_named_law_in_the_forecast(curve: Path) -> None:
    code, out, _ = call("forecast", curve, "--law", "M1", "--json")
    assert code == 0 and list(json.loads(out)["weights"]) == ["curve", "last value", "line", "power"]
    code, out, _ = call("forecast", curve, "--law", "power", "--law", "shifted")
    assert code == 0 and "power " in out and "shifted " in out
    code, _, err = call("forecast", curve, "--law", "powr")
    assert code == 2 and "'power'" in err


def test_forecast_says_what_it_is_made_of(curve: Path) -> None:
    code, out, _ = call("forecast", curve)
    assert code == 0 and "the posterior curve" in out and "floor" in out and "identified" in out
    made = json.loads(call("forecast", curve, "--json")[1])
    assert set(made["weights"]) == {"curve", "last value", "line"}
    assert made["known"].keys() == {"exponent", "slope", "floor", "break"}


def test_decide(curve: Path) -> None:
    code, out, _ = call("decide", curve, "--target", 29.2, "--cost-per-image", 3, "--worthwhile", 0.05)
    assert code == 0 and out.split()[0] in ("COLLECT", "STOP", "UNDECIDED")
    for part in (
        "2 x n",
        "10 x n",
        "more than +0.05 dB",
        "Target: 29.2 dB",
        "The next 0.1 dB",
        "at a cost of",
        "run next",
    ):
        assert part in out
    made = json.loads(call("decide", curve, "--json", "--target", 40)[1])
    assert made["decision"]["gain_tenfold"]["factor"] == 10 and made["price"]["step"] == 0.1
    assert made["target"]["n"]["never"] > 0.5 and made["target"]["n"]["median"] is None and made["next"]


def test_compare(curve: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("n,psnr,seed\n" + "".join(f"{n},{31.0 - 12.0 * n**-0.4},0\n" for n in (10, 30, 100, 300, 600)))
    code, out, _ = call("compare", curve, other)
    assert code == 0 and out.startswith("other overtakes curve at about") and "test images" in out
    made = json.loads(call("compare", curve, other, "--json")[1])
    assert made["names"] == ["curve", "other"] and 10 < made["n"]["median"] < 600
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "curve.csv").write_text(other.read_text())
    assert str(curve) in call("compare", curve, tmp_path / "b" / "curve.csv")[1]


def test_two_sizes_are_enough_for_a_forecast(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("n,psnr\n100,30\n1000,31\n")
    for words in (["forecast", path], ["decide", path], ["report", path, "--out", tmp_path / "r"]):
        code, out, _ = call(*words)
        assert code == 0, out
    assert "few-sizes" in call("forecast", path)[1]


def test_far_forecasts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.csv"
    path.write_text("n,error\n10,0.02\n20,0.0151\n40,0.0112\n80,0.0083\n")
    code, out, err = call("forecast", path, "--n", 1e6)
    assert code == 2 and "not forecast" in out and "more than 10 times" in err
    code, out, _ = call("forecast", path, "--n", 160, "--n", 1e6)
    assert code == 0 and "not forecast" in out


def test_report(curve: Path, tmp_path: Path) -> None:
    code, out, _ = call("report", curve, "--out", tmp_path / "r")
    assert code == 0 and "report.html" in out
    assert (tmp_path / "r" / "report.html").stat().st_size > 10_000


def test_report_on_imported_logs(tmp_path: Path) -> None:
    logs = Path(__file__).parent.parent / "importers" / "written" / "basicsr"
    code, _, err = call("import", logs, "--value", "Held/psnr", "--out", tmp_path / "points.csv")
    assert code == 0, err
    code, out, _ = call("report", tmp_path / "points.csv", "--out", tmp_path / "r", "--target", 27)
    assert code == 0 and "report.html" in out and (tmp_path / "r" / "gains.csv").is_file()


WRONG = {
    "missing columns": ("size,quality\n1,2\n", "n"),
    "text in a number": ("n,psnr\n10,28\n30,good\n100,29\n", "good"),
    "one point": ("n,psnr\n10,28\n", "1 distinct"),
    "equal n only": ("n,psnr\n10,28\n10,28.1\n10,28.2\n", "1 distinct"),
    "nan": ("n,psnr\n10,28\n30,nan\n100,29\n", "nan"),
    "zero error": ("n,mse\n10,0.1\n30,0\n100,0.05\n", "0"),
    "an empty file": ("", ""),
    "a header alone": ("n,psnr\n", ""),
    "a missing cell": ("n,psnr\n10\n30,28\n100,29\n", ""),
    "negative n": ("n,psnr\n-10,28\n30,28.5\n100,29\n", "-10"),
    "an n that is zero": ("n,psnr\n0,28\n30,28.5\n100,29\n", "0"),
}


@pytest.mark.parametrize("verb", ["fit", "forecast", "decide"])
@pytest.mark.parametrize("text, part", WRONG.values(), ids=WRONG)
def test_bad_numbers(tmp_path: Path, verb: str, text: str, part: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    code, out, err = call(verb, path)
    assert code == 2 and out == ""
    assert err.startswith("reconscale: ") and part in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "words, part",
    [
        (["fit", "nowhere.csv"], "nowhere.csv"),
        (["fit", "nowhere"], "cannot be read"),
        (["forecast", "CURVE", "--n", "-5"], "-5"),
        (["forecast", "CURVE", "--n", "nan"], "nan"),
        (["fit", "CURVE", "--law", "powr"], "did you mean 'power'?"),
        (["fit", "CURVE", "--metric", "ssim"], "ssim"),
        (["fit", "CURVE", "--profile", "mse"], "are for studies"),
        (["status", "nowhere"], "cannot be read"),
        (["decide", "CURVE", "--double", "both"], "both"),
        (["decide", "CURVE", "--target", "nan"], "nan"),
        (["decide", "CURVE", "--worthwhile", "-1"], "-1"),
        (["decide", "CURVE", "--cost-per-image", "-1"], "--cost-per-image"),
        (["decide", "CURVE", "--cost-per-image", "inf"], "--cost-per-image"),
        (["decide", "CURVE", "--cost-per-hour", "2"], "does not say how long"),
        (["report", "CURVE", "--target", "inf"], "target"),
        (["report", "CURVE", "--worthwhile", "-1"], "worthwhile"),
        (["compare", "CURVE", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_bad_words(curve: Path, words: list[str], part: str) -> None:
    code, _, err = call(*[str(curve) if word == "CURVE" else word for word in words])
    assert code == 2 and part in err and "Traceback" not in err


WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "deepinv", "torchvision", "skimage", "cv2", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from reconscale.cli import main
sys.argv[0] = "reconscale"
main()
"""


@pytest.mark.parametrize("words", [["fit"], ["forecast", "--n", "1200"], ["decide"], ["report"]])
def test_analysis_without_torch(curve: Path, words: list[str]) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, words[0], str(curve), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_without_torch_says_what_to_install(tiny_study: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "run", str(tiny_study)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "pip install 'reconscale[train]'" in done.stderr


def test_help_starts_without_heavy_libraries() -> None:
    code = "import sys, reconscale.cli; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("torch", "deepinv", "scipy", "matplotlib"):
        assert f"'{heavy}'" not in loaded


def test_ssim_has_a_worthwhile_gain_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ssim.csv"
    path.write_text("n,ssim\n10,0.90\n30,0.91\n100,0.92\n300,0.925\n")
    code, out, _ = call("decide", path)
    assert code == 0 and "exceeds your 0.01 SSIM" in out
