"""The plan: a suite as an ordered list of tasks, each named by a hash of everything that it depends on."""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.candidates.catalogue import Candidate, resolve
from harness.corpora.corpus import Corpus
from harness.engines.catalogue import engine_kind
from harness.errors import HarnessError
from harness.items.blimp import BlimpPairs
from harness.records.environment import Environment
from harness.records.hashing import code_digest, digest, short
from harness.records.record import Subject
from harness.suites.loader import split_variant
from harness.suites.schema import Suite

Kind = Literal["candidate", "variant", "score", "memory", "limits", "load", "time"]

WORDS: dict[Kind, str] = {
    "candidate": "prepare",
    "variant": "prepare",
    "score": "score",
    "memory": "measure memory of",
    "limits": "measure limits of",
    "load": "load from disk",
    "time": "time",
}
Crossed = tuple[Candidate, str, str, str, str]
"""A candidate with the engine, precision, device and kind of machine of a variant of it."""
_SHOWN = 12
"""Variants that an error names."""
ROUND: tuple[Kind, ...] = ("load", "time")
"""What a round does with each variant, in this order."""
CODE = ("training", "corpora", "candidates", "items", "quality", "speed", "engines", "execution", "stats")


@dataclass(frozen=True)
class Task:
    """One unit of work in one worker process. ``needs`` are hashes of tasks that must have been prepared first.
    ``candidate`` is None where the machine itself is measured."""

    kind: Kind
    candidate: Candidate | None
    subject: Subject
    hash: str
    needs: tuple[str, ...] = ()
    round: int | None = None

    @property
    def label(self) -> str:
        """What is being done, for people."""
        suffix = "" if self.round is None else f", round {self.round + 1}"
        return f"{WORDS[self.kind]} {self.subject.variant}{suffix}"


