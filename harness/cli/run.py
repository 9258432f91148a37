"""``harness run``: the main job."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

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
from harness.errors import EXIT_INTERRUPTED, EXIT_TASKS_FAILED

Patterns = list[str] | None


def run(
    suite: Annotated[str, typer.Option("--suite", "-s", help="a shipped suite, or the path of a .toml file")],
    only: Annotated[Patterns, typer.Option("--only", help="variants to keep, a pattern such as 'gpt2-*'")] = None,
    skip: Annotated[Patterns, typer.Option("--skip", help="variants to leave out, a pattern")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="2 rounds: faster, no intervals on speed")] = False,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="fresh timing workers a variant")] = None,
    threads: Threads = None,
    corpus: Annotated[str | None, typer.Option("--corpus", help="sotu, wikitext-2[:FOLDER] or text:PATH")] = None,
    local: Local = None,
    offline: Offline = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="measure anew; cached checkpoints are kept")] = False,
    runs_dir: RunsDir = DEFAULT_RUNS,
    cache_dir: CacheDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan with estimated times, do nothing")] = False,
    settings: Settings = None,
    executor: Annotated[str, typer.Option("--executor", help="'local', or 'ray' for a cluster")] = "local",
    address: Annotated[
        str, typer.Option("--address", help="of the cluster's head, HOST:PORT", show_default=False)
    ] = "",
    storage: Annotated[
        str,
        typer.Option(
            "--storage",
            envvar="HARNESS_STORAGE",
            help="a folder or URL for the artefacts of several machines and a cluster's records",
            show_default=False,
        ),
    ] = "",
    json_output: Annotated[bool, typer.Option("--json", help="print the rows as JSON at the end")] = False,
) -> None:
    """Prepare, measure, store and report everything that a suite asks for.

    The same command again resumes: what is finished is not repeated. Exit code 4 when some tasks failed.
    """
    from harness.cli.progress import Progress, print_plan
    from harness.execution.job import Request, begin

    chosen = [f"corpus={_toml_string(corpus)}"] if corpus else []
    chosen += [f"rounds={2 if quick else rounds}"] if quick or rounds else []
    chosen += [f"threads={threads}"] if threads else []
    job = begin(
        Request(
            suite=suite,
            settings=(*(settings or ()), *chosen),
            only=tuple(only or ()),
            skip=tuple(skip or ()),
            offline=offline,
            fresh=fresh,
            runs_dir=runs_dir.expanduser(),
            cache_dir=cache_folder(cache_dir),
            command=shown_command(),
            dry_run=dry_run,
            local=tuple(local or ()),
            executor=executor,
            address=address,
            storage=storage,
        )
    )
    if job.missing:
        print(f"without a network and not in the hub's cache: {', '.join(job.missing)}; ", end="", file=sys.stderr)
        print("their variants are skipped, unless --local NAME=FOLDER says where they are", file=sys.stderr)
    if dry_run:
        print_plan(job)
        return
    print(f"run {job.folder.name}", file=sys.stderr)
    interrupted = False
    try:
        with redirect_stdout(sys.stderr), Progress(job) as progress:  # Ray prints what befalls its nodes
            job.run(progress)
    except KeyboardInterrupt:
        interrupted = True
    _finish(job.folder.path, json_output)
    if interrupted:
        print("what is finished is kept; the same command resumes", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED)
    if failed := job.failed():
        print(f"harness: {failed} tasks failed; the report says which and why", file=sys.stderr)
        raise typer.Exit(EXIT_TASKS_FAILED)


def _finish(folder: Path, json_output: bool) -> None:
    from harness.cli.summary import print_summary
    from harness.records.rows import make_rows
    from harness.records.run_folder import REPORT_FILE, open_run
    from harness.reporting.exports import rows_json
    from harness.reporting.markdown import write_report
    from harness.selection.claims import judge
    from harness.selection.claims_file import shipped_claims

    opened = open_run(folder)
    rows = make_rows(opened.records())
    write_report(opened, folder / REPORT_FILE, judge(shipped_claims(), rows))
    if json_output:
        typer.echo(rows_json(rows))
    else:
        print_summary(opened)
    print(f"report: {folder / REPORT_FILE}", file=sys.stderr)


def _toml_string(text: str) -> str:
    import json

    return json.dumps(text)
