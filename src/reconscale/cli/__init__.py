"""The command line: each verb is a function of the same name in Python."""

from reconscale.cli.app import app, main

__all__ = ["app", "main"]
