"""The verbs, gathered."""

from __future__ import annotations

import typer

from reconscale.cli import analysis, convert, study, theory

app = typer.Typer(
    name="reconscale",
    help="Would more data, or a larger network, make your reconstructions better - by how much, and is it worth it?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for verb in (study.demo, study.plan, study.run, study.status, analysis.fit, analysis.forecast,
             analysis.decide, analysis.compare, analysis.report, study.data, study.reconstruct,
             convert.metrics):  # fmt: skip
    app.command()(verb)
app.command("import")(convert.import_logs)
app.add_typer(theory.app, name="theory")


def main() -> None:
    """Run the command line."""
    app()
