"""Makes a candidate of origin ``random``: a published architecture at its shape, with weights that learnt nothing."""

from __future__ import annotations

from pathlib import Path

import torch

from harness.candidates.spec import CandidateSpec
from harness.corpora.corpus import Corpus
from harness.errors import HarnessError
from harness.training.curve import Progress
from harness.training.models import published_model
from harness.training.tokenizers import train_tokenizer


def draw(spec: CandidateSpec, corpus: Corpus, folder: Path, progress: Progress) -> None:
    """Train the tokenizer on the corpus's train split, draw weights by the spec's seed, and save both to ``folder``.

    Raises HarnessError for a shape that the architecture does not take.
    """
    if spec.architecture is None:
        raise HarnessError("a candidate with random weights needs an architecture")
    progress(0.0, "training the tokenizer")
    tokenizer = train_tokenizer(spec.architecture, [d.text for d in corpus.splits["train"]], spec.entries)
    progress(0.5, "drawing weights")
    torch.manual_seed(spec.seed or 0)
    model = published_model(spec, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
