"""The command line: a file a verb, which parses, calls and prints."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import NoReturn

import typer

from harness.cli import ab, baseline, compare, docs, doctor, generate, list_, report, run, study, train, verify
from harness.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, HarnessError

app = typer.Typer(
    name="harness",
    help="Which language model, on which engine, at which precision, should I deploy on this machine for this job?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("report")(report.report)
app.command("docs")(docs.docs)
app.command("compare")(compare.compare)
app.command("ab")(ab.ab)
app.command("study")(study.study)
app.command("train")(train.train)
app.command("generate")(generate.generate)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.add_typer(list_.app, name="list")
app.add_typer(baseline.app, name="baseline")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("harness"))
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="show tracebacks of errors"),
    version: bool = typer.Option(
        False, "--version", help="print the version and stop", is_eager=True, callback=_print_version
    ),
) -> None:
    if debug:
        os.environ["HARNESS_DEBUG"] = "1"


def main() -> NoReturn:
    """Run the command line; errors become one line on stderr and an exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that cannot show a letter gets its code, not a traceback
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except HarnessError as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        print(f"harness: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C, in any verb
            _end_interrupted()
        raise
    except KeyboardInterrupt:
        _end_interrupted()
    except OSError as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"harness: {_printable(f'{where}{error.strerror or error}')}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    sys.exit(0)


def _end_interrupted() -> NoReturn:
    """Say so and exit. One more Ctrl-C while the interpreter is taken apart would change the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("harness: interrupted", file=sys.stderr)
    sys.exit(EXIT_INTERRUPTED)


def _printable(text: str) -> str:
    """Text without what would move a terminal's cursor: names of files come from anywhere."""
    from harness.records.privacy import without_controls

    return without_controls(text)
