"""What a launcher's processes decide before they train; here there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import TINY

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import open_checkpoint
from harness.candidates.spec import CandidateSpec
from harness.corpora.corpus import Corpus
from harness.errors import HarnessError
from harness.training.together import obtain_together

SHORT = TINY["causal"].training.model_copy(update={"max_steps": 3})
MINE = Candidate("mine", TINY["causal"].model_copy(update={"training": SHORT}))
PUPIL = Candidate(
    "pupil",
    CandidateSpec.model_validate(
        {**MINE.spec.model_dump(exclude={"vocabulary"}), "origin": "distilled", "teacher": "mine"}
    ),
    MINE,
)


def test_what_is_in_the_cache_is_not_trained_again(corpus: Corpus, tmp_path: Path):
    said: list[float] = []
    store = ArtefactStore(tmp_path)
    first = obtain_together(MINE, corpus, store, lambda share, word: said.append(share))
    assert said
    open_checkpoint(first, "causal")
    said.clear()
    assert obtain_together(MINE, corpus, store, lambda share, word: said.append(share)) == first
    assert not said


def test_a_teacher_has_to_be_there_already(corpus: Corpus, tmp_path: Path):
    store = ArtefactStore(tmp_path)
    with pytest.raises(HarnessError, match="no teacher of 'pupil' in the cache; first: harness train mine"):
        obtain_together(PUPIL, corpus, store, lambda share, word: None)
    obtain_together(MINE, corpus, store, lambda share, word: None)
    open_checkpoint(obtain_together(PUPIL, corpus, store, lambda share, word: None), "causal")
