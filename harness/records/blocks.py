"""Blocks: one variant measured at several revisions side by side, as they are stored, a JSON object on a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.records.json_text import parse_json
from harness.records.store import append_lines, whole_lines

BLOCKS_FILE = "blocks.jsonl"
BASE, AGAIN, NEW = "base", "again", "new"
"""The arms of a block: the base revision twice, for what it differs from itself, and the new one."""
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Block:
    """What the arms of one block showed: metrics in their units, by arm. ``stage`` is ``look``, or ``confirm`` for
    blocks that confirm a verdict. ``disturbed`` says by what the machine was busy; such a block stands for nothing."""

    variant: str
    number: int
    arms: dict[str, dict[str, float]]
    stage: str = "look"
    seconds: float = 0.0
    control_seconds: tuple[float, ...] = ()
    disturbed: tuple[str, ...] = ()
    turns: int = 0
    passes: int = 0
    order: tuple[str, ...] = field(default_factory=tuple)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that all arms have."""
        arms = list(self.arms.values())
        return tuple(name for name in arms[0] if all(name in arm for arm in arms)) if arms else ()


class BlockStore:
    """Append-only ``blocks.jsonl`` in a folder.

    Every line is on the disk before :meth:`append` returns, and a torn last line is ignored.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / BLOCKS_FILE

    def append(self, block: Block) -> None:
        """Append a block. Raises HarnessError when the disk refuses."""
        append_lines(self.path, [json.dumps({"schema_version": _SCHEMA_VERSION, **asdict(block)}, allow_nan=False)])

    def read(self) -> list[Block]:
        """All whole blocks. Raises HarnessError that names file and line for one that is damaged."""
        return list(self._lines())

    def _lines(self) -> Iterator[Block]:
        for number, line in whole_lines(self.path):
            try:
                body = parse_json(line.decode("utf-8"))
                if body.pop("schema_version") != _SCHEMA_VERSION:
                    raise ValueError("another schema version")
                yield _block(body)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                raise HarnessError(f"{self.path}, line {number}: {error}") from error


def _block(body: dict[str, Any]) -> Block:
    """A block from JSON. Raises ValueError, TypeError, KeyError or AttributeError for what is none."""
    for name, kind in (("control_seconds", float), ("disturbed", str), ("order", str)):
        body[name] = tuple(body[name])
        _expect(all(isinstance(each, kind) for each in body[name]), name)
    found = Block(**body)
    whole = all(type(each) is int and each >= 0 for each in (found.number, found.turns, found.passes))
    _expect(whole, "number, turns or passes")
    _expect(isinstance(found.variant, str) and isinstance(found.stage, str), "variant or stage")
    readings = [found.seconds, *(value for arm in found.arms.values() for value in arm.values())]
    _expect(all(type(each) in (float, int) and math.isfinite(each) for each in readings), "seconds or arms")
    return found


def _expect(as_written: bool, what: str) -> None:
    if not as_written:
        raise ValueError(f"{what} is not as harness writes it")
