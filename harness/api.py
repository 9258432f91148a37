"""The same as the command line, for scripts and notebooks: run a suite, open a run, and what can be made of it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.execution.steps import Step, Steps, print_steps
from harness.opened_run import Figure, Recommended, Run
from harness.records.baselines import SUFFIX, open_baseline
from harness.records.record import Record
from harness.records.rows import Row
from harness.records.run_folder import REPORT_FILE, find_run
from harness.selection.claims import Judged
from harness.selection.recommend import Recommendation

if TYPE_CHECKING:
    from harness.execution.estimate import Estimate

__all__ = ["Figure", "HarnessError", "Judged", "Recommendation", "Recommended", "Record", "Row", "Run", "Step",
           "open_run", "run_suite"]  # fmt: skip


def open_run(path_or_name: str | Path = "latest", runs_dir: str | Path = "runs") -> Run:
    """Open a run by its folder, by its name in ``runs_dir`` or as ``latest``; or a baseline by its ``.json`` file.

    Raises HarnessError where there is none, or where it is damaged.
    """
    path = Path(path_or_name).expanduser()
    if path.suffix == SUFFIX:
        return Run(path, open_baseline(path))
    wanted = str(path) if path.is_dir() else str(path_or_name)
    found = find_run(wanted, Path(runs_dir).expanduser())
    return Run(found.path, found)


def run_suite(
    suite: str | Path,
    *,
    only: str | Sequence[str] = (),
    skip: str | Sequence[str] = (),
    rounds: int | None = None,
    threads: int | None = None,
    corpus: str | None = None,
    offline: bool = False,
    fresh: bool = False,
    runs_dir: str | Path = "runs",
    cache_dir: str | Path | None = None,
    settings: str | Sequence[str] = (),
    local: str | Sequence[str] = (),
    executor: str = "local",
    address: str = "",
    storage: str = "",
    progress: bool | Callable[[Step], None] = True,
) -> Run:
    """Measure everything that a suite asks for, as ``harness run`` does, and return the run. Called again, it resumes.

    ``suite`` is a shipped name or the path of a ``.toml`` file; the other arguments are the options of ``harness run``.
    ``progress`` tells on stderr how it goes, a line a task, or hands each step to a function. Tasks that fail raise
    nothing: their rows have the status and the reason. Raises HarnessError for bad input. KeyboardInterrupt leaves what
    is finished and a report in the folder, and passes on.
    """
    from harness.cli.options import cache_folder
    from harness.execution.guest import guest
    from harness.execution.job import Request, begin

    if cache_dir is None and (kept := os.environ.get("HARNESS_CACHE")):
        cache_dir = kept
    options = {"--only": _several(only), "--skip": _several(skip), "--set": _several(settings),
               "--local": _several(local)}  # fmt: skip
    chosen = {"corpus": corpus, "rounds": rounds, "threads": threads}
    words = [f"{key}={json.dumps(value)}" for key, value in chosen.items() if value is not None]
    cluster = {"executor": executor if executor != "local" else None, "address": address or None,
               "storage": storage or None}  # fmt: skip
    request = Request(
        suite=str(suite),
        settings=(*options["--set"], *words),
        only=options["--only"],
        skip=options["--skip"],
        offline=offline,
        fresh=fresh,
        runs_dir=Path(runs_dir).expanduser(),
        cache_dir=cache_folder(Path(cache_dir) if cache_dir is not None else None),
        command=_command(suite, options, chosen | cluster, offline),
        local=options["--local"],
        executor=executor,
        address=address,
        storage=storage or os.environ.get("HARNESS_STORAGE", ""),
    )
    with guest():
        job = begin(request)
        run = Run(job.folder.path, job.folder)
        try:
            job.run(_listener(progress, job.estimate))
        finally:
            run.write_report(run.path / REPORT_FILE)
    return run


def _listener(progress: bool | Callable[[Step], None], estimate: Estimate) -> Steps:
    if progress is True:
        return print_steps(estimate)
    tell = progress if callable(progress) else lambda step: None
    return Steps(estimate, tell, lambda words: None)


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _command(suite: str | Path, options: dict[str, tuple[str, ...]], chosen: dict[str, Any], offline: bool) -> str:
    """What does the same on the command line, for the report; the user's home is not spelled out."""
    from harness.records.privacy import without_private

    words = ["--suite", str(suite)]
    for option, values in options.items():
        words += [word for value in values for word in (option, value)]
    for key, value in chosen.items():
        words += [f"--{key}", str(value)] if value is not None else []
    words += ["--offline"] if offline else []
    hidden = [without_private(word) for word in words]
    quoted = ["~/" + shlex.quote(word[2:]) if word.startswith("~/") else shlex.quote(word) for word in hidden]
    return " ".join(["python", "-m", "harness", "run", *quoted])
