"""``harness report``: renders a run again."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DEFAULT_RUNS, RunsDir

if TYPE_CHECKING:
    from harness.records.run_folder import RunFolder


class Format(StrEnum):
    """What a report can be rendered as. The last three are files of other tools; see docs/ci.md."""

    MD = "md"
    JSON = "json"
    CSV = "csv"
    PYTEST_BENCHMARK = "pytest-benchmark"
    GITHUB_BIGGER = "github-bigger"
    GITHUB_SMALLER = "github-smaller"


def report(
    run: Annotated[str, typer.Argument(help="a run's folder or name, or 'latest'")] = "latest",
    format: Annotated[
        Format,
        typer.Option("--format", "-f", help="github-*: customBiggerIsBetter, customSmallerIsBetter of the action"),
    ] = Format.MD,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a file instead of stdout")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
) -> None:
    """Render the report of a run as Markdown, JSON rows, CSV, or for pytest-benchmark and github-action-benchmark."""
    from harness.records.run_folder import find_run, write_whole

    text = _rendered(find_run(run, runs_dir.expanduser()), format)
    if out:
        write_whole(out.expanduser(), text)
    else:
        sys.stdout.write(text)


def _rendered(run: RunFolder, format: Format) -> str:
    """The text of a format; what a benchmark format leaves out is named on stderr."""
    from harness.records.rows import make_rows
    from harness.reporting.benchmark_formats import github_benchmark_json, left_out, pytest_benchmark_json
    from harness.reporting.exports import rows_csv, rows_json
    from harness.reporting.markdown import report as markdown

    if format is Format.MD:
        return markdown(run)
    rows = make_rows(run.records())
    if format is Format.JSON:
        return rows_json(rows) + "\n"
    if format is Format.CSV:
        return rows_csv(rows)
    for line in left_out(rows):
        print(f"harness: {line}", file=sys.stderr)
    if format is Format.PYTEST_BENCHMARK:
        return pytest_benchmark_json(run, rows)
    return github_benchmark_json(run, rows, bigger_is_better=format is Format.GITHUB_BIGGER)
