"""How long the tasks that are left will take: first guesses, corrected by what has been seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.candidates.artefacts import MANIFEST, ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.execution.plan import Task

_GUESS_SECONDS = {"candidate": 60.0, "variant": 10.0, "score": 8.0, "memory": 2.0, "limits": 8.0, "load": 1.0,
                  "time": 2.5}  # fmt: skip
_CACHED_SECONDS = 2.0
_TRAINING_TOKENS_PER_SECOND = 3000.0


class Estimate:
    """Seconds by task. A task that has run stands for those of its kind and variant, else for those of its kind.

    What is left is kept as counts by kind and variant with a sum a kind, so that a task that begins or ends costs the
    same however many there are.
    """

    def __init__(self, tasks: Sequence[Task], cache_dir: Path, corpus_hash: str) -> None:
        self._store, self._corpus_hash = ArtefactStore(cache_dir), corpus_hash
        self._left = {task.hash: task for task in tasks}
        self._waiting: dict[str, list[Task]] = {}
        self._candidates: dict[str, float] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._unseen: Counter[str] = Counter()
        self._seen: dict[tuple[str, str], float] = {}
        self._kinds: dict[str, float] = {}
        self._known_seconds = 0.0
        for task in self._left.values():
            for need in task.needs:
                self._waiting.setdefault(need, []).append(task)
            if task.kind == "candidate":
                self._known_seconds += self.of(task)
            else:
                self._counts[task.kind, task.subject.variant] += 1
                self._unseen[task.kind] += 1

    def of(self, task: Task) -> float:
        """Seconds that a task is expected to take."""
        if task.kind == "candidate" and task.candidate is not None:
            name = task.candidate.name
            if name not in self._candidates:
                self._candidates[name] = self._preparing(task.candidate)
            return self._candidates[name]
        guess = self._kinds.get(task.kind, _GUESS_SECONDS[task.kind])
        return self._seen.get((task.kind, task.subject.variant), guess)

    def left(self) -> float:
        """Seconds that all tasks that have not ended will take, together."""
        unseen = sum(
            count * self._kinds.get(kind, _GUESS_SECONDS[kind]) for kind, count in self._unseen.items() if count
        )
        return max(self._known_seconds, 0.0) + unseen  # sums of floats that come and go may end just below 0

    def end(self, task: Task, seconds: float, ok: bool) -> None:
        """A task has ended."""
        self._drop(task)
        if not ok:
            for other in self._waiting.get(task.hash, ()):
                self._drop(other)
        elif task.kind != "candidate":
            self._learn(task, seconds)

    def _drop(self, task: Task) -> None:
        if self._left.pop(task.hash, None) is None:
            return
        key = (task.kind, task.subject.variant)
        if task.kind != "candidate":
            self._counts[key] -= 1
        if task.kind == "candidate" or key in self._seen:
            self._known_seconds -= self.of(task)
        else:
            self._unseen[task.kind] -= 1

    def _learn(self, task: Task, seconds: float) -> None:
        """Tasks of the kind and variant now take these seconds, and so do those of the kind that know no better."""
        key = (task.kind, task.subject.variant)
        count = self._counts[key]
        if key in self._seen:
            self._known_seconds -= count * self._seen[key]
        else:
            self._unseen[task.kind] -= count
        self._seen[key] = self._kinds[task.kind] = seconds
        self._known_seconds += count * seconds

    def _preparing(self, candidate: Candidate) -> float:
        spec = candidate.spec
        description = candidate.description(self._corpus_hash)
        place = self._store.place("checkpoints", candidate.name, description)
        if spec.path or (place / MANIFEST).exists():
            return _CACHED_SECONDS
        if (recipe := spec.training) is None:
            return _GUESS_SECONDS["candidate"]
        bounds = [recipe.tokens, recipe.max_steps and recipe.max_steps * recipe.batch_size * recipe.block_size]
        tokens = min((each for each in bounds if each), default=0)
        return tokens / _TRAINING_TOKENS_PER_SECOND if tokens else _GUESS_SECONDS["candidate"]
