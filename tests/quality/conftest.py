"""Sessions of tiny models in fp32 torch, with the transformers model itself for reference code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer
from harness.engines.base import Session, Setup
from harness.engines.torch_engine import TorchEngine
from harness.quality.family import Family
from harness.quality.measures import family_of


@dataclass
class Loaded:
    """A tiny model as the program sees it, and as transformers does."""

    session: Session
    tokenizer: Any
    family: Family
    model: Any


@pytest.fixture(scope="session")
def loaded(tiny_checkpoints: dict[str, Checkpoint]) -> Callable[[str], Loaded]:
    found: dict[str, Loaded] = {}

    def load(family: str) -> Loaded:
        if family not in found:
            checkpoint = tiny_checkpoints[family]
            session = TorchEngine().open(checkpoint.path, family, Setup("fp32"))
            tokenizer = load_tokenizer(checkpoint.path)
            model = load_model(checkpoint.path, family)
            found[family] = Loaded(session, tokenizer, family_of(session, tokenizer), model)
        return found[family]

    return load
