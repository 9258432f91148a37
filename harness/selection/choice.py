"""The choice among variants: the best at what is wanted most, and who is as good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.records.rows import Row
from harness.selection.comparison import TOKENIZER_BOUND, Comparison, compare
from harness.selection.pareto import Dominance, axes
from harness.selection.scores import UseCase, compare_by, score, sign

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Choice:
    """Numbers of variants: who is chosen, and who else is ``tied``, as good at what is wanted most as far as the data
    can tell; each with the first tie breaker at which the choice is better, empty where it is so at none."""

    chosen: int
    tied: dict[int, str] = field(default_factory=dict)


class Contest:
    """Variants that compete for a use case. Sensitivity asks for the choice among many parts of them, so comparisons of
    pairs are kept. All of ``rows`` must have what is wanted most."""

    def __init__(self, rows: Sequence[Row], use_case: UseCase) -> None:
        self.rows, self.use_case = tuple(rows), use_case
        self.scores = np.array([_score(row, use_case) for row in rows], dtype=np.float64)
        self.axes = axes(use_case, rows)
        self.dominance = Dominance(rows, self.axes)
        self._tied: dict[int, tuple[Mask, Mask]] = {}
        self._compared: dict[tuple[str, int, int], Comparison | None] = {}
        self._chosen: dict[bytes, Choice | None] = {}

    def everyone(self) -> Mask:
        """All variants."""
        return np.ones(len(self.rows), dtype=np.bool_)

    def comparable(self, among: Mask) -> bool:
        """Whether no two of them differ in the tokenizer where what is wanted most depends on it."""
        if not self._by_tokenizer():
            return True
        return len({self.rows[at].subject.tokenizer_hash for at in np.flatnonzero(among).tolist()}) <= 1

    def like(self, at: int) -> tuple[Row, ...]:
        """The rows that may be held against one: all, or those of its tokenizer where what is wanted most depends on
        it."""
        mine = self.rows[at].subject.tokenizer_hash
        return tuple(row for row in self.rows if row.subject.tokenizer_hash == mine or not self._by_tokenizer())

    def _by_tokenizer(self) -> bool:
        return bool(set(self.use_case.measures) & set(TOKENIZER_BOUND))

    def choose(self, among: Mask) -> Choice | None:
        """The variant that scores best. Those that cannot be told from it are tied; of them, those that nothing on the
        Pareto front dominates are handed from one tie breaker to the next, and of those that are left the best score
        wins; equal ones by the order of the suite. None for nobody, and where tokenizers forbid to compare."""
        key = among.tobytes()
        if key not in self._chosen:
            self._chosen[key] = self._choose(among) if among.any() and self.comparable(among) else None
        return self._chosen[key]

    def _choose(self, among: Mask) -> Choice:
        numbers = np.flatnonzero(among)
        best = int(numbers[self.scores[numbers].argmax()])
        group = self._tied_with(best, among)
        if len(group) == 1:
            return Choice(best)
        dominated = self.dominance.dominators(among, group)
        left = sorted((at for at in group if at not in dominated), key=lambda at: -self.scores[at])
        chosen = self._break_tie(left)
        return Choice(chosen, {at: self._decider(at, chosen) for at in group if at != chosen})

    def _tied_with(self, best: int, among: Mask) -> list[int]:
        """The best and those that cannot be told from it at what is wanted most."""
        if best not in self._tied:
            itself = np.arange(len(self.rows)) == best
            self._tied[best] = itself.copy(), itself
        known, tied = self._tied[best]
        for at in np.flatnonzero(among & ~known).tolist():
            known[at] = True
            tied[at] = not told_apart(compare_by(self.use_case, self.rows[at], self.rows[best]))
        return np.flatnonzero(among & tied).tolist()

    def _break_tie(self, left: list[int]) -> int:
        for metric in self.use_case.tie_breakers:
            measured = [at for at in left if metric in self.rows[at].metrics]
            hashes = {self.rows[at].subject.tokenizer_hash for at in measured}
            if len(left) == 1 or not measured or (metric in TOKENIZER_BOUND and len(hashes) > 1):
                continue
            winner = max(measured, key=lambda at: sign(metric) * (self.rows[at].value(metric) or 0.0))
            kept = [at for at in measured if at == winner or not told_apart(self._compare_at(metric, at, winner))]
            left = kept if len(kept) < len(measured) else left
        return left[0]

    def _decider(self, at: int, chosen: int) -> str:
        for metric in self.use_case.tie_breakers:
            comparison = self._compare_at(metric, at, chosen)
            if comparison is not None and told_apart(comparison):
                gain = (self.rows[chosen].value(metric) or 0.0) - (self.rows[at].value(metric) or 0.0)
                if sign(metric) * gain > 0:
                    return metric
        return ""

    def _compare_at(self, metric: str, at: int, other: int) -> Comparison | None:
        key = metric, at, other
        if key not in self._compared:
            self._compared[key] = compare(self.rows[at], self.rows[other], metric)
        return self._compared[key]


def told_apart(comparison: Comparison | None) -> bool:
    """Whether the better one by its value is so by the interval; without one (too few rounds) values decide. What
    cannot be compared is no tie."""
    if comparison is None:
        return True
    if comparison.ratio.low is None:
        return comparison.ratio.value != 1.0
    return comparison.better is True


def _score(row: Row, use_case: UseCase) -> float:
    found = score(row, use_case)
    return -math.inf if found is None else found
