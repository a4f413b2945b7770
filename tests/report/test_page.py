"""The page: it opens offline, believes nobody's markup, and works however far a study is."""

from __future__ import annotations

import base64
import doctest
import hashlib
import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from reconscale import format as wording
from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.laws import Points
from reconscale.report import analyse_study, answer_lines, page, report_points, report_study, study_lines
from reconscale.report.comparison import Method, compare_methods, report_comparison
from reconscale.report.pictures import LARGEST, embedded
from reconscale.results import Folder
from reconscale.study import runs_of

from .conftest import Written
from .synthetic import png, spoil, study_of, write_pictures, write_results

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """The elements of a page, with their attributes; scripts' contents are not text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.headings: list[str] = []
        self._heading = False
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag
        self._heading = self._heading or tag == "h2"
        if tag == "h2":
            self.headings.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        self._heading = self._heading and tag != "h2"

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data
            if self._heading:
                self.headings[-1] += data


def check_safe(html: str) -> Elements:
    """No element loads anything, no attribute runs anything, and every script is one of ours."""
    elements = Elements(html)
    policy = next(a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy
    scripts = iter(elements.scripts)
    for tag, attrs in elements.found:
        assert tag not in ("iframe", "object", "embed", "link", "base", "form")
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        for name in ("src", "srcset", "poster", "data", "background"):
            assert (attrs.get(name) or "data:").startswith("data:"), (tag, attrs)
        href = attrs.get("href")
        assert href is None or "/" not in href
        if tag == "script":
            text = next(scripts)
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert attrs.get("type") == "application/json" or f"'sha256-{digest}'" in policy
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    return elements


def test_page_is_safe_and_loads_nothing(written: Written, alone: Path) -> None:
    check_safe(written.html)
    check_safe((alone / "report.html").read_text(encoding="utf-8"))


def test_order_of_the_page(written: Written) -> None:
    elements = check_safe(written.html)
    titles = [
        "COLLECT MORE", "Next step", "Can this be trusted?", "Quality against training set size",
        "What more would bring, and cost", "What to run next",
        "Data against network size",
        "Quality against network size", "What one step of quality is worth", "Pictures", "Other test sets",
        "How the forecast was made and tested", "Findings", "What was measured", "Cost", "Training", "All runs",
        "Method", "Reproduce", "How to read this",
    ]  # fmt: skip
    assert [heading.lstrip("+") for heading in elements.headings] == titles
    text = elements.text
    assert "Had we stopped at n" in text and "reconscale run study.toml" in text and "NVIDIA A100" in text


def test_failed_runs_are_shown_and_counted(written: Written) -> None:
    text = check_safe(written.html).text
    assert "45 runs: 43 done, 1 diverged, 1 failed" in text
    assert "the loss became NaN at step 812" in text and "out of memory <img src=x onerror=alert(1)>" in text
    assert "failed-runs" in text


def test_pictures_are_embedded_with_words(written: Written) -> None:
    images = [attrs for tag, attrs in check_safe(written.html).found if tag == "img"]
    strip = [attrs for attrs in images if (attrs["src"] or "").startswith("data:image/png")]
    assert len(strip) == 10 and all(attrs["alt"] for attrs in images)
    assert any("BM3D, 27.20 dB" in (attrs["alt"] or "") for attrs in strip)


def test_tables_have_headers_and_names(written: Written) -> None:
    found = check_safe(written.html).found
    assert all(attrs.get("aria-label") for tag, attrs in found if tag == "table")
    assert all(attrs.get("scope") == "col" for tag, attrs in found if tag == "th")
    assert ("html", {"lang": "en"}) in found


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    study = study_of(images={"test_sets": {EVIL: "x"}}, sweep={"n": [10, 30, 100], "width": [8, 16], "seed": [0]})
    folder = write_results(study, tmp_path / "runs")
    spoil(folder, runs_of(study)[1], EVIL)
    write_pictures(study, folder, images=(EVIL, "b.png"), classical_name=EVIL)
    html = report_study(study, folder, tmp_path / "out").read_text(encoding="utf-8")
    elements = check_safe(html)
    assert elements.text.count(EVIL) >= 3 and EVIL not in html


def test_markup_in_points_stays_text(tmp_path: Path) -> None:
    points = Points([10, 30, 100, 300], [27.0, 28, 28.5, 28.8], metric="psnr", unit=EVIL, profile=f"</script>{EVIL}")
    elements = check_safe(report_points(points, tmp_path, title=EVIL).read_text(encoding="utf-8"))
    assert EVIL in elements.text
    assert "<script" not in (tmp_path / "quality.svg").read_text(encoding="utf-8")


def test_markup_in_hover_texts_stays_text(tmp_path: Path) -> None:
    n = [10, 30, 100, 300]
    methods = [Method(f"{EVIL} {i}", Points(n, [27.0 + i, 28, 28.5, 28.8], metric="psnr")) for i in (1, 2)]
    html = report_comparison(compare_methods(*methods), tmp_path, ("a.csv", "b.csv")).read_text(encoding="utf-8")
    plot = next(attrs for _, attrs in check_safe(html).found if "data-texts" in attrs)
    texts = json.loads(plot["data-texts"] or "")
    assert f"{EVIL} 1\nn = 10\n28" in texts and f"{EVIL} 2, expected\nn = 10\n" in "".join(texts)
    assert EVIL not in html and "<img" not in html
    assert "textContent = texts" in page.figure_script() and "innerHTML" not in page.figure_script()
    assert EVIL not in (tmp_path / "comparison.svg").read_text(encoding="utf-8")


def test_one_size_says_what_to_run(tmp_path: Path) -> None:
    study = study_of()
    folder = write_results(study, tmp_path / "runs", keep=lambda run: run.n == 10 and run.seed == 0)
    html = report_study(study, folder, tmp_path / "out").read_text(encoding="utf-8")
    text = check_safe(html).text
    assert "UNDECIDED" in text and "There is no curve yet" in text and "Finish the plan" in text
    assert not (tmp_path / "out" / "fan.csv").exists()


def test_two_sizes_give_a_fan_with_warnings(tmp_path: Path) -> None:
    page = report_points(Points([100, 1000], [30.0, 31.0], metric="psnr"), tmp_path, title="two")
    text = check_safe(page.read_text(encoding="utf-8")).text
    assert (
        "few-sizes" in text
        and "needs at least 3" in text
        and "not identified (the interval is mostly the prior, or lies at its edge)" in text
    )
    assert "too few sizes for a back-test" in text
    assert (tmp_path / "fan.csv").exists() and not (tmp_path / "backtest.csv").exists()


def test_answer_box_says_what_can_be_acted_on(written: Written, curve: Points, tmp_path: Path) -> None:
    text = check_safe(written.html).text
    for part in ("2 × data (n = 1,200)", "10 × data (n = 6,000)", "2 × parameters", "chance of more than +0.10 dB",
                 "The next 0.1\u00a0dB"):  # fmt: skip
        assert part in text
    page = report_points(curve, tmp_path, title="t", target=0.021)
    assert "Target: an error of 0.021" in check_safe(page.read_text(encoding="utf-8")).text
    with pytest.raises(UserError, match="target"):
        report_points(curve, tmp_path / "bad", title="t", target=-1.0)
    assert not (tmp_path / "bad").exists()


def test_nothing_done_yet(tmp_path: Path) -> None:
    study = study_of()
    path = report_study(study, Folder(tmp_path / "none"), tmp_path / "out")
    assert "No run is done yet of 45" in check_safe(path.read_text(encoding="utf-8")).text
    folder = Folder(tmp_path / "runs")
    spoil(folder, runs_of(study)[0], "no memory")
    path = report_study(study, folder, tmp_path / "out2")
    assert "no memory" in check_safe(path.read_text(encoding="utf-8")).text


def test_no_pictures_when_not_wanted(written: Written, tmp_path: Path) -> None:
    html = report_study(written.study, written.folder, tmp_path, pictures=False).read_text(encoding="utf-8")
    assert ">Pictures<" not in html


def test_same_results_same_bytes(written: Written, tmp_path: Path) -> None:
    said: list[str] = []
    report_study(written.study, written.folder, tmp_path, progress=said.append)
    names = {path.name for path in written.out.iterdir()}
    assert names == {path.name for path in tmp_path.iterdir()} and said
    for name in names:
        assert (tmp_path / name).read_bytes() == (written.out / name).read_bytes(), name


def test_unwritable_folder_is_a_mistake(curve: Points, tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "not a folder")
    with pytest.raises(UserError, match="cannot be written"):
        report_points(curve, tmp_path / "file" / "out", title="t")


def test_baselines_on_unknown_images_are_said(written: Written, tmp_path: Path) -> None:
    shutil.copytree(written.folder.root, tmp_path / "runs")
    path = tmp_path / "runs" / "anchors" / "anchors.json"
    record = json.loads(path.read_text()) | {"counts": {"test": {"used": 1, "of": 3}}}
    write_atomic(path, json.dumps(record))
    known = analyse_study(written.study, Folder(tmp_path / "runs"))
    assert "baselines-unknown" in [item.code for item in known.findings] and not known.lines


def test_damaged_anchors_are_a_mistake(written: Written, tmp_path: Path) -> None:
    study = study_of(sweep={"n": [10], "width": [8], "seed": [0]})
    write_atomic(tmp_path / "runs" / "anchors" / "anchors.json", '{"sets": {"test": 3}}')
    with pytest.raises(UserError, match="damaged"):
        report_study(study, Folder(tmp_path / "runs"), tmp_path / "out")


def test_only_small_png_files_of_the_folder_are_embedded(tmp_path: Path) -> None:
    good = png(np.zeros((4, 4)))
    for name, content in (("a.png", good), ("b.png", b"<svg/>"), ("c.png", good + bytes(LARGEST))):
        write_atomic(tmp_path / "in" / name, content)
    write_atomic(tmp_path / "d.png", good)
    assert (embedded(tmp_path / "in", "a.png") or "").startswith("data:image/png;base64,")
    assert embedded(tmp_path / "in", "c.png") == ""  # there, and too large
    for name in ("b.png", "../d.png", "missing.png", "", None, 3):
        assert embedded(tmp_path / "in", name) is None


def test_answer_as_text(written: Written, curve: Points) -> None:
    said = "\n".join(study_lines(analyse_study(written.study, written.folder)))
    assert said.startswith("COLLECT MORE (") and "Had we stopped" in said and "power+floor" in said
    assert "[failed-runs]" in said and "10 x n" in said and "what to run next" in said
    said = "\n".join(answer_lines(curve.rows(curve.n <= 250)))
    assert said.startswith("UNDECIDED") and "There is no curve yet" in said and "Add training sizes" in said
    said = "\n".join(answer_lines(curve.rows(curve.n <= 2000), requested_n=[1e9]))
    assert "not forecast" in said and "(the interval is mostly the prior, or lies at its edge)" in said


def test_text_of_a_study_without_runs(tmp_path: Path) -> None:
    lines = study_lines(analyse_study(study_of(), Folder(tmp_path / "none")))
    assert lines[0] == "UNDECIDED" and "No run is done yet of 45" in lines[1] and "Finish the plan" in lines[-1]


def test_examples_in_docstrings() -> None:
    for module in (wording, page):
        assert doctest.testmod(module).failed == 0


def test_reading_a_report_does_not_import_what_it_does_not_need() -> None:
    code = "import sys, reconscale.report; print([m for m in ('torch', 'deepinv', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
