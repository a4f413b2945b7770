"""Runs axe-core over pages in a headless Chromium, light and dark: `make accessibility`.

    python website/accessibility.py --axe .accessibility/node_modules/axe-core/axe.min.js --make build/accessibility
    python website/accessibility.py --axe axe.min.js demo/report/report.html build/site

Every violation is printed; the exit code is 1 where one of them is serious or critical. Frames inside a page are pages
of their own (`InteractiveFigure.save` writes them), and are looked at alone.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPY = ".accessibility-copy.html"
ABSOLUTE = "404.html"  # is shown at any address, so its styles are named from the root: not to be had from a folder
SCHEMES = {"light": "--blink-settings=preferredColorScheme=1", "dark": "--blink-settings=preferredColorScheme=0"}
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
RESULT = re.compile(r'<pre id="axe-result">(.*?)</pre>', re.DOTALL)
# Content that moves or comes late is waited for: the theme of the site fades its colours in.
RUN = """<style>*, *::before, *::after { transition: none !important; animation: none !important; }</style>
<script>window.addEventListener('load', function () { setTimeout(function () {
  axe.run(document, {iframes: false, resultTypes: ['violations']}).then(function (found) {
    var made = document.createElement('pre');
    made.id = 'axe-result';
    made.textContent = JSON.stringify({ground: getComputedStyle(document.body).backgroundColor,
      violations: found.violations.map(function (one) {
        return {id: one.id, impact: one.impact, help: one.help, nodes: one.nodes.map(function (node) {
          return node.target.join(' ') + ': ' + (node.any[0] || node.all[0] || node.none[0] || {message: ''}).message; })};
      })});
    document.body.appendChild(made);
  }, function (error) { document.title = 'axe: ' + error; });
}, 300); });</script>"""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="*", help="pages, or folders of them")
    parser.add_argument("--axe", type=Path, required=True, help="axe.min.js of the package axe-core")
    parser.add_argument("--make", type=Path, help="also write one page of every kind into this folder, and look at them")
    asked = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None or not asked.axe.is_file():
        print(f"skipped: {'no Chromium on this machine' if browser is None else f'{asked.axe} is not there'}")
        return 0
    pages = [*(make_pages(asked.make) if asked.make else ()), *pages_of(asked.pages)]
    serious = 0
    for page in pages:
        for scheme in SCHEMES:
            said = look(page, scheme, browser, asked.axe)
            for one in said["violations"]:
                serious += one["impact"] in ("serious", "critical")
                print(f"{page} ({scheme}): {one['impact']} {one['id']}: {one['help']}")
                print("".join(f"    {node}\n" for node in one["nodes"][:6]), end="")
    print(f"{len(pages)} pages, light and dark: {serious or 'no'} serious violation{'s' * (serious != 1)}")
    return int(serious > 0 or not pages)


def pages_of(given: list[Path]) -> Iterator[Path]:
    """The pages that are named, and those below folders."""
    for path in given:
        found = (one for one in path.rglob("*.html") if one.name not in (COPY, ABSOLUTE))
        yield from sorted(found) if path.is_dir() else [path]


def look(page: Path, scheme: str, browser: str, axe: Path) -> dict[str, object]:
    """What axe-core finds on one page.

    Raises:
        RuntimeError: it did not come to an end.
    """
    text = POLICY.sub("", page.read_text(encoding="utf-8"), count=1)
    more = f'<script src="{axe.resolve().as_uri()}"></script>{RUN}'
    copy = page.with_name(COPY)  # beside the page, so that its styles and pictures are found
    head, mark, tail = text.rpartition("</body>")
    copy.write_text(head + more + mark + tail, encoding="utf-8")
    try:
        with tempfile.TemporaryDirectory() as profile:
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
                       "--disable-background-networking", f"--user-data-dir={profile}", SCHEMES[scheme],
                       "--window-size=1280,900", "--virtual-time-budget=60000", "--dump-dom",
                       copy.resolve().as_uri()]  # fmt: skip
            said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    finally:
        copy.unlink()
    found = RESULT.search(said)
    if found is None:
        raise RuntimeError(f"{page}: axe-core said nothing")
    return dict(json.loads(html.unescape(found[1])))


def make_pages(out: Path) -> list[Path]:
    """A page of every kind: reports of two studies and of a table, a comparison, theory, and figures."""
    sys.path.insert(0, str(ROOT / "src"))
    from reconscale.cli import main as reconscale
    from reconscale.laws import Mixture, Points, infer, infer_mixture
    from reconscale.report.mixture_figure import mixture_figure
    from reconscale.report.notebook import InteractiveFigure
    from reconscale.study import load_study

    studies = ROOT / "studies"
    photos, brain = studies / "denoising-photos" / "study.toml", studies / "mri-brain" / "unrolled-4x" / "study.toml"
    pair = [studies / "denoising-swinir" / name / "study.toml" for name in ("unet", "swinir")]
    table = out / "points.csv"
    out.mkdir(parents=True, exist_ok=True)
    Points([100, 300, 1000, 3000], [27.0, 28.0, 28.5, 28.8], metric="psnr").to_csv(table)
    for words in (
        ["report", photos, "--out", out / "photos"],
        ["report", brain, "--out", out / "brain"],
        ["report", table, "--out", out / "table"],
        ["compare", *pair, "--out", out / "compare"],
        ["theory", "reproduce", "--runs", "2", "--setting", "10,100,0.05", "--out", out / "theory"],
    ):
        call(reconscale, [*map(str, words), "--quiet"])
    points = Points.from_csv(table, metric="psnr")
    points.figure(title="Points").save(out / "figure.html")
    mixes = {"scanner": [10, 30, 100] * 3, "others": [0] * 3 + [300] * 3 + [2000] * 3}
    found = [26.40, 28.28, 30.00, 28.95, 29.45, 30.40, 31.13, 31.21, 31.41]
    drawn = mixture_figure(infer_mixture(Mixture(n=mixes, y=found, metric="psnr")))
    words = ("A mixture of two sources", "Quality over images of two sources.", "Lines join equal quality.")
    InteractiveFigure(drawn, *words).save(out / "mixture.html")
    cells = "".join(value._repr_html_() for value in (points, infer(points), infer(points).decide(), load_study(photos)))
    (out / "notebook.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head><title>Cells</title></head><body><main><h1>Cells</h1>{cells}</main>'
        "</body></html>", encoding="utf-8",
    )  # fmt: skip
    names = ("photos/report", "brain/report", "table/report", "compare/compare", "theory/theory", "figure", "mixture",
             "notebook")  # fmt: skip
    return [out / f"{name}.html" for name in names]


def call(command: object, words: list[str]) -> None:
    """A command of ours, which ends by itself."""
    before, sys.argv = sys.argv, ["reconscale", *words]
    try:
        command()  # type: ignore[operator]
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.argv = before


if __name__ == "__main__":
    sys.exit(main())
