"""``harness ab``: two revisions of a project, measured interleaved on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.compare import FailOn, FailOnOption, Format, Thresholds, leave, parse_thresholds
from harness.cli.options import (
    DEFAULT_RUNS,
    CacheDir,
    Local,
    Offline,
    RunsDir,
    Settings,
    Threads,
    cache_folder,
    shown_command,
)


def ab(
    base: Annotated[str, typer.Argument(metavar="BASE_REV", help="what to compare with, such as main or HEAD~1")],
    suite: Annotated[str, typer.Option("--suite", "-s", help="a shipped suite, or the path of a .toml file")] = "smoke",
    project: Annotated[Path, typer.Option("--project", help="a folder in a git checkout")] = Path(),
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="time for blocks, without preparing")] = 10,
    setup: Annotated[str, typer.Option("--setup", help="commands, joined by &&, run in both; may make .venv")] = "",
    only: Annotated[list[str] | None, typer.Option("--only", help="variants to keep, a pattern")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", help="variants to leave out, a pattern")] = None,
    threshold: Thresholds = None,
    fail_on: FailOnOption = FailOn.REGRESSED,
    threads: Threads = None,
    local: Local = None,
    offline: Offline = False,
    settings: Settings = None,
    format: Annotated[Format, typer.Option("--format", "-f")] = Format.MD,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a file instead of stdout")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    cache_dir: CacheDir = None,
) -> None:
    """Measure BASE_REV (in a git worktree) and the working tree side by side, and say what regressed.

    Both run with their own code on this machine, in turns of fractions of a second, until every metric is decided or
    the time is up. Exit code 1 for a regression, 3 for an undecided metric where asked.
    """
    from harness.ab.driver import AbRequest, compare_revisions
    from harness.reporting.verdicts import verdict_report, verdicts_json

    chosen = [f"threads={threads}"] if threads else []
    request = AbRequest(
        base=base,
        project=project,
        suite=suite,
        settings=(*(settings or ()), *chosen),
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        local=tuple(local or ()),
        thresholds=parse_thresholds(threshold),
        minutes=minutes,
        setup=setup,
        offline=offline,
        runs_dir=runs_dir.expanduser(),
        cache_dir=cache_folder(cache_dir),
        command=shown_command(),
    )
    found = compare_revisions(request, lambda words: print(words, file=sys.stderr, flush=True))
    markdown = format is Format.MD
    text = verdict_report(found.verdicts, found.about()) if markdown else verdicts_json(found.verdicts)
    leave(found.verdicts, text, fail_on, out)
