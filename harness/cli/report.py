"""``harness report``: renders a run again."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DEFAULT_RUNS, RunsDir


class Format(StrEnum):
    """What a report can be rendered as."""

    MD = "md"
    JSON = "json"
    CSV = "csv"


def report(
    run: Annotated[str, typer.Argument(help="a run's folder or name, or 'latest'")] = "latest",
    format: Annotated[Format, typer.Option("--format", "-f")] = Format.MD,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a file instead of stdout")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
) -> None:
    """Render the report of a run as Markdown, JSON rows or CSV."""
    from harness.records.rows import make_rows
    from harness.records.run_folder import find_run, write_whole
    from harness.reporting.exports import rows_csv, rows_json
    from harness.reporting.markdown import report as markdown

    found = find_run(run, runs_dir.expanduser())
    if format is Format.MD:
        text = markdown(found)
    else:
        rows = make_rows(found.records())
        text = rows_json(rows) + "\n" if format is Format.JSON else rows_csv(rows)
    if out:
        write_whole(out.expanduser(), text)
    else:
        sys.stdout.write(text)
