"""The Pareto front: variants of which no other is as good at everything and surely better at something."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.records.rows import Row
from harness.selection.comparison import TOKENIZER_BOUND, compare
from harness.selection.scores import UseCase, sign

MEMORY = "peak_memory_bytes"
SPEED = {"causal": "decode_tokens_per_second", "masked": "encode_tokens_per_second",
         "seq2seq": "decode_tokens_per_second"}  # fmt: skip
"""The speed of what each family does."""
_DIGITS = 6
"""Decimals of a logarithm: what differs by less than a millionth is equal."""


def axes(use_case: UseCase, rows: Sequence[Row]) -> tuple[str, ...]:
    """What a use case is a trade of: what it wants most, what breaks its ties, speed and peak memory, as far as any of
    ``rows`` has them.

    Speed is that of its families; where they do different things, decoding and encoding, there is none in common.
    """
    speeds = {SPEED[family] for family in use_case.families}
    common = speeds if len(speeds) == 1 else ()
    wanted = dict.fromkeys([*use_case.measures, *use_case.tie_breakers, *common, MEMORY])
    return tuple(metric for metric in wanted if any(metric in row.metrics for row in rows))


def front(rows: Sequence[Row], metrics: Sequence[str]) -> tuple[Row, ...]:
    """The rows that have all ``metrics`` and that no other on the front dominates; see :class:`Dominance`."""
    dominated = Dominance(rows, metrics).dominators()
    return tuple(
        row for at, row in enumerate(rows) if at not in dominated and all(metric in row.metrics for metric in metrics)
    )


def dominated_by(row: Row, rows: Sequence[Row], metrics: Sequence[str]) -> Row | None:
    """Which row on the front of ``rows`` dominates a row, None where none does; see :class:`Dominance`."""
    everyone = [row, *(other for other in rows if other is not row)]
    by = Dominance(everyone, metrics).dominators().get(0)
    return None if by is None else everyone[by]


class Dominance:
    """Who dominates whom among rows, at ``metrics``.

    A dominates B where its value is at least as good in each metric, and in at least one it is better by its value and
    by the paired interval. Values are ordered, so there are no cycles; what cannot be told apart dominates nothing. A
    row that lacks a metric neither dominates nor is dominated, and perplexities a token are held against those of the
    same tokenizer only.

    What is told by intervals need not carry over: A may dominate B and B dominate C, and A not surely C. So the front
    is made of those that no row *on the front* dominates, from the best on: then every other row has a row on the front
    that dominates it, and a row that is dominated by one on the front can come or go without changing the front. (It
    is the kernel of the graph of dominance; a graph without cycles has exactly one.)
    """

    def __init__(self, rows: Sequence[Row], metrics: Sequence[str]) -> None:
        self._rows, self._metrics = tuple(rows), tuple(metrics)
        self._values = _signed(rows, metrics)
        # by number: which values are at least as good as all of a row's, and better than one
        tokenizers = _tokenizers(rows, metrics)
        as_good, better = np.ones((2, len(rows), len(rows)), dtype=np.bool_)
        better[:] = False
        for column in self._values.T:
            as_good &= column[None, :] >= column[:, None]
            better |= column[None, :] > column[:, None]
        self._may = as_good & better & (tokenizers[None, :] == tokenizers[:, None])
        # one that dominates another comes before it: its first value that differs is greater
        self._order = np.lexsort(-self._values.T[::-1]) if metrics else np.arange(len(rows))
        self._above: dict[int, list[int]] = {}
        self._sure: dict[tuple[int, int], bool] = {}

    def dominators(self, among: NDArray[np.bool_] | None = None, of: Sequence[int] | None = None) -> dict[int, int]:
        """By number of a row that is dominated, that of one on the front that dominates it: of rows ``among`` all, or
        of the rows ``of`` among them and what may dominate these. Intervals are made only for pairs whose values allow
        dominance, the widest gap first."""
        asked = np.ones(len(self._rows), dtype=np.bool_) if among is None else among.copy()
        if of is not None:
            wanted = self._may[list(of)].any(axis=0)
            wanted[list(of)] = True
            asked &= wanted
        found: dict[int, int] = {}
        front: set[int] = set()
        for at in self._order[asked[self._order]].tolist():
            by = next((other for other in self._ranked(at) if other in front and self._surely(at, other)), None)
            if by is None:
                front.add(at)
            else:
                found[at] = by
        return found

    def _ranked(self, at: int) -> list[int]:
        """Those whose values allow them to dominate a row, the widest gap first."""
        if at not in self._above:
            others = np.flatnonzero(self._may[at])
            with np.errstate(invalid="ignore"):
                gaps = self._values[others] - self._values[at]
            widest = np.where(np.isnan(gaps), 0.0, gaps).max(axis=1) if len(others) else np.zeros(0)
            self._above[at] = others[np.argsort(-widest, kind="stable")].tolist()
        return self._above[at]

    def _surely(self, base: int, new: int) -> bool:
        if (base, new) not in self._sure:
            self._sure[base, new] = _better_at_something(self._rows[base], self._rows[new], self._metrics)
        return self._sure[base, new]


def _better_at_something(base: Row, new: Row, metrics: Sequence[str]) -> bool:
    """Whether a row whose values are at least as good is better in one of them beyond doubt."""
    for metric in metrics:
        before, after = base.value(metric), new.value(metric)
        if before is None or after is None or sign(metric) * (after - before) <= 0:
            continue
        comparison = compare(base, new, metric)
        if comparison is not None and comparison.better:
            return True
    return False


def _signed(rows: Sequence[Row], metrics: Sequence[str]) -> NDArray[np.float64]:
    """Rows × metrics on the logarithmic scale, more is better; not a number where one is missing. Rounded, because an
    export computes the same in another order."""
    table = np.full((len(rows), len(metrics)), math.nan)
    for at, row in enumerate(rows):
        for column, metric in enumerate(metrics):
            value = row.value(metric)
            if value is not None:
                table[at, column] = sign(metric) * (math.log(value) if value > 0 else -math.inf)
    return np.round(table, _DIGITS)


def _tokenizers(rows: Sequence[Row], metrics: Sequence[str]) -> NDArray[np.intp]:
    """A number for the tokenizer of each row, the same for all where the metrics do not depend on it."""
    if not set(metrics) & set(TOKENIZER_BOUND):
        return np.zeros(len(rows), dtype=np.intp)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(row.subject.tokenizer_hash for row in rows))}
    return np.array([numbers[row.subject.tokenizer_hash] for row in rows], dtype=np.intp)
