"""Long preparations say where they are, also in a log."""

from __future__ import annotations

import pytest

from reconscale.cli import display


def test_a_log_hears_of_a_long_stage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    with display.StageProgress() as progress:
        progress("total variation on test", 1, 60)
        assert capsys.readouterr().err == ""
        now[0] += display.SILENCE + 1
        progress("total variation on test", 2, 60)
        progress("total variation on test", 3, 60)
    assert capsys.readouterr().err == "total variation on test: 2 of 60\n"
