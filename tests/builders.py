"""Subjects, records and rows made by hand, for tests of everything that reads them."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.records.blocks import AGAIN, BASE, NEW, Block
from harness.records.record import Fact, Record, Subject
from harness.records.rows import Row
from harness.records.values import Value
from harness.reporting.table import Cell, Column, Table
from harness.stats.intervals import Estimate, clustered_ratio, clustered_share, exponential, median_estimate

BYTES_A_TOKEN = 4
TOKENS_A_WORD = 2
BLOCKS = {"protocol": "block", "block_size": 128, "joined_by": "nothing", "BOS": "none", "batch_size": 8}
"""A protocol as perplexities carry it."""
_WEIGHTS = {"word_perplexity": "words", "byte_perplexity": "bytes", "bits_per_byte": "bytes"}


def make_subject(
    variant: str = "mini/torch/fp32/cpu",
    family: str = "causal",
    origin: str = "trained",
    tokenizer: str = "tokenizer-1",
    weights: str = "weights-1",
) -> Subject:
    """The subject of a variant; a name without slashes is a candidate on its own, and what follows ``@`` is a kind of
    machine."""
    way, _, machine = variant.partition("@")
    candidate, *rest = way.split("/")
    engine, precision, device = rest or ("", "", "")
    return Subject(variant, candidate, family, origin, engine, precision, device, weights, tokenizer, machine)


def make_record(
    subject: Subject | None = None,
    task: str = "task-1",
    kind: str = "score",
    fact: Fact | None = None,
    facts: int = 0,
    **other: Any,
) -> Record:
    """A record of run ``run-1``, good unless told otherwise."""
    other.setdefault("status", "ok")
    return Record("run-1", task, kind, subject or make_subject(), environment="env-1", fact=fact, facts=facts, **other)


def make_task(
    kind: str,
    subject: Subject,
    *facts: Fact,
    round: int | None = None,
    status: str = "ok",
    reason: str = "",
    conditions: Mapping[str, Any] | None = None,
) -> list[Record]:
    """All records of a task that closed: its facts, then the closing record, which holds its conditions."""
    task = f"{kind} {subject.variant} {round}"
    how = {"round": round, "status": status, "reason": reason, "conditions": dict(conditions or {})}
    closing = make_record(subject, task, kind, facts=len(facts), **how)
    return [*(make_record(subject, task, kind, fact, round=round, status=status) for fact in facts), closing]


def document_sums(nats: Sequence[float], tokens: int = 100) -> list[dict[str, float]]:
    """The sums of documents of ``tokens`` tokens each, as quality facts keep them."""
    sizes = {"tokens": tokens, "bytes": tokens * BYTES_A_TOKEN, "words": tokens // TOKENS_A_WORD}
    return [{"document": index, "nll": each, **sizes} for index, each in enumerate(nats)]


def quality_fact(metric: str, nats: Sequence[float], tokens: int = 100, **protocol: Any) -> Fact:
    """A fact about a text from the nats of each document, under protocol ``block`` with what is given changed; where
    ``protocol`` itself is given, under that one instead."""
    about = {**({} if "protocol" in protocol else BLOCKS), **protocol, "tokens_scored": tokens * len(nats)}
    return _fact(metric, _quality(metric, nats, tokens), document_sums(nats, tokens), about)


def item_fact(metric: str, totals: Sequence[float], weights: Sequence[float] | None = None) -> Fact:
    """A fact about items from what each document adds: right answers or bits, over ``weights`` items, bytes or letters,
    ten unless told otherwise. Each document has ten items."""
    weights = weights or [10.0] * len(totals)
    total_name, weight_name = ("correct", "items") if "accuracy" in metric else ("bits", "bytes")
    if "per_char" in metric:
        weight_name = "characters"
    sums = [
        {"document": index, total_name: total, weight_name: weight}
        for index, (total, weight) in enumerate(zip(totals, weights, strict=True))
    ]
    about = {"items": 10 * len(totals), "clusters": len(totals), "unknown_tokens": 0}
    interval = clustered_share if total_name == "correct" else clustered_ratio
    return _fact(metric, interval(totals, weights), sums, about)


def single(value: float) -> Value:
    """A metric that was read once."""
    return Value(Estimate(value, None, None, 1, ""))


def timed(readings: Sequence[float], first_round: int = 0) -> Value:
    """A metric with one reading a round."""
    return Value(median_estimate(readings), dict(enumerate(readings, first_round)))


def scored(metric: str, nats: Sequence[float], tokens: int = 100, first_document: int = 0, **protocol: Any) -> Value:
    """A metric of a text from the nats of each document."""
    return _value(quality_fact(metric, nats, tokens, **protocol), first_document)


def answered(metric: str, totals: Sequence[float], weights: Sequence[float] | None = None) -> Value:
    """A metric of items from what each document adds; see ``item_fact``."""
    return _value(item_fact(metric, totals, weights))


def make_row(
    variant: str = "mini/torch/fp32/cpu",
    metrics: Mapping[str, Value] | None = None,
    family: str = "causal",
    tokenizer: str = "tokenizer-1",
    status: str = "ok",
    reason: str = "",
) -> Row:
    """A row with these metrics."""
    return Row(make_subject(variant, family, tokenizer=tokenizer), status, reason, dict(metrics or {}))


def a_block(
    number: int = 0,
    base: Mapping[str, float] | None = None,
    new: Mapping[str, float] | None = None,
    again: Mapping[str, float] | None = None,
    variant: str = "mini/torch/fp32/cpu",
    **other: Any,
) -> Block:
    """A block of three arms by metric, ``again`` and ``new`` as base where nothing else is told."""
    before = dict(base or {"decode_tokens_per_second": 100.0})
    other.setdefault("control_seconds", (0.01, 0.01))
    arms = {BASE: before, AGAIN: dict(again or before), NEW: dict(before if new is None else new)}
    return Block(variant, number, arms, **other)


def plainly(table: Table | None) -> Table:
    """A table with its headers as bare titles and its cells as bare text, whatever their unit and whether they are the
    best."""
    assert table is not None
    headers = tuple(header.title if isinstance(header, Column) else header for header in table.headers)
    lines = tuple(tuple(cell.text if isinstance(cell, Cell) else cell for cell in line) for line in table.lines)
    return Table(headers, lines, table.left)


def git(folder: Path, *words: str) -> str:
    """What git prints in a folder, as somebody whom no settings of the machine touch."""
    author = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *author, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def git_repository(folder: Path, *commits: Mapping[str, str]) -> None:
    """A new repository with one commit for each table of files by path."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for files in commits:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "a change")


def _quality(metric: str, nats: Sequence[float], tokens: int) -> Estimate:
    weights = [sums[_WEIGHTS.get(metric.removeprefix("unigram_"), "tokens")] for sums in document_sums(nats, tokens)]
    if metric.endswith("bits_per_byte"):
        return clustered_ratio([each / math.log(2) for each in nats], weights)
    return exponential(clustered_ratio(nats, weights))


def _fact(metric: str, estimate: Estimate, sums: list[dict[str, float]], protocol: dict[str, Any]) -> Fact:
    return Fact(metric, estimate.value, estimate.low, estimate.high, estimate.method, estimate.n, sums, protocol)


def _value(fact: Fact, first_document: int = 0) -> Value:
    assert fact.value is not None
    documents = {int(sums["document"]) + first_document: sums for sums in fact.samples}
    return Value(Estimate(fact.value, fact.low, fact.high, fact.n, fact.interval), {}, documents, fact.protocol)
