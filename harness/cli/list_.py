"""``harness list``: what there is, and what is missing with the command that installs it."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.options import DEFAULT_RUNS, RunsDir
from harness.errors import HarnessError

app = typer.Typer(help="List suites, candidates, engines, corpora, metrics or runs.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="machine output")]


@app.command()
def suites(json_output: Json = False) -> None:
    """Shipped suites."""
    import tomllib

    from harness.suites.loader import shipped_suites

    tables = {name: tomllib.loads(path.read_text(encoding="utf-8")) for name, path in shipped_suites().items()}
    _show(
        [
            {
                "suite": name,
                "title": table.get("title", ""),
                "candidates": len(table["candidates"]),
                "corpus": table["corpus"],
            }
            for name, table in tables.items()
        ],
        json_output,
    )


@app.command()
def candidates(json_output: Json = False) -> None:
    """Candidates of the catalogue."""
    from harness.candidates.catalogue import shipped_candidates

    _show(
        [
            {"candidate": name, "family": spec.family, "origin": spec.origin, "title": spec.title}
            for name, spec in shipped_candidates().items()
        ],
        json_output,
    )


@app.command()
def engines(json_output: Json = False) -> None:
    """Engines, what each offers, what it cannot run, and what is missing."""
    from harness.engines.catalogue import engine_kinds

    kinds = engine_kinds().values()
    lines: list[dict[str, Any]] = [
        {
            "engine": kind.name,
            "precisions": ", ".join(kind.precisions),
            "devices": ", ".join(kind.devices),
            "description": kind.description,
            "status": kind.missing() or "ready",
        }
        for kind in kinds
    ]
    if json_output:
        _show([{**line, "cannot_run": dict(kind.lacks)} for line, kind in zip(lines, kinds, strict=True)], True)
        return
    _show(lines, False)
    if lacking := [(kind.name, pattern, reason) for kind in kinds for pattern, reason in kind.lacks.items()]:
        typer.echo("\nVariants (family/precision/device) that are skipped:")
        for name, pattern, reason in lacking:
            typer.echo(f"  {name}  {pattern}: {reason}")


@app.command()
def corpora(json_output: Json = False) -> None:
    """Corpora, and how each is named."""
    from harness.corpora.catalogue import corpus_kinds

    _show(
        [
            {"corpus": kind.name, "usage": kind.usage, "description": kind.description}
            for kind in corpus_kinds().values()
        ],
        json_output,
    )


@app.command()
def metrics(json_output: Json = False) -> None:
    """Metrics, their units and what they say."""
    from harness.records.metrics import METRICS

    better = {True: "higher", False: "lower", None: ""}
    _show(
        [
            {"metric": m.name, "unit": m.unit, "better": better[m.higher_is_better], "description": m.description}
            for m in METRICS.values()
        ],
        json_output,
    )


@app.command()
def runs(runs_dir: RunsDir = DEFAULT_RUNS, json_output: Json = False) -> None:
    """Runs in a folder, the oldest first."""
    from harness.records.damage import told_as_damage
    from harness.records.rows import make_rows
    from harness.records.run_folder import find_runs

    lines = []
    for run in find_runs(runs_dir.expanduser()):
        try:
            with told_as_damage(run.name):
                rows = make_rows(run.closings())
        except HarnessError as error:
            print(f"harness: {error}", file=sys.stderr)
            rows = []
        lines.append(
            {
                "run": run.name,
                "suite": str(run.info.get("suite_name")),
                "created": str(run.info.get("created")),
                "variants": len(rows),
                "ok": sum(row.status == "ok" for row in rows),
            }
        )
    if not lines and not json_output:
        print(f"no runs in {runs_dir}", file=sys.stderr)
    else:
        _show(lines, json_output)


def _show(lines: list[dict[str, Any]], json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps(lines, indent=1, ensure_ascii=False))
        return
    table = Table(*lines[0], box=None, header_style="bold", pad_edge=False)
    for line in lines:
        table.add_row(*(str(value) for value in line.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(table, markup=False, highlight=False)
