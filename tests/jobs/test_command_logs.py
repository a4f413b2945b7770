# ruff: noqa: F811 - a fixture is imported
"""Commands whose result is a log that ``reconscale import`` reads, and settings that reach no command."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.results.external_results import ExternalFolder
from reconscale.study.external import load_external

from ..cli.calling import call
from .test_command import GOOD, TRAIN, change, one_run, study  # noqa: F401 - a fixture


def test_a_log_that_import_reads(study: Path) -> None:
    change(one_run(study), ("[images]", 'result = "logs/version_0"\nchoose_by = "val_psnr"\n[images]'))
    ending = (
        "place = out / 'logs' / 'version_0'\nplace.mkdir(parents=True)\n"
        "(place / 'metrics.csv').write_text('step,val_psnr,test_psnr\\n1,30.5,\\n2,31.5,\\n3,31.0,\\n3,,31.25\\n')\n"
    )
    (study / "train.py").write_text(TRAIN + ending)
    change(study, ("choose_by", 'value = "test_psnr"\nchoose_by'))
    code, out, _ = call("run", study, "--allow-commands")
    assert code == 0, out
    (result,) = ExternalFolder.beside(study).results(load_external(study).runs())
    assert result.metrics == {"test": {"psnr": 31.25}, "val": {"psnr": 31.5}}


LOGS = """
version = len(list(out.glob('logs/*'))) if KEEPS_COUNT else 0
place = out / 'logs' / f'version_{version}'
place.mkdir(parents=True, exist_ok=True)
begun = Path('begun').exists()
Path('begun').touch()
(place / 'metrics.csv').write_text('step,val_psnr\\n1,30.5\\n2,31.5\\n' if begun else 'step,val_psnr\\n1,30.5\\n')
if not begun:
    sys.exit(3)
"""


@pytest.mark.parametrize("result", ["logs", "logs/version_*"])
def test_a_logger_that_begins_a_new_folder_in_each_attempt(study: Path, result: str) -> None:
    change(one_run(study), ("[images]", f'result = "{result}"\n[images]'))
    (study / "train.py").write_text(TRAIN + LOGS.replace("KEEPS_COUNT", "True"))
    assert "exit code 3" in call("run", study, "--allow-commands")[1]
    code, out, _ = call("run", study, "--allow-commands", "--retry-failed")
    assert code == 0, out
    (result,) = ExternalFolder.beside(study).results(load_external(study).runs())
    assert result.metrics["test"] == {"psnr": 31.5}
    assert len(list(study.glob("runs/*/files/logs/*/metrics.csv"))) == 2


def test_a_folder_of_an_earlier_attempt_is_no_result(study: Path) -> None:
    """It was read, and gave the value of a training that was cut off."""
    change(one_run(study), ("[images]", 'result = "logs/version_0"\n[images]'))
    (study / "train.py").write_text(TRAIN + LOGS.replace("KEEPS_COUNT", "True"))
    call("run", study, "--allow-commands")
    out = call("run", study, "--allow-commands", "--retry-failed")[1]
    assert "wrote nothing into logs/version_0, which an earlier attempt left" in out
    (study / "begun").unlink()
    (study / "train.py").write_text(TRAIN + LOGS.replace("KEEPS_COUNT", "False"))
    call("run", study, "--allow-commands", "--retry-failed")
    assert call("run", study, "--allow-commands", "--retry-failed")[0] == 0


def test_logs_that_cannot_be_told_apart(study: Path) -> None:
    change(one_run(study), ("[images]", 'result = "logs"\nvalue = "test_psnr"\n[images]'))
    csv = "place = out / 'logs'; place.mkdir(); (place / 'metrics.csv').write_text('step,val_psnr\\n1,30.5\\n')\n"
    (study / "train.py").write_text(TRAIN + csv)
    out = call("run", study, "--allow-commands")[1]
    assert "logs, command.value: no run has a series 'test_psnr'; there are: val_psnr" in out
    (study / "train.py").write_text(TRAIN + csv.replace("place.mkdir()", "place.mkdir(exist_ok=True)") +
                                    "(place / 'events.out.tfevents.1').write_bytes(b'')\n")  # fmt: skip
    out = call("run", study, "--allow-commands", "--retry-failed")[1]
    assert "wrote logs of several tools (tensorboard, lightning) into logs" in out


@pytest.mark.parametrize("what", ["n", "width", "seed"])
def test_a_setting_that_changes_nothing_is_said(study: Path, what: str) -> None:
    """As where a trainer keeps its data set of the first run for all others."""
    part = {"n": "3 * math.log10(n)", "width": "0.1 * int(args.width)", "seed": "0.01 * int(args.seed)"}[what]
    assert part in GOOD
    for text, said in ((GOOD, False), (GOOD.replace(part, "0"), True)):
        (study / "train.py").write_text(text)
        for path in study.glob("runs/*/result.json"):
            path.unlink()
        assert call("run", study, "--allow-commands", "--workers", 2)[0] == 0
        sentence = f"warning [without-effect]: runs that differ in {what} alone gave exactly the same values"
        assert (sentence in call("decide", study)[1]) == said
