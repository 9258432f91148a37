"""``harness doctor``: what this machine can measure, and how far its numbers can be trusted."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DEFAULT_RUNS, CacheDir, RunsDir

if TYPE_CHECKING:
    from harness.execution.doctor import Diagnosis


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="leave the noise floor unmeasured")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=3, help="how long to measure the noise floor")] = 15.0,
    network: Annotated[bool, typer.Option("--network", help="ask whether the hub answers")] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    cache_dir: CacheDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="machine output")] = False,
) -> None:
    """Say what this machine can measure and how far its numbers can be trusted, with advice.

    The noise floor is measured: the same workload against itself, in fresh workers that take turns. Exit code 0 even
    where there are warnings.
    """
    import platformdirs

    from harness.execution.doctor import diagnose

    cache = cache_dir or Path(platformdirs.user_cache_dir("harness", appauthor=False))
    if not quick:
        print(f"measuring the noise floor for {seconds:g} s (--quick leaves it out)", file=sys.stderr)
    found = diagnose(cache, runs_dir, network, None if quick else seconds)
    if json_output:
        typer.echo(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
    else:
        _show(found)


def _show(found: Diagnosis) -> None:
    from rich.console import Console
    from rich.table import Table

    styles = {"ok": "green", "warning": "yellow", "missing": "dim"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for part, findings in groupby(found.findings, key=lambda each: each.part):
        table.add_row(part, style="bold")
        for each in findings:
            table.add_row(f"  {each.name}", f"[{styles[each.status]}]{each.status}[/]", _plain(each.found))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table, highlight=False)
    if found.advice:
        typer.echo("\nadvice")
        for number, advice in enumerate(found.advice, start=1):
            console.print(f"{number:3}. {advice}", markup=False, highlight=False, soft_wrap=not sys.stdout.isatty())


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
