"""``harness report``: renders a run again."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DEFAULT_RUNS, RunsDir
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.records.run_folder import RunFolder
    from harness.selection.claims import Judged


class Format(StrEnum):
    """What a report can be rendered as. The last three are files of other tools; see docs/ci.md."""

    MD = "md"
    HTML = "html"
    JSON = "json"
    CSV = "csv"
    MODEL_CARD = "model-card"
    PYTEST_BENCHMARK = "pytest-benchmark"
    GITHUB_BIGGER = "github-bigger"
    GITHUB_SMALLER = "github-smaller"


class Language(StrEnum):
    """What a report can be written in."""

    EN = "en"
    FR = "fr"


def report(
    run: Annotated[str, typer.Argument(help="a run's folder or name, or 'latest'")] = "latest",
    format: Annotated[
        Format,
        typer.Option("--format", "-f", help="github-*: customBiggerIsBetter, customSmallerIsBetter of the action"),
    ] = Format.MD,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="a file instead of stdout; plots go into NAME-plots beside it")
    ] = None,
    lang: Annotated[Language, typer.Option("--lang", help="the language of md, html and model-card")] = Language.EN,
    claims: Annotated[Path | None, typer.Option("--claims", help="a file of claims instead of the shipped one")] = None,
    candidate: Annotated[str | None, typer.Option("--candidate", help="whose model card; needed for several")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
) -> None:
    """Render the report of a run as Markdown, HTML, JSON rows, CSV, a model card, or for pytest-benchmark and
    github-action-benchmark."""
    from harness.language.say import speaking
    from harness.records.damage import told_as_damage
    from harness.records.run_folder import find_run, write_whole
    from harness.reporting.markdown import write_report

    if candidate and format is not Format.MODEL_CARD:
        raise HarnessError("--candidate goes with --format model-card")
    if claims and format not in (Format.MD, Format.HTML):
        raise HarnessError("--claims goes with --format md and html")
    found = find_run(run, runs_dir.expanduser())
    with told_as_damage(found.name), speaking(lang.value):
        if format is Format.MD and out:
            write_report(found, out.expanduser(), _judged(found, claims))
            return
        text = _rendered(found, format, claims, candidate)
    if out:
        write_whole(out.expanduser(), text)
    else:
        sys.stdout.write(text)


def _rendered(run: RunFolder, format: Format, claims: Path | None, candidate: str | None) -> str:
    """The text of a format; what a benchmark format leaves out is named on stderr."""
    from harness.records.rows import make_rows

    if format is Format.MD:
        from harness.reporting.markdown import report as markdown

        return markdown(run, _judged(run, claims))
    if format is Format.HTML:
        from harness.reporting.page.render import report_html

        return report_html(run, _judged(run, claims))
    if format is Format.MODEL_CARD:
        from harness.reporting.model_card import model_card

        return model_card(run, candidate)
    rows = make_rows(run.records())
    if format in (Format.JSON, Format.CSV):
        from harness.reporting.exports import rows_csv, rows_json

        return rows_json(rows) + "\n" if format is Format.JSON else rows_csv(rows)
    from harness.reporting.benchmark_formats import github_benchmark_json, left_out, pytest_benchmark_json

    for line in left_out(rows):
        print(f"harness: {line}", file=sys.stderr)
    if format is Format.PYTEST_BENCHMARK:
        return pytest_benchmark_json(run, rows)
    return github_benchmark_json(run, rows, bigger_is_better=format is Format.GITHUB_BIGGER)


def _judged(run: RunFolder, claims: Path | None) -> list[Judged]:
    from harness.records.rows import make_rows
    from harness.selection.claims import judge
    from harness.selection.claims_file import read_claims, shipped_claims

    return judge(read_claims(claims.expanduser()) if claims else shipped_claims(), make_rows(run.records()))