@dataclass(frozen=True)
class Plan:
    """Tasks in the order they are done: candidates, variants, scores, memory, the limits of each device of each kind of
    machine, then rounds, in which each variant is loaded from disk and timed."""

    suite: Suite
    tasks: tuple[Task, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of all variants, in order."""
        return tuple(task.subject.variant for task in self.tasks if task.kind == "variant")


def make_plan(
    suite: Suite,
    corpus: Corpus,
    environment: Environment,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    blimp: BlimpPairs | None = None,
    here: bool = True,
) -> Plan:
    """Lay out a suite's tasks. ``only`` and ``skip`` are shell patterns of variants. Not ``here``, where tasks run on
    the nodes of a cluster, it does not matter what this machine can run.

    Raises HarnessError when nothing is left to do, or when a pattern matches no variant.
    """
    wanted = wanted_variants(suite, only, skip, here)
    used = _with_teachers([candidate for candidate, *_ in wanted])
    base = {"environment": environment.hash, "code": code_digest(*CODE)}
    preparing: dict[str, Task] = {}
    for each in used:
        preparing[each.name] = _prepare_candidate(each, corpus, base, preparing)
    variants = [_prepare_variant(*crossed, preparing[crossed[0].name]) for crossed in wanted]
    asked = [suite.evaluation, suite.items, suite.generation]
    scoring = {
        "tables": [each.model_dump() for each in asked],
        "blimp": blimp.hash if blimp else "",
        "prompt_tokens": suite.timing.prompt_tokens,
    }
    scores = [_measure(task, "score", scoring) for task in variants]
    timing = suite.timing.model_dump()
    memory = [_measure(task, "memory", timing) for task in variants]
    limits = [_measure_machine(*place, base) for place in _usable_places(wanted, here)]
    rounds = []
    shuffler = random.Random(suite.seed)
    for number in range(suite.rounds):
        order = list(variants)
        shuffler.shuffle(order)
        rounds += [_measure(task, kind, timing, number) for task in order for kind in ROUND]
    return Plan(suite, (*preparing.values(), *variants, *scores, *memory, *limits, *rounds))


def wanted_variants(
    suite: Suite, only: Sequence[str] = (), skip: Sequence[str] = (), here: bool = True
) -> list[Crossed]:
    """Candidates crossed with variants, less what patterns leave out; see :func:`make_plan` for the errors."""
    candidates = [resolve(name, suite.candidate) for name in suite.candidates]
    wanted = _selected(_cross(candidates, suite), only, skip, suite.skip)
    _refuse_the_impossible(wanted, here)
    return wanted


def variant_name(candidate: str, engine: str, precision: str, device: str, machine: str = "") -> str:
    """How a variant is written everywhere: ``gpt2-mini/onnxruntime/int8/cpu``, and ``@small`` behind it where a kind of
    machine is asked for."""
    return f"{candidate}/{engine}/{precision}/{device}" + (f"@{machine}" if machine else "")


def _cross(candidates: Sequence[Candidate], suite: Suite) -> list[Crossed]:
    ways = [split_variant(variant, suite.device) for variant in suite.variants]
    return [(candidate, *way) for candidate in candidates for way in ways]


def _selected(
    crossed: list[Crossed], only: Sequence[str], skip: Sequence[str], suite_skip: Sequence[str]
) -> list[Crossed]:
    named = {variant_name(crossing[0].name, *crossing[1:]): crossing for crossing in crossed}
    for pattern in (*only, *skip):
        if not any(_matches(name, pattern) for name in named):
            shown = list(named) if len(named) <= _SHOWN else [*list(named)[:_SHOWN], f"and {len(named) - _SHOWN} more"]
            raise HarnessError(f"the pattern '{pattern}' matches no variant; there are {', '.join(shown)}")
    left = [
        parts
        for name, parts in named.items()
        if (not only or any(_matches(name, pattern) for pattern in only))
        and not any(_matches(name, pattern) for pattern in (*skip, *suite_skip))
    ]
    if not left:
        raise HarnessError("no variant is left after 'only' and 'skip'")
    return left


def _refuse_the_impossible(wanted: list[Crossed], here: bool) -> None:
    """Raises HarnessError where nothing that was asked for can run; single variants are skipped when run."""
    reasons = [_refusal(crossed, here) for crossed in wanted]
    if all(reasons):
        raise HarnessError("; ".join(dict.fromkeys(reason for reason in reasons if reason)))


def _refusal(crossed: Crossed, here: bool) -> str | None:
    """Why a variant cannot run: here, or, on a cluster or where it asks for a kind of machine, on any."""
    candidate, engine, precision, device, machine = crossed
    kind = engine_kind(engine)
    refusal = kind.refusal if here and not machine else kind.unsupported
    return refusal(candidate.family, precision, device)


def _usable_places(wanted: list[Crossed], here: bool) -> list[tuple[str, str]]:
    """The devices and kinds of machine on which at least one of the variants can run, in order."""
    return list(dict.fromkeys(crossed[3:] for crossed in wanted if not _refusal(crossed, here)))


def _matches(name: str, pattern: str) -> bool:
    """A pattern names a whole variant, or its beginning up to a slash or to its kind of machine."""
    return any(fnmatch.fnmatchcase(name, each) for each in (pattern, f"{pattern}/*", f"{pattern}@*"))


def _with_teachers(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Each candidate once, after its teacher."""
    ordered: dict[str, Candidate] = {}

    def add(candidate: Candidate) -> None:
        if candidate.teacher:
            add(candidate.teacher)
        ordered.setdefault(candidate.name, candidate)

    for candidate in candidates:
        add(candidate)
    return list(ordered.values())


def _prepare_candidate(candidate: Candidate, corpus: Corpus, base: dict[str, str], before: Mapping[str, Task]) -> Task:
    subject = Subject(candidate.name, candidate.name, candidate.family, candidate.spec.origin)
    inputs = ["candidate", base, candidate.name, candidate.description(corpus.hash), corpus.hash]
    needs = (before[candidate.teacher.name].hash,) if candidate.teacher else ()
    return Task("candidate", candidate, subject, short(digest(inputs)), needs)


def _prepare_variant(
    candidate: Candidate, engine: str, precision: str, device: str, machine: str, before: Task
) -> Task:
    subject = Subject(
        variant=variant_name(candidate.name, engine, precision, device, machine),
        candidate=candidate.name,
        family=candidate.family,
        origin=candidate.spec.origin,
        engine=engine,
        precision=precision,
        device=device,
        machine=machine,
    )
    inputs = ["variant", before.hash, engine, precision, device, engine_kind(engine).versions(), *_asked(machine)]
    return Task("variant", candidate, subject, short(digest(inputs)), needs=(before.hash,))


def _measure(variant: Task, kind: Kind, settings: dict[str, Any], round: int | None = None) -> Task:
    inputs = [kind, variant.hash, settings, round]
    needs = (*variant.needs, variant.hash)
    return Task(kind, variant.candidate, variant.subject, short(digest(inputs)), needs, round)


def _measure_machine(device: str, machine: str, base: dict[str, str]) -> Task:
    subject = Subject("", candidate="", family="", origin="", device=device, machine=machine)
    subject = replace(subject, variant=f"machine/{subject.place}")
    return Task("limits", None, subject, short(digest(["limits", device, base, *_asked(machine)])))


def _asked(machine: str) -> list[str]:
    """What a kind of machine adds to a hash: nothing where none is asked for."""
    return [machine] if machine else []
