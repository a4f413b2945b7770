"""The verb watch: the report of a study in the browser, while it is trained."""

from __future__ import annotations

import signal
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from reconscale.cli.display import VERBOSITY, console, errors, handle_errors
from reconscale.cli.study_options import StudyPath
from reconscale.errors import UserError
from reconscale.own_parts import loaded_plugins

if TYPE_CHECKING:
    from reconscale.cli.watch_report import LiveReport
    from reconscale.cli.watch_server import PageServer

LOCAL = "127.0.0.1"
PORT = 8707
MOST_PORT = 65535


def watch(
    study: StudyPath,
    port: Annotated[int, typer.Option(help="0: any that is free.")] = PORT,
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but this one lets others read the report.")
    ] = LOCAL,
    open_browser: Annotated[bool, typer.Option("--open", help="Also open a browser.")] = False,
) -> None:
    """Serve the report of a study to a browser on this machine. It is refreshed as results land; Ctrl-C ends it."""
    with handle_errors():
        from reconscale.cli.source import is_csv
        from reconscale.cli.watch_report import LiveReport
        from reconscale.cli.watch_server import PageServer, is_loopback
        from reconscale.study.study_file import study_path

        if is_csv(study):
            raise UserError(study, "is a table, which no training fills", f"use: reconscale report {study}")
        if not study_path(study).is_file():
            raise UserError(study_path(study), "is not there", "give a study file, or the folder of a study.toml")
        if not 0 <= port <= MOST_PORT:
            raise UserError("--port", f"found {port}", f"give a number up to {MOST_PORT}, or 0: any that is free")
        report = LiveReport(study, [plugin.place for plugin in loaded_plugins()], _say)
        with PageServer(host, port, lambda: report.shown) as server:
            if not is_loopback(host):
                _say(
                    "warning: whoever can reach this machine can read the report: there is no password and no "
                    f"encryption. Safer, from the other machine: ssh -L {PORT}:127.0.0.1:{server.server_port} THIS, "
                    "without --host"
                )
            console.print(f"{study} at {server.url} (Ctrl-C ends)", markup=False, highlight=False, soft_wrap=True)
            sys.stdout.flush()  # another program may be waiting for the address
            _serve(server, report, open_browser=open_browser)


def _serve(server: PageServer, report: LiveReport, *, open_browser: bool) -> None:
    """Answer until Ctrl-C or SIGTERM."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end) if threading.current_thread() is threading.main_thread() else None
    try:
        with report:
            if open_browser and not webbrowser.open(server.url):
                _say(f"note: found no browser to open; open {server.url}")
            server.serve_forever()
    except KeyboardInterrupt:
        _say("watch has ended; the study is not touched")
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    if not VERBOSITY.quiet:
        errors.print(text, markup=False, highlight=False, soft_wrap=True)
