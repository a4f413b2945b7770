"""The verbs, gathered."""

from __future__ import annotations

import typer

from reconscale.cli import analyse, choose, conventions, foreign, measure, theory

app = typer.Typer(
    name="reconscale",
    help="Would more data, or a larger network, make your reconstructions better - by how much, and is it worth it?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for verb in (measure.demo, measure.plan, measure.run, measure.status, analyse.fit, analyse.forecast,
             choose.decide, choose.compare, analyse.report, measure.data, measure.reconstruct,
             conventions.metrics):  # fmt: skip
    app.command()(verb)
app.command("import")(foreign.import_logs)
app.add_typer(theory.app, name="theory")


def main() -> None:
    """Run the command line."""
    app()
