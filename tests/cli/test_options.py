"""Options that all verbs share, and what ``--help`` shows."""

from importlib.metadata import version

import pytest

from reconscale.cli.app import VERBS
from reconscale.cli.display import VERBOSITY, SweepProgress

from .calling import call


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.csv"
    rows = [(n, seed, 30 - 30 / n**0.5 + 0.001 * seed) for n in (10, 30, 100, 300) for seed in range(1 + (n < 100))]
    path.write_text("n,seed,psnr\n" + "".join(f"{n},{seed},{y}\n" for n, seed, y in rows))
    return path


def help_of(*words):
    return " ".join(call(*words, "--help")[1].split())


def test_version():
    assert call("--version")[1] == f"reconscale {version('reconscale')}\n"


def test_shell_completion_is_offered():
    assert "--install-completion" in help_of()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_quiet_or_verbose(verb):
    said = help_of(verb)
    assert "-q, --quiet" in said and "-v, --verbose" in said


@pytest.mark.parametrize(
    ("words", "default"),
    [
        (("run",), "[default: $RECONSCALE_DATA]"),
        (("plan",), "[default: one per core, or one on a GPU]"),
        (("forecast",), "[default: 2, 4 and 10 times the largest n]"),
        (("decide",), "[default: the study's; 0.1 dB, 2 %, 0.01 SSIM]"),
        (("import",), "[default: usual names]"),
        (("theory", "from-images"), "[default: the study's, or 25]"),
        (("theory", "reproduce"), "[default: the paper's eight]"),
    ],
)
def test_defaults_are_shown(words, default):
    assert default in help_of(*words)


@pytest.mark.parametrize("words", [("-q", "forecast"), ("forecast", "-q")])
def test_quiet_leaves_notes_out(points, words):
    assert "note [unequal-seeds]" in call("forecast", points)[1]
    verb = [*words, points] if words[-1] == "forecast" else [words[0], points, words[1]]
    out = call(*verb)[1]
    assert "note [" not in out and "caution [" in out and "90 % interval" in out


def test_verbose_shows_the_traceback(tmp_path):
    code, _, err = call("forecast", tmp_path / "none.csv", "-v")
    assert code == 2 and err.startswith("Traceback") and err.splitlines()[-1].startswith("reconscale: ")
    assert "Traceback" not in call("forecast", tmp_path / "none.csv")[2]
    assert not VERBOSITY.verbose


def test_quiet_and_verbose_exclude_each_other(points):
    code, _, err = call("forecast", points, "-q", "-v")
    assert code == 2 and "exclude each other" in err


def test_fit_prints_each_finding_once(points):
    findings = [line for line in call("fit", points)[1].splitlines() if "[" in line]
    assert findings and len(set(findings)) == len(findings)


STUDY = """version = 2
name = "s"
problem = { kind = "denoising" }
images = { source = "SOURCE", val = 2, test = 2 }
sweep = { n = [2, 4], width = [4] }
"""


@pytest.mark.parametrize(
    ("source", "given", "more"),
    [("folder", "", " --data FOLDER"), ("folder", "photos", " --data photos"), ("bundled", "", "")],
)
def test_status_prints_a_command_with_what_it_needs(tmp_path, monkeypatch, source, given, more):
    monkeypatch.setenv("RECONSCALE_DATA", given)
    path = tmp_path / "my study" / "study.toml"
    path.parent.mkdir()
    path.write_text(STUDY.replace("SOURCE", source))
    code, out, _ = call("status", path.parent)
    assert code == 0 and out.endswith(f"start with: reconscale run '{path.parent}'{more}\n")


def test_what_a_report_of_a_csv_was_written_with(points, tmp_path):
    call("report", points, "--out", tmp_path / "out", "--target", 32)
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"reconscale report {points} --out {tmp_path / 'out'} --target 32" in page
    assert "<strong>Do not act on this yet:" not in page


def test_the_time_left_is_never_a_tiny_number(capsys):
    show = SweepProgress()._show
    show({"event": "plan", "runs": ["a", "b"], "seconds": {"a": 1.0, "b": 1e-9}, "workers": 1, "expected": 1.0})
    show({"event": "end", "run": "a", "status": "done"})
    show({"event": "end", "run": "b", "status": "done"})
    first, last = capsys.readouterr().err.splitlines()[1:]
    assert first.endswith("a: done; about 1 s left") and last.endswith("b: done")
