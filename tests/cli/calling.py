"""Calling the command line inside the test process."""

from __future__ import annotations

from typer.testing import CliRunner

from reconscale.cli import app


def call(*words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command; anything but a clean exit is raised."""
    outcome = CliRunner().invoke(app, [str(word) for word in words])
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.exit_code, outcome.stdout, outcome.stderr


def refused(*words: object) -> str:
    """The one sentence of a command that is refused with exit code 2."""
    code, _, err = call(*words)
    assert code == 2, err
    assert err.startswith("reconscale: ") and err.count("\n") == 1, err
    return err
