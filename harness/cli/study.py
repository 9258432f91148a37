"""``harness study``: the error rates of the verdicts, measured on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DEFAULT_RUNS, CacheDir, RunsDir, Settings, Threads, cache_folder, shown_command


def study(
    suite: Annotated[str, typer.Option("--suite", "-s", help="a shipped suite, or the path of a .toml file")] = "smoke",
    variant: Annotated[
        str, typer.Option("--variant", help="what is measured, CANDIDATE/ENGINE/PRECISION/DEVICE")
    ] = "gpt2-tiny/onnxruntime/fp32/cpu",
    blocks: Annotated[int, typer.Option("--blocks", min=1, help="blocks of seven workers")] = 240,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="no block is begun after this")] = 60,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--from", help="the folder of an earlier study: report it, measure nothing; several add up"),
    ] = None,
    threads: Threads = None,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a file instead of stdout")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    cache_dir: CacheDir = None,
) -> None:
    """Measure how often the verdicts are wrong here: false alarms where nothing changed, and slow-downs that are found.

    One variant is measured against itself and against itself with 2, 5, 10 and 20 % of real extra work. Ctrl-C ends
    early and reports what is there.
    """
    from harness.ab.study import StudyRequest, measure_study, read_study
    from harness.records.run_folder import write_whole
    from harness.reporting.error_rates import study_report

    if not folders:
        chosen = (*(settings or ()), *([f"threads={threads}"] if threads else []))
        runs, cache = runs_dir.expanduser(), cache_folder(cache_dir)
        request = StudyRequest(suite, variant, chosen, blocks, minutes, runs, cache, shown_command())
        folders = [measure_study(request, lambda words: print(words, file=sys.stderr, flush=True))]
    text = study_report([read_study(folder.expanduser()) for folder in folders])
    if out:
        write_whole(out.expanduser(), text)
    else:
        sys.stdout.write(text)
    print(f"blocks: {', '.join(map(str, folders))}", file=sys.stderr)
