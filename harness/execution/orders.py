"""What a worker is told to do, and what it tells: plain data, sent between processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint
from harness.corpora.corpus import Document
from harness.engines.base import Setup
from harness.items.questionnaire import Questionnaire
from harness.quality.family import Scoring
from harness.records.record import Fact
from harness.speed.timing import Timing


@dataclass(frozen=True)
class Prepared:
    """What a prepare task hands to the tasks that need it."""

    checkpoint: Checkpoint
    folder: Path


@dataclass(frozen=True)
class WorkOrder:
    """Everything that a worker needs: plain data, sent to another process."""

    kind: str
    candidate: Candidate
    engine: str
    setup: Setup
    cache_dir: Path
    offline: bool
    corpus_name: str
    corpus_hash: str
    documents: tuple[Document, ...]
    questions: Questionnaire
    prompt_text: str
    sample_prompt: str
    sample_tokens: int
    scoring: Scoring
    timing: Timing
    storage: str = ""
    """Where machines share artefacts; empty where they do not."""
    prepared: Prepared | None = None

    def store(self) -> ArtefactStore:
        """The cache of the machine that this is called on. Raises HarnessError where the storage cannot be used."""
        from harness.candidates.storage import Storage  # fsspec takes a quarter of a second

        return ArtefactStore(self.cache_dir, Storage.at(self.storage) if self.storage else None)


@dataclass(frozen=True)
class MachineOrder:
    """What a worker needs that measures the machine itself."""

    device: str
    threads: int


@dataclass(frozen=True)
class TrainingOrder:
    """What a worker needs that makes a candidate's checkpoint and nothing else."""

    candidate: Candidate
    corpus_name: str
    corpus_hash: str
    cache_dir: Path
    threads: int


TROUBLES = {"damaged", "storage"}
"""Conditions that are told at once: names of artefacts that were made again, and what went wrong with the storage."""


@dataclass(frozen=True)
class Outcome:
    """What a task found out, what it hands on, and under which conditions it saw itself measure (plain values)."""

    facts: list[Fact]
    prepared: Prepared | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
