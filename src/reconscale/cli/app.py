"""The command line: all verbs, and the options that they share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from reconscale.cli import analysis, convert, curves, images, mixture, noise, sizing, statement, study, theory, watch
from reconscale.cli.display import handle_errors, set_verbosity

app = typer.Typer(
    name="reconscale",
    help="Would more data, or a larger network, make your reconstructions better - by how much, and is it worth it?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="With an error, also its traceback.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reconscale {version('reconscale')}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Quiet = False,
    verbose: Verbose = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every verb."""
    set_verbosity(quiet=quiet, verbose=verbose)


Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="Parts of your own: a Python file, whose code is run, or an installed package."),
]


def with_plugins(verb: Callable[..., None]) -> Callable[..., None]:
    """The same verb with --plugin: what it names is loaded before anything of a study is read."""

    @functools.wraps(verb)
    def call(*, plugin: list[str] | None, **given: Any) -> None:
        if plugin:
            from reconscale.own_parts import load_plugin

            with handle_errors():
                for place in plugin:
                    load_plugin(place)
        verb(**given)

    return _with_more(call, verb, [("plugin", Plugins, None)])


def _with_more(
    call: Callable[..., None], verb: Callable[..., None], more: Sequence[tuple[str, Any, Any]]
) -> Callable[..., None]:
    """What calls a verb, with the flags of the verb and more."""
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in more
    ]
    signature = inspect.signature(verb, eval_str=True)
    signature = signature.replace(parameters=[*signature.parameters.values(), *shared])
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return call


def with_verbosity(verb: Callable[..., None]) -> Callable[..., None]:
    """The same verb with -q and -v, so that they may stand behind it as well as before it."""

    @functools.wraps(verb)
    def call(*, quiet: bool, verbose: bool, **given: Any) -> None:
        if quiet or verbose:
            set_verbosity(quiet=quiet, verbose=verbose)
        verb(**given)

    return _with_more(call, verb, [("quiet", Quiet, False), ("verbose", Verbose, False)])


VERBS: dict[str, Callable[..., None]] = {
    "demo": study.demo,
    "plan": study.plan,
    "run": study.run,
    "status": study.status,
    "watch": watch.watch,
    "fit": analysis.fit,
    "forecast": analysis.forecast,
    "decide": analysis.decide,
    "compare": analysis.compare,
    "mixture": mixture.mixture,
    "report": analysis.report,
    "test-size": sizing.size_test_set,
    "curves": curves.curves,
    "statement": statement.statement,
    "data": images.data,
    "noise": noise.noise,
    "reconstruct": images.reconstruct,
    "metrics": convert.metrics,
    "import": convert.import_logs,
}
"""Name -> what it runs, in the order of ``--help``."""

WITHOUT_PLUGINS = ("demo", "noise", "metrics", "import")
WITH_PLUGINS = tuple(name for name in VERBS if name not in WITHOUT_PLUGINS)
"""The verbs that open a study or a run, and may need parts of the user's own."""

for name, verb in VERBS.items():
    if name in WITH_PLUGINS:
        verb = with_plugins(verb)
    app.command(name)(with_verbosity(verb))

theory_app = typer.Typer(help=theory.HELP, no_args_is_help=True, rich_markup_mode=None)
for name, verb in theory.VERBS.items():
    theory_app.command(name)(with_verbosity(verb))
app.add_typer(theory_app, name="theory")


def main() -> None:
    """Run the command line."""
    app(prog_name="reconscale")
