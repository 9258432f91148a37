"""How long the tasks that are left will take: first guesses, corrected by what has been seen."""

from __future__ import annotations

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
    """Seconds by task. A task that has run stands for those of its kind and variant, else for those of its kind."""

    def __init__(self, tasks: Sequence[Task], cache_dir: Path, corpus_hash: str) -> None:
        self._left = {task.hash: task for task in tasks}
        self._store, self._corpus_hash = ArtefactStore(cache_dir), corpus_hash
        self._cached: dict[str, bool] = {}
        self._seen: dict[tuple[str, str], float] = {}

    def of(self, task: Task) -> float:
        """Seconds that a task is expected to take."""
        if task.kind == "candidate" and task.candidate is not None:
            return self._preparing(task.candidate)
        for key in ((task.kind, task.subject.variant), (task.kind, "")):
            if key in self._seen:
                return self._seen[key]
        return _GUESS_SECONDS[task.kind]

    def left(self) -> float:
        """Seconds that all tasks that have not ended will take, together."""
        return sum(self.of(task) for task in self._left.values())

    def end(self, task: Task, seconds: float, ok: bool) -> None:
        """A task has ended."""
        self._left.pop(task.hash, None)
        if not ok:
            self._left = {name: other for name, other in self._left.items() if task.hash not in other.needs}
        if ok:
            self._seen[(task.kind, task.subject.variant)] = seconds
            self._seen[(task.kind, "")] = seconds

    def _preparing(self, candidate: Candidate) -> float:
        spec = candidate.spec
        if candidate.name not in self._cached:
            description = candidate.description(self._corpus_hash)
            place = self._store.place("checkpoints", candidate.name, description)
            self._cached[candidate.name] = bool(spec.path) or (place / MANIFEST).exists()
        if self._cached[candidate.name]:
            return _CACHED_SECONDS
        if (recipe := spec.training) is None:
            return _GUESS_SECONDS["candidate"]
        bounds = [recipe.tokens, recipe.max_steps and recipe.max_steps * recipe.batch_size * recipe.block_size]
        tokens = min((each for each in bounds if each), default=0)
        return tokens / _TRAINING_TOKENS_PER_SECOND if tokens else _GUESS_SECONDS["candidate"]
