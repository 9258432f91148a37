"""``harness compare``: the verdict on a run, held against another or against a baseline."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.baseline import DEFAULT_BASELINES, BaselinesDir
from harness.cli.options import DEFAULT_RUNS, RunsDir
from harness.errors import EXIT_REGRESSED, EXIT_UNDECIDED, HarnessError

if TYPE_CHECKING:
    from harness.records.stored_run import StoredRun
    from harness.selection.regressions import Verdicts
    from harness.stats.verdicts import Verdict


class Format(StrEnum):
    """What a comparison can be rendered as."""

    MD = "md"
    JSON = "json"


class FailOn(StrEnum):
    """Which verdicts make the exit code other than 0."""

    REGRESSED = "regressed"
    UNDECIDED = "undecided"
    NEVER = "never"


FailOnOption = Annotated[
    FailOn, typer.Option("--fail-on", help="exit code 1 on a regression; 'undecided': 3 on an undecided verdict, too")
]
Thresholds = Annotated[
    list[str] | None, typer.Option("--threshold", metavar="METRIC=FRACTION", help="the least change that matters")
]


def compare(
    base: Annotated[str, typer.Argument(help="a run (name, folder or 'latest') or a baseline (name or .json)")],
    new: Annotated[str, typer.Argument(help="the same, held against BASE")],
    fail_on: FailOnOption = FailOn.REGRESSED,
    threshold: Thresholds = None,
    format: Annotated[Format, typer.Option("--format", "-f")] = Format.MD,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="a file instead of stdout")] = None,
    runs_dir: RunsDir = DEFAULT_RUNS,
    baselines_dir: BaselinesDir = DEFAULT_BASELINES,
) -> None:
    """Judge what changed from BASE to NEW: regressed, improved, unchanged or undecided.

    Exit codes: 0, 1 (regressed), 3 (undecided, with --fail-on undecided), 2 (bad input).
    """
    from harness.records.damage import told_as_damage
    from harness.reporting.verdicts import verdict_report, verdicts_json
    from harness.selection.regressions import compare_runs

    given = parse_thresholds(threshold)
    before, after = (find_stored(text, runs_dir.expanduser(), baselines_dir.expanduser()) for text in (base, new))
    with told_as_damage(f"{before.name}' or '{after.name}"):
        verdicts = compare_runs(before, after, {**stored_thresholds(after), **given})
        if format is Format.JSON:
            text = verdicts_json(verdicts)
        else:
            text = verdict_report(verdicts, [f"Base is {_described(before)}.", f"New is {_described(after)}."])
    leave(verdicts, text, fail_on, out)


def leave(verdicts: Verdicts, text: str, fail_on: FailOn, out: Path | None) -> None:
    """Print a comparison, or write it to a file and print its verdict; then leave with the exit code of the verdict."""
    from harness.records.run_folder import write_whole
    from harness.reporting.verdicts import verdict_sentence

    if out:
        write_whole(out.expanduser(), text)
        print(verdict_sentence(verdicts).replace("*", ""), file=sys.stderr)
    else:
        sys.stdout.write(text)
    if code := exit_code(verdicts.overall, fail_on):
        raise typer.Exit(code)


def exit_code(overall: Verdict, fail_on: FailOn) -> int:
    """The exit code of a verdict."""
    if fail_on is FailOn.NEVER:
        return 0
    if overall == "regressed":
        return EXIT_REGRESSED
    return EXIT_UNDECIDED if overall == "undecided" and fail_on is FailOn.UNDECIDED else 0


def find_stored(text: str, runs_dir: Path, baselines_dir: Path) -> StoredRun:
    """A baseline by the path of its ``.json`` or by name, or a run by folder, name or ``latest``.

    Raises HarnessError where there is none, and where a name is both.
    """
    from harness.records.baselines import SUFFIX, open_baseline
    from harness.records.run_folder import RUN_FILE, find_run, open_run

    path = Path(text).expanduser()
    run = next((folder for folder in (path, runs_dir / text) if (folder / RUN_FILE).exists()), None)
    if run is None and path.suffix == SUFFIX:
        return open_baseline(path)
    kept = baselines_dir / f"{text}{SUFFIX}"
    if run is not None and kept.exists():
        raise HarnessError(f"'{text}' is a run and a baseline; say which by its path: {run} or {kept}")
    if kept.exists():
        return open_baseline(kept)
    if run is not None:
        return open_run(run)
    if text == "latest":
        return find_run(text, runs_dir)
    hints = "see: harness list runs, harness baseline list"
    raise HarnessError(f"no run '{text}' in {runs_dir} and no baseline in {baselines_dir}; {hints}")


def parse_thresholds(settings: Sequence[str] | None) -> dict[str, float]:
    """Thresholds from ``METRIC=FRACTION``. Raises HarnessError that says what was expected."""
    from harness.selection.thresholds import check_thresholds

    found = {}
    for setting in settings or ():
        metric, equals, fraction = setting.partition("=")
        try:
            found[metric.strip()] = float(fraction)
        except ValueError:
            equals = ""
        if not equals:
            raise HarnessError(f"--threshold {setting}: expected METRIC=FRACTION, such as load_seconds=0.1")
    try:
        return check_thresholds(found)
    except ValueError as error:
        raise HarnessError(f"--threshold: {error}") from None


def stored_thresholds(run: StoredRun) -> dict[str, float]:
    """The thresholds of a run's suite. Raises HarnessError where they are damaged."""
    from harness.selection.thresholds import check_thresholds

    suite: Any = run.info.get("suite")
    found = suite.get("thresholds") if isinstance(suite, dict) else None
    try:
        return check_thresholds(found or {})
    except (ValueError, AttributeError) as error:
        raise HarnessError(f"thresholds of '{run.name}': {error}") from None


def _described(run: StoredRun) -> str:
    environment = run.info.get("environment") or {}
    dirty = " with uncommitted changes" if environment.get("dirty") else ""
    suite, commit = run.info.get("suite_name"), environment.get("commit", "unknown")
    return f"`{run.name}` of suite {suite}, made {run.info.get('created')} at commit {commit}{dirty}"
