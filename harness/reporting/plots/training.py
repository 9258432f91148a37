"""Training curves: losses by tokens seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.language.say import say
from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.records.units import quantity
from harness.reporting.plots.legend import Key, Sign
from harness.reporting.plots.lines import MOST, Line, names_width, paint_lines
from harness.reporting.plots.sheet import Sheet, draw
from harness.reporting.plots.theme import INK, MUTED, Plot, cropped, line_look
from harness.reporting.plots.ticks import linear_ticks, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_STEPS = 200
"""Points of a curve of training losses at most; further steps are averaged."""


@dataclass(frozen=True)
class Curve:
    """A candidate's losses in nats a token by tokens seen, and the loss of word frequencies where it is known."""

    validation: Line
    training: tuple[tuple[float, float], ...]
    unigram: float | None


def training_plots(records: Sequence[Record]) -> list[Plot]:
    """A plot a family of the validation loss of each candidate that was trained, and of its training loss.

    Losses of different families are different quantities. The training loss of a student is that of its distillation,
    which is another one again, and is not drawn.
    """
    plots = []
    titles = {
        "causal": say("Training of causal models"),
        "masked": say("Training of masked models"),
        "seq2seq": say("Training of sequence-to-sequence models"),
    }
    for family, title in titles.items():
        curves = _curves([record for record in records if record.subject.family == family])
        if curves:
            plots.append(_plot(f"training-{family}", title, curves))
    return plots


def _curves(records: Sequence[Record]) -> list[Curve]:
    """The curves of a family's candidates, each once."""
    facts: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.fact is not None and record.fact.metric in ("validation_loss", "training_loss"):
            facts.setdefault(record.subject.candidate, {})[record.fact.metric] = record.fact
    curves = []
    for candidate, found in facts.items():
        validation = found.get("validation_loss")
        points = _points(validation.samples) if validation else ()
        if validation is None or not points:
            continue
        lowest = quantity(min(loss for _, loss in points), METRICS["validation_loss"].unit)
        words = say("lowest validation loss: {loss}", loss=lowest)
        distilled = bool(validation.protocol.get("teacher"))
        steps = _points(found["training_loss"].samples) if "training_loss" in found and not distilled else ()
        unigram = validation.protocol.get("unigram_loss")
        curves.append(Curve(Line(candidate, points, words), averaged(steps), float(unigram) if unigram else None))
    return curves


def averaged(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """A curve of at most 200 points, each the mean of as many neighbours."""
    width = -(-len(points) // _MOST_STEPS) or 1
    parts = [points[start : start + width] for start in range(0, len(points), width)]
    return tuple((sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts)


def _plot(name: str, title: str, curves: list[Curve]) -> Plot:
    lowest = sorted(curves, key=lambda curve: min(loss for _, loss in curve.validation.points))[:MOST]
    shown = [curve for curve in curves if curve in lowest]
    missing = len(curves) - len(shown)
    steps = any(curve.training for curve in shown)
    floors = sorted({round(curve.unigram, 6) for curve in shown if curve.unigram is not None})
    signs = [Sign(say("validation loss"), INK, "o", line="-")]
    signs += [Sign(say("training loss"), MUTED, line="-")] if steps else []
    signs += [Sign(say("word frequencies alone"), INK, line="--")] if floors else []
    less = say("Lower is better.")
    dropped = (
        say("The lowest {shown} curves are drawn; left out: {count}.", shown=MOST, count=missing) if missing else ""
    )
    sheet = Sheet(
        name=name,
        title=title,
        alt=_alt(shown),
        how_to_read=" ".join(filter(None, (less, dropped))),
        keys=(Key("", tuple(signs)),),
        right=names_width([curve.validation for curve in shown]),
        height=270,
    )

    def paint(axes: Axes) -> None:
        every = [point for curve in shown for point in (*curve.validation.points, *curve.training)]
        losses = [loss for _, loss in every] + floors
        margin = 0.06 * (max(losses) - min(losses)) or 0.1
        tokens = max(seen for seen, _ in every)
        linear_ticks(axes, "x", 0, tokens * 1.03 or 1.0, "")
        unit = linear_ticks(axes, "y", min(losses) - margin, max(losses) + margin, METRICS["validation_loss"].unit)
        axes.set_xlabel(say("tokens seen"))
        axes.set_ylabel(with_unit(say("loss"), unit), rotation_mode="anchor")
        axes.grid(axis="y")
        for floor in floors:
            axes.axhline(floor, color=INK, linewidth=1.1, linestyle=(0, (5, 3)))
        for index, curve in enumerate(shown):
            if curve.training:
                colour = line_look(index)["color"]
                axes.plot(*zip(*curve.training, strict=True), color=colour, linewidth=0.8, alpha=0.55, zorder=2)
        paint_lines(axes, [curve.validation for curve in shown])

    return draw(sheet, paint)


def _points(samples: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    """Tokens and losses of samples that have both, in order of tokens."""
    found = [each for each in samples if isinstance(each, dict) and "tokens" in each and "loss" in each]
    return tuple(sorted((float(each["tokens"]), float(each["loss"])) for each in found))


def _alt(shown: Sequence[Curve]) -> str:
    unit = METRICS["validation_loss"].unit
    parts = [
        say(
            "{candidate} from {first} to {last}",
            candidate=cropped(curve.validation.name, 60),
            first=quantity(curve.validation.points[0][1], unit),
            last=quantity(curve.validation.points[-1][1], unit),
        )
        for curve in shown
    ]
    return say("Validation loss by tokens seen: {curves}.", curves=say("; ").join(parts))
