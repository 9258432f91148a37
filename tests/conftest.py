"""Fixtures that several folders share: a small corpus, tiny real checkpoints, and the shared data where it is given."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from tiny import TINY

from harness.candidates.checkpoint import Checkpoint, open_checkpoint
from harness.corpora.corpus import Corpus, Document

SHARED = "HARNESS_SHARED_DATA"

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

_SENTENCES = [
    "The people of the town want peace and a good road to the market.",
    "In the spring the river rises and the old bridge is closed for a week.",
    "We ask the council to repair the school, the bridge and the road.",
    "A new mill was built near the river, and the people were glad of it.",
    "The market is open on every day of the week except in the winter.",
    "Naïve visitors pay five euros (5 €) for a cup of coffee at the café.",
]


@pytest.fixture(scope="module", autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """An executor sets variables that libraries read, HF_HUB_OFFLINE among them; other modules' tests start without."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of WikiText-2 and BLiMP, named by HARNESS_SHARED_DATA."""
    folder = os.environ.get(SHARED)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"{SHARED} does not name the folder of shared data")
    return Path(folder)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """Forty short documents made of the same few sentences in changing order."""

    def document(index: int) -> Document:
        sentences = [_SENTENCES[(index * 5 + step * step) % len(_SENTENCES)] for step in range(12)]
        return Document(f"letter {index}", " ".join(sentences))

    return Corpus(
        "letters",
        {
            "train": tuple(document(i) for i in range(30)),
            "validation": tuple(document(i) for i in range(30, 35)),
            "test": tuple(document(i) for i in range(35, 40)),
        },
    )


@pytest.fixture(scope="session")
def tiny_checkpoints(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """A tiny trained checkpoint of each family, by family."""
    import torch

    from harness.training.recipe import train

    torch.set_num_threads(1)
    found = {}
    for family, spec in TINY.items():
        folder = tmp_path_factory.mktemp(family)
        train(spec, corpus, folder, lambda share, word: None)
        found[family] = open_checkpoint(folder, family)
    return found


@pytest.fixture(params=["folder", "file://", "memory://", "dir::file://"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where machines share something. ``dir::`` is fsspec's folder of another file system: it stands for protocols that
    are not known here."""
    kinds = {"folder": str(tmp_path / "shared"), "memory://": f"memory://{uuid.uuid4().hex}/prefix"}
    return kinds.get(request.param) or f"{request.param}{tmp_path}/shared"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder that such a place is, but for the one in memory."""
    return tmp_path / "shared"
