"""What a job takes from elsewhere: its corpus and published checkpoints, and one message for all that is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.candidates import hub
from harness.candidates.catalogue import Candidate
from harness.corpora.catalogue import load_corpus
from harness.corpora.corpus import Corpus
from harness.errors import UnavailableError
from harness.suites.schema import Suite

_FROM_HUB = "wikitext-2"
_CHECKPOINT_REMEDY = (
    "The FOLDER of a checkpoint holds config.json, tokenizer.json and *.safetensors. Where there is a network, this "
    "makes it: hf download REPOSITORY --local-dir FOLDER --include '*.json' '*.txt' '*.safetensors'"
)


def without_network(suite: Suite, candidates: Sequence[Candidate], offline: bool) -> str:
    """Why nothing can be fetched, "" where it can: the user said so, or the hub is needed and does not answer."""
    if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
        return "offline"
    needed = suite.corpus == _FROM_HUB or any(candidate.spec.hub for candidate in candidates)
    return "the hub does not answer" if needed and not hub.answers() else ""


def missing_checkpoints(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates of the hub that its cache does not hold."""
    return [each for each in candidates if each.spec.hub and hub.cached(each.spec.hub) is None]


def corpus_of(suite: Suite, candidates: Sequence[Candidate], without: str) -> Corpus:
    """Load the suite's corpus. ``without`` is why nothing can be fetched, if so.

    Raises UnavailableError that lists everything that is missing, each with its remedy, where the corpus or all
    ``candidates`` cannot be had, so that nothing could be measured; HarnessError for a corpus that is damaged.
    """
    if not without:
        return load_corpus(suite.corpus)
    missing = missing_checkpoints(candidates)
    lines = [f"{each.name} ({each.spec.hub}): --local {each.name}=FOLDER" for each in missing]
    try:
        corpus = load_corpus(suite.corpus)
        if len(missing) < len(candidates):
            return corpus
    except UnavailableError as error:
        lines = [str(error), *lines]
    remedy = [_CHECKPOINT_REMEDY] if missing else []
    raise UnavailableError(f"nothing of this suite can run here ({without}); missing are:", [*lines, *remedy])
