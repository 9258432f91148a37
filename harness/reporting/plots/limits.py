"""How much of what the machine could do at best each variant reaches."""

from __future__ import annotations

from collections.abc import Sequence

from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.roofline import FRACTION_OF
from harness.records.rows import Row
from harness.reporting.plots.bars import bar_plot
from harness.reporting.plots.theme import Plot


def limit_plots(rows: Sequence[Row]) -> list[Plot]:
    """Bars of the fraction of the limit, a plot each for decode, prefill and encode, with a line at 100 %."""
    plots = (
        bar_plot(
            rows, metric, metric.replace("_", "-"), 1.0, say("Fraction of the limit: {speed}", speed=_title(speed))
        )
        for speed, metric in FRACTION_OF.items()
    )
    return [plot for plot in plots if plot is not None]


def _title(metric: str) -> str:
    return say(METRICS[metric].title)
