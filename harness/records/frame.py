"""Records as a pandas frame, for notebooks: ``frame(open_run(path).store.finished())``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.records.record import Record

if TYPE_CHECKING:
    import pandas


def frame(records: Iterable[Record]) -> pandas.DataFrame:
    """One line a fact: the subject's fields, the fact's fields, status, round and task."""
    import pandas

    lines = [
        {
            "task": record.task,
            "kind": record.kind,
            "round": record.round,
            "status": record.status,
            **asdict(record.subject),
            **asdict(record.fact),
        }
        for record in records
        if record.fact is not None
    ]
    return pandas.DataFrame(lines)
