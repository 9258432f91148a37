"""All plots of a run."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.record import Record
from harness.records.rows import Row
from harness.reporting.plots.bars import bar_plots
from harness.reporting.plots.latencies import latency_plots
from harness.reporting.plots.limits import limit_plots
from harness.reporting.plots.pareto import pareto_plots
from harness.reporting.plots.sweeps import sweep_plots
from harness.reporting.plots.theme import Plot
from harness.reporting.plots.training import training_plots


def plots(records: Sequence[Record], rows: Sequence[Row]) -> list[Plot]:
    """The plots of a run in the order of its report; only of what was measured. Names differ from one another."""
    return [
        *pareto_plots(rows),
        *bar_plots(rows),
        *latency_plots(rows),
        *sweep_plots(records),
        *limit_plots(rows),
        *training_plots(records),
    ]
