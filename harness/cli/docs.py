"""``harness docs``: makes the tables in Markdown files again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.baseline import DEFAULT_BASELINES, BaselinesDir
from harness.cli.options import DEFAULT_RUNS, RunsDir

EXIT_STALE = 1


def docs(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Markdown files with markers")],
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; show what is stale and leave with exit code 1")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace what was edited by hand, too")] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    baselines_dir: BaselinesDir = DEFAULT_BASELINES,
) -> None:
    """Make the tables between markers in Markdown files again; see docs/docs-tables.md.

    Nothing else of a file is changed, and no file is where one of them is wrong. Exit codes: 0, 1 (stale, with
    --check), 2 (bad markers, runs that cannot be read, tables that were edited by hand).
    """
    from harness.reporting.docs.files import difference, read_files, write_files
    from harness.reporting.docs.refresh import refreshed, refuse_edited
    from harness.reporting.docs.sources import Sources

    sources = Sources(runs_dir.expanduser(), baselines_dir.expanduser())
    found = [refreshed(file, sources) for file in read_files(files)]
    changed = [each for each in found if each.changed]
    if check:
        for each in changed:
            sys.stdout.write(difference(each.file, each.text))
            for sentence in each.not_fresh():
                print(f"harness: {sentence}", file=sys.stderr)
        if changed:
            raise typer.Exit(EXIT_STALE)
        return
    if not force:
        for each in found:
            refuse_edited(each)
    write_files([(each.file, each.text) for each in changed])
    for each in found:
        stale = len(each.not_fresh())
        print(f"{each.file.named}: {stale} of {len(each.states)} tables made again", file=sys.stderr)
