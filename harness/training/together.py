"""A checkpoint that several processes train together, on one machine or on several that share no files."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from harness.candidates.artefacts import ArtefactStore
from harness.candidates.catalogue import Candidate
from harness.candidates.checkpoint import Checkpoint, load_model, load_tokenizer, open_checkpoint
from harness.errors import HarnessError
from harness.records.hashing import digest
from harness.training.curve import Progress
from harness.training.recipe import train

if TYPE_CHECKING:
    from harness.corpora.corpus import Corpus

_KIND = "checkpoints"


def obtain_together(candidate: Candidate, corpus: Corpus, store: ArtefactStore, progress: Progress) -> Path:
    """Where a candidate's checkpoint is in this machine's cache: taken from there, or trained now by all processes.

    Every process that a launcher started calls this; the first tells ``progress``, decides whether there is anything
    to train, and puts the checkpoint into its cache and into the storage, from which other machines take it. Where
    there is no storage it stays with the first, which is said on stderr. Raises HarnessError where processes would
    train different things, where the teacher is nowhere, and as :func:`harness.training.recipe.train` does.
    """
    processes = PartialState(cpu=not torch.cuda.is_available())
    description = candidate.description(corpus.hash)
    teacher = _teacher(candidate, corpus, store)
    _check_same(candidate, [description, teacher and teacher.weights_hash])

    def share(folder: Path) -> None:
        train(
            candidate.spec, corpus, folder, progress if processes.is_main_process else _silent,
            teacher=load_model(teacher.path, teacher.family) if teacher else None,
            tokenizer=load_tokenizer(teacher.path) if teacher else None,
            unfinished=store.workplace(_KIND, candidate.name, description),
        )  # fmt: skip

    if processes.is_main_process:
        _lead(candidate, description, store, share)
    elif broadcast_object_list([None])[0]:
        with tempfile.TemporaryDirectory() as folder:
            share(Path(folder))
    processes.wait_for_everyone()
    if processes.is_local_main_process:
        store.clear_workplace(_KIND, candidate.name, description)
        if not processes.is_main_process:
            _take(candidate, description, store)
    processes.destroy_process_group()
    return store.place(_KIND, candidate.name, description)


def _lead(candidate: Candidate, description: object, store: ArtefactStore, share: Callable[[Path], None]) -> None:
    """Tell the others whether there is anything to train, and keep what comes of it."""
    told: list[bool] = []

    def build(folder: Path) -> None:
        told.extend(broadcast_object_list([True]))
        share(folder)

    store.get(_KIND, candidate.name, description, build)
    if not told:
        broadcast_object_list([False])


def _take(candidate: Candidate, description: object, store: ArtefactStore) -> None:
    """Bring the checkpoint from the storage into the cache of a machine that the first process is not on."""

    def nowhere(folder: Path) -> None:
        raise HarnessError(
            f"the checkpoint of '{candidate.name}' is on the first process's machine alone; HARNESS_STORAGE names a "
            "place that gives it to the others"
        )

    try:
        store.get(_KIND, candidate.name, description, nowhere)
    except HarnessError as error:  # what was trained is there, only not here
        print(error, file=sys.stderr)


def _teacher(candidate: Candidate, corpus: Corpus, store: ArtefactStore) -> Checkpoint | None:
    """The teacher's checkpoint from the cache or the storage; None for a candidate that has none."""
    above = candidate.teacher
    if above is None:
        return None

    def nowhere(folder: Path) -> None:
        raise HarnessError(f"no teacher of '{candidate.name}' in the cache; first: harness train {above.name}")

    return open_checkpoint(store.get(_KIND, above.name, above.description(corpus.hash), nowhere).path, above.family)


def _check_same(candidate: Candidate, made_from: object) -> None:
    if len(set(gather_object([digest(made_from)]))) > 1:
        raise HarnessError(
            f"the processes would train '{candidate.name}' from different things: settings, corpus, code, versions, "
            "device and the teacher's weights have to be the same for all"
        )


def _silent(share: float, word: str) -> None:
    pass
