"""``harness verify``: numbers of other tools and papers, measured again here."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from harness.cli.options import CacheDir, Offline, Threads, cache_folder
from harness.errors import EXIT_TASKS_FAILED, HarnessError, nearest


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="references to replay; default all")] = None,
    wikitext: Annotated[
        str, typer.Option("--wikitext", help="wikitext-2 (from the hub) or wikitext-2:FOLDER")
    ] = "wikitext-2",
    blimp: Annotated[str, typer.Option("--blimp", help="BLiMP's folder or zip, or 'hub'")] = "hub",
    threads: Threads = None,
    offline: Offline = False,
    cache_dir: CacheDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="print the findings as JSON")] = False,
) -> None:
    """Replay reference numbers and say which hold.

    What cannot be had from here, such as models of the hub without a network, is marked as not run. Exit code 4 when a
    number differs or fails.
    """
    from harness.execution.environment import worker_environment
    from harness.records.environment import available_cores

    cores = threads or available_cores()
    os.environ.update(worker_environment(cores, offline))  # read by the libraries when they are imported
    from harness.candidates.artefacts import ArtefactStore
    from harness.execution.verify import Finding, Sources, references
    from harness.execution.verify import verify as replay

    known = {reference.name: reference for reference in references()}
    for name in names or ():
        if name not in known:
            raise HarnessError(f"no reference '{name}'{nearest(name, known)}")
    sources = Sources(wikitext, blimp, ArtefactStore(cache_folder(cache_dir)), offline, cores)
    findings: list[Finding] = []
    for name in names or known:
        print(f"replay {name}: {known[name].what}", file=sys.stderr)
        findings += replay(known[name], sources)
    if json_output:
        typer.echo(json.dumps([_as_dict(finding) for finding in findings], indent=2))
    else:
        typer.echo(_table(findings))
    wrong = sum(finding.status in ("differs", "failed") for finding in findings)
    if wrong:
        print(f"harness: {wrong} numbers differ from their reference, or failed", file=sys.stderr)
        raise typer.Exit(EXIT_TASKS_FAILED)


def _as_dict(finding: object) -> dict[str, object]:
    from dataclasses import asdict

    table = asdict(finding)  # type: ignore[call-overload]
    return {**table, "reference": table["reference"]["name"], "measured_by": table["reference"]["measured_by"]}


def _table(findings: list) -> str:  # type: ignore[type-arg]
    from harness.language.markup import plain
    from harness.reporting.table import Table

    lines = [
        (
            plain(finding.reference.name),
            finding.measure or "–",
            finding.reference.measured_by,
            "–" if finding.expected is None else f"{finding.expected:.8g}",
            "–" if finding.measured is None else f"{finding.measured:.8g}",
            _difference(finding.expected, finding.measured),
            finding.status + (f": {plain(finding.reason)}" if finding.reason else ""),
        )
        for finding in findings
    ]
    headers = ("reference", "number", "measured by", "expected", "here", "relative difference", "verdict")
    return Table(headers, tuple(lines), left=3).markdown()


def _difference(expected: float | None, measured: float | None) -> str:
    return "–" if not expected or measured is None else f"{measured / expected - 1:+.1e}"
