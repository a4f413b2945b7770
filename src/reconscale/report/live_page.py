"""The report as a page that is served while a study runs: with a bar on top, refreshed when a result has landed."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape, unescape
from importlib.resources import files

from reconscale.report.page import render_template

REFRESH = 10
"""Seconds after which a browser without scripts loads the page again."""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def live_page(page: str, line: str, trouble: str, revision: str) -> str:
    """A page of ours with the bar that says how far the study is.

    Args:
        page: the report, as it is written to disk, or :func:`waiting_page`.
        line: how far the study is.
        trouble: why the report could not be written again; empty: it could.
        revision: changes when the page is another; the script then loads it again.

    Raises:
        ValueError: the page is none of ours.
    """
    found, head, body = POLICY.search(page), page.count("</head>\n<body>\n"), "</head>\n<body>\n"
    if found is None or head != 1:
        raise ValueError("the page has no place for a bar")
    policy = _with_script(unescape(found[1]), _script())
    refresh = f'<noscript><meta http-equiv="refresh" content="{REFRESH}"></noscript>'
    bar = (
        f'<div id="live" data-page="{escape(revision)}"><p class="line">{escape(line)}</p>'
        f'<p class="trouble" role="status">{escape(trouble)}</p></div>\n'
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
    page = page[: found.start()] + meta + refresh + page[found.end() :]
    page = page.replace(body, f"<style>\n{_style()}</style>\n{body}{bar}", 1)
    start, end, rest = page.rpartition("</body>")
    return f"{start}<script>{_script()}</script>\n{end}{rest}"


def waiting_page(title: str, sentence: str) -> str:
    """What is shown as long as there is no report: why there is none."""
    return render_template("live.html.j2", figures=False, title=title, sentence=sentence)


def _with_script(policy: str, script: str) -> str:
    """A policy that allows one more script, and it to ask the server of the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    others = rules["script-src"].replace("'none'", "").strip()
    rules |= {"script-src": f"{others} 'sha256-{digest}'".strip(), "connect-src": "'self'"}
    return "; ".join(" ".join(rule) for rule in rules.items())


@cache
def _script() -> str:
    return (files("reconscale.report") / "templates" / "live.js").read_text(encoding="utf-8")


@cache
def _style() -> str:
    return (files("reconscale.report") / "templates" / "live.css").read_text(encoding="utf-8")
