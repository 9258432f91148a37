"""The report of a run as Markdown, with its plots in a folder beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.records.run_folder import write_whole
from harness.records.stored_run import StoredRun
from harness.reporting.document import markdown, plots_of
from harness.reporting.report import report_blocks
from harness.selection.claims import Judged


def report(run: StoredRun, claims: Sequence[Judged] = ()) -> str:
    """The report without plots, for where there is no folder to put them."""
    return markdown(report_blocks(run, claims, plots=False), "")


def write_report(run: StoredRun, path: Path, claims: Sequence[Judged] = ()) -> None:
    """Write the report, and its plots as SVG into a folder named after it: ``cpu.md`` and ``cpu-plots/*.svg``.

    Raises HarnessError where it cannot write.
    """
    blocks = report_blocks(run, claims)
    folder = path.with_name(f"{path.stem}-plots")
    try:
        for plot in plots_of(blocks):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / f"{plot.name}.svg", plot.svg)
        write_whole(path, markdown(blocks, folder.name))
    except OSError as error:
        raise HarnessError(f"cannot write {error.filename or path}: {error.strerror or error}") from error
