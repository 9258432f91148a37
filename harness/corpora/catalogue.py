"""Which corpora there are, and how a name such as ``wikitext-2:FOLDER`` becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from harness.corpora import sotu, text, wikitext
from harness.corpora.corpus import Corpus
from harness.errors import HarnessError, nearest

ENTRY_POINTS = "harness.corpora"


@dataclass(frozen=True)
class CorpusKind:
    """A corpus that can be named in a suite; ``load`` takes what stands behind the colon, or None."""

    name: str
    usage: str
    description: str
    load: Callable[[str | None], Corpus]


def _load_sotu(location: str | None) -> Corpus:
    if location:
        raise HarnessError("corpus 'sotu' takes no path; did you mean text:PATH?")
    return sotu.load()


_SHIPPED = [
    CorpusKind("sotu", "sotu", "249 State of the Union addresses; embedded, works offline", _load_sotu),
    CorpusKind("wikitext-2", "wikitext-2[:FOLDER]", "WikiText-2, from the hub or a local folder", wikitext.load),
    CorpusKind("text", "text:PATH", "your own .txt, .jsonl or .parquet files", text.load),
]


def corpus_kinds() -> dict[str, CorpusKind]:
    """The shipped corpora and those that installed packages register under ``harness.corpora``."""
    kinds = {kind.name: kind for kind in _SHIPPED}
    for entry in entry_points(group=ENTRY_POINTS):
        kind = entry.load()
        kinds[kind.name] = kind
    return kinds


def check_corpus_name(name: str) -> CorpusKind:
    """The kind of corpus that ``name`` asks for. Raises HarnessError for an unknown one."""
    kinds = corpus_kinds()
    kind = name.partition(":")[0]
    if kind not in kinds:
        raise HarnessError(f"unknown corpus '{kind}'{nearest(kind, kinds)}")
    return kinds[kind]


def load_corpus(name: str) -> Corpus:
    """Load ``NAME`` or ``NAME:LOCATION``. Raises HarnessError with the reason and the remedy."""
    return check_corpus_name(name).load(name.partition(":")[2] or None)
