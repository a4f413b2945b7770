"""The verb mixture: sentences, table, JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from .calling import call, refused


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixture") / "runs.csv"
    rng, rows = np.random.default_rng(0), ["n_scanner,n_others,seed,psnr"]
    for own in (10, 30, 100):
        for other in (0, 100, 1000):
            for seed in (0, 1):
                error = 1e-3 * (0.4 + 0.6 * ((own + other / 8) / 100) ** -0.5) * np.exp(0.005 * rng.standard_normal())
                rows.append(f"{own},{other},{seed},{-10 * np.log10(error):.4f}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_sentences_and_a_table(runs: Path) -> None:
    code, out, err = call("mixture", runs, "--cost", "scanner=12", "--budget", 500)
    assert code == 0 and not err
    assert "One image of scanner is worth " in out and "Doubling scanner is expected to add" in out
    assert "collect others: best for the money" in out and "For a budget of 500, the best mix" in out
    assert "18 runs of 9 mixes; laws: " in out
    assert max(len(line) for line in out.splitlines() if "─" in line) <= 80


def test_json_holds_the_same(runs: Path) -> None:
    code, out, _ = call("mixture", runs, "--json", "--have", "scanner=50", "--have", "others=200")
    told = json.loads(out)
    assert code == 0 and told["sources"] == ["scanner", "others"] and told["target"] == "scanner"
    rate = told["exchange_rates"][0]
    assert rate["rate"]["low"] < 8 < rate["rate"]["high"] and rate["mix"] == {"scanner": 50, "others": 200}
    assert told["best_mix"]["budget"] == 250 and {gain["source"] for gain in told["gains"]} == {"scanner", "others"}
    assert sum(told["laws"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cost", "scan=1"), "there is no source 'scan'; did you mean 'scanner'"),
        (("--cost", "others"), "found 'others'; NAME=NUMBER is expected"),
        (("--cost", "others=x"), "found 'others=x'"),
        (("--cost", "others=1", "--cost", "Others=2"), "found 'others' twice"),
        (("--cost", "others=-1"), "cost, others: found -1"),
        (("--budget", "0.5"), "one image of"),
        (("--budget", "-3"), "budget: found -3"),
        (("--have", "others=-3"), "have, others: found -3"),
        (("--target", "mri"), "there is no source 'mri'"),
        (("--worthwhile", "70"), "gains of this metric are in dB"),
        (("--metric", "ssim"), "holds 'psnr' where 'ssim' was expected"),
    ],
)
def test_refused_in_one_sentence(runs: Path, words: tuple[str, ...], said: str) -> None:
    before = sorted(runs.parent.iterdir())
    assert said in refused("mixture", runs, *words)
    assert sorted(runs.parent.iterdir()) == before


def test_the_figure(runs: Path, tmp_path: Path) -> None:
    for kind, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        assert call("mixture", runs, "--figure", tmp_path / f"map.{kind}")[0] == 0
        assert (tmp_path / f"map.{kind}").read_bytes().startswith(start)
    assert "ends in '.pdf'" in refused("mixture", runs, "--figure", tmp_path / "map.pdf")
    assert not (tmp_path / "map.pdf").exists()


def test_a_missing_study_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused("mixture", tmp_path / "study.toml")
    assert "runs.csv" in refused("mixture", tmp_path / "runs.csv")
