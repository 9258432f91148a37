"""Replays reference numbers: the same model, text and protocol, and whether our number is theirs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate, resolve
from harness.candidates.checkpoint import load_tokenizer
from harness.candidates.published import fetch
from harness.candidates.spec import CandidateSpec
from harness.corpora.catalogue import load_corpus
from harness.corpora.corpus import Document
from harness.engines.base import Session, Setup
from harness.engines.catalogue import engine_kind
from harness.errors import HarnessError, UnavailableError
from harness.items.blimp import load_blimp
from harness.quality.family import Family, Scoring
from harness.quality.masked import Masked
from harness.quality.measures import family_of, text_facts
from harness.quality.questions import Questions
from harness.quality.windows import score_windows

Status = Literal["agrees", "differs", "not run", "failed"]


@dataclass(frozen=True)
class Reference:
    """A number of somebody else's with what is needed to measure it again; see ``quality/references.toml``."""

    name: str
    kind: str
    what: str
    measured_by: str
    candidate: str = ""
    hub: str = ""
    path: str = ""
    family: Literal["causal", "masked", "seq2seq"] = "causal"
    articles: int = 0
    scoring: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    text: str = ""
    tokens: tuple[float, ...] = ()
    total: float | None = None
    by_token: bool = False
    relative: float = 0.0
    absolute: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """One number of a reference beside ours; ``measured`` is None where it was not run, and ``reason`` says why."""

    reference: Reference
    measure: str
    expected: float | None
    measured: float | None
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Sources:
    """Where texts and models come from. ``wikitext`` is a corpus, ``blimp`` a folder, a zip or ``hub``."""

    wikitext: str
    blimp: str
    store: ArtefactStore
    offline: bool
    threads: int


def references(file: Path | None = None) -> list[Reference]:
    """The references of a file, else those that come with the package."""
    path = file or Path(str(files("harness.quality"))) / "references.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["reference"]
    return [Reference(**{**table, "tokens": tuple(table.get("tokens", ()))}) for table in tables]


def verify(reference: Reference, sources: Sources) -> list[Finding]:
    """Measure a reference again. What cannot be had here is *not run*, with the reason; what can be had but not be
    measured has *failed*."""
    try:
        return list(_KINDS[reference.kind](reference, sources))
    except UnavailableError as error:
        return [Finding(reference, "", None, None, "not run", str(error))]
    except HarnessError as error:
        return [Finding(reference, "", None, None, "failed", str(error))]


def _corpus(reference: Reference, sources: Sources) -> Iterator[Finding]:
    articles = _articles(sources)
    text = "".join(article.text for article in articles)
    sizes = {"articles": len(articles), "words": len(text.split()), "bytes": len(text.encode("utf-8"))}
    for measure, expected in reference.expected.items():
        yield _compared(reference, measure, expected, sizes[measure])


def _text(reference: Reference, sources: Sources) -> Iterator[Finding]:
    articles = _articles(sources)
    documents = articles[: reference.articles] if reference.articles else (_as_rows(articles),)
    session, family = _loaded(reference, sources)
    text = family.text(documents, Scoring(**reference.scoring))
    tokens = score_windows(session, text.windows, Scoring().batch_size).checked(documents)
    facts = {fact.metric: fact.value for fact in text_facts(reference.family, tokens, documents, text)}
    for measure, expected in reference.expected.items():
        yield _compared(reference, measure, expected, facts[measure])


def _sentence(reference: Reference, sources: Sources) -> Iterator[Finding]:
    session, family = _loaded(reference, sources)
    ask = family.sentence_by_token if reference.by_token and isinstance(family, Masked) else family.sentence
    tokens = score_windows(session, ask(reference.text, 0, 0)).checked([Document(reference.text, reference.text)])
    if reference.total is not None:
        yield _compared(reference, "total", reference.total, -float(tokens.nll.sum()))
    if reference.tokens and len(tokens.nll) != len(reference.tokens):
        raise HarnessError(f"{reference.name}: {len(tokens.nll)} tokens where {len(reference.tokens)} are expected")
    for place, (expected, nll) in enumerate(zip(reference.tokens, tokens.nll, strict=False), 1):
        yield _compared(reference, f"token {place}", expected, -float(nll))


def _blimp(reference: Reference, sources: Sources) -> Iterator[Finding]:
    pairs = load_blimp(sources.blimp, 0)
    session, family = _loaded(reference, sources)
    names = [Document(name, "") for name in pairs.paradigms]
    asked = Questions(session, family, names, np.ones(session.facts.vocabulary_size, dtype=np.int64))
    fact = asked.choices(pairs.choices, "blimp_accuracy", by_token=reference.by_token)[0]
    if reference.total is not None and fact.value is not None:
        yield _compared(reference, "accuracy", reference.total, 100 * fact.value)


def _unstated(reference: Reference, sources: Sources) -> Iterator[Finding]:
    yield Finding(reference, "", None, None, "not run", reference.reason)


_KINDS: dict[str, Callable[[Reference, Sources], Iterator[Finding]]] = {
    "corpus": _corpus,
    "text": _text,
    "sentence": _sentence,
    "blimp": _blimp,
    "unstated": _unstated,
}


def _compared(reference: Reference, measure: str, expected: float, measured: float | None) -> Finding:
    if measured is None or not math.isfinite(measured):
        return Finding(reference, measure, expected, measured, "differs", "not a finite number")
    close = abs(measured - expected) <= max(reference.absolute, reference.relative * abs(expected))
    return Finding(reference, measure, expected, measured, "agrees" if close else "differs")


def _articles(sources: Sources) -> tuple[Document, ...]:
    return tuple(load_corpus(sources.wikitext).splits["test"])


def _as_rows(articles: tuple[Document, ...]) -> Document:
    """The split as the Hub's guide joins it: the dataset's rows, which are lines, with a blank line between them."""
    lines = "".join(article.text for article in articles).removesuffix("\n").split("\n")
    return Document("raw test", "\n\n".join(f"{line}\n" if line.strip() else "" for line in lines))


def _loaded(reference: Reference, sources: Sources) -> tuple[Session, Family]:
    if reference.candidate:
        candidate = resolve(reference.candidate, {})
    else:
        spec = CandidateSpec(
            origin="published", family=reference.family, hub=reference.hub or None, path=reference.path or None
        )
        candidate = Candidate(reference.name, spec)
    checkpoint = fetch(candidate, sources.store, sources.offline)
    setup = Setup("fp32", threads=sources.threads)
    session = engine_kind("torch").load().open(checkpoint.path, reference.family, setup)
    return session, family_of(session, load_tokenizer(checkpoint.path))
