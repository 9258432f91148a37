"""What is read of a measured run, wherever it is kept."""

from __future__ import annotations

from typing import Any, Protocol

from harness.records.record import Record


class StoredRun(Protocol):
    """A run's folder or a baseline."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def info(self) -> dict[str, Any]:
        """What ``run.json`` says."""

    def records(self) -> list[Record]:
        """Records of finished tasks."""
